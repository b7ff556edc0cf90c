"""A clock that the test owns: `sleep` ends when the test's own time has passed, and nothing waits."""

import anyio


class VirtualTime:
    """`sleep` moves the clock by itself, so code under test runs at full speed; `slept` records it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()
