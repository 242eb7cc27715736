"""A loop that knows only the time that a test gives it."""

from __future__ import annotations

import asyncio


class SteppedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        super().__init__()

    def time(self) -> float:
        return self.now

    def step(self, seconds: float, by: float = 0.5) -> None:
        """Lets time pass in steps of `by` seconds."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + by, end)
            self.call_soon(self.stop)
            self.run_forever()
