"""Which tasks wait for a limit of their provider, and until when. Kept from what a run publishes; journaled nowhere."""

from dataclasses import dataclass

from orchestration.events import Delta, Record


@dataclass(frozen=True, slots=True)
class Wait:
    """`until` in Unix seconds, about."""

    until: float
    reason: str


class Waits:
    """Of one run. A wait ends with the next thing its task does, or when its time is over."""

    def __init__(self) -> None:
        self._of: dict[str, Wait] = {}

    def take(self, item: Delta | Record) -> Wait | None:
        """The wait that begins with this, if one does."""
        if isinstance(item, Record):
            self._of.pop(getattr(item.event, "task_id", None) or "", None)
            return None
        if not item.until:
            self._of.pop(item.task_id, None)
            return None
        wait = self._of[item.task_id] = Wait(item.until, item.reason)
        return wait

    def now(self, time: float) -> dict[str, Wait]:
        """Those that are not over, by task."""
        return {task_id: wait for task_id, wait in self._of.items() if wait.until > time}
