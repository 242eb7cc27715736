"""What every test relies on."""

from __future__ import annotations

import asyncio

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """No event loop but those that tests make.

    Plugins ask for "the" loop before the first asynchronous test; Python 3.11 would make one that nobody closes, and
    its ResourceWarning would fail whichever test runs then.
    """
    asyncio.set_event_loop(None)
