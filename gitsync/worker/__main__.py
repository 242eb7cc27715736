"""`python -m gitsync.worker`: only ever started by `CompileWorker`."""

from __future__ import annotations

from gitsync.worker.child import main

if __name__ == "__main__":
    main()
