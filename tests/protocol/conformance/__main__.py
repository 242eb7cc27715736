"""Writes docs/reference/opamp-conformance.md."""

from __future__ import annotations

from tests.protocol.conformance.page import PAGE, ROOT, render

if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
