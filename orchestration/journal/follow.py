"""Following a run: a follower's mailbox for what this process appends.

A mailbox is bounded; one that overflows drops its oldest records, and its follower sees the gap in the numbers
and goes back to the file. So a slow follower costs neither memory nor events.
"""

from collections import deque
from collections.abc import Iterable

import anyio

from orchestration.events import Record

MAILBOX = 2_000
PAGE = 1_000
POLL_S = 0.05
# After a minute of silence an idle laptop matters more than a tenth of a second.
QUIET_POLLS = 1_200
QUIET_POLL_S = 0.2
# A run that we own is polled too, though seldom: we may have lost it while this process was stopped.
OWNED_POLL_S = 1.0


class Mailbox:
    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=MAILBOX)
        self._wake = anyio.Event()

    def put(self, records: Iterable[Record]) -> None:
        self._records.extend(records)
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    def take(self) -> list[Record]:
        taken = list(self._records)
        self._records.clear()
        return taken

    async def wait(self, seconds: float) -> bool:
        """Until something is put or the follower is woken; False when `seconds` passed without."""
        with anyio.move_on_after(seconds) as scope:
            await self._wake.wait()
        self._wake = anyio.Event()
        return not scope.cancelled_caught
