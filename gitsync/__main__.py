"""`python -m gitsync`: the command, without a script on the path."""

from __future__ import annotations

from gitsync.cli import main

if __name__ == "__main__":
    main()
