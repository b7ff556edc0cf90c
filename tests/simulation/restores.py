"""The oracle of restores: what their intents allow to be written, kept outside the engine."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestration import events as ev

Change = tuple[str, str]
"""SHA-256 before and after; empty: no such file."""
Contents = Callable[[str], dict[str, bytes]]
Event = ev.SnapshotTaken | ev.CheckpointTaken | ev.RestoreRecorded | ev.RestoreFinished


@dataclass(slots=True)
class Restores:
    """`contents` gives the files of a snapshot. `allowed`: by restore, what may happen to each path."""

    contents: Contents = lambda _: {}
    snapshots: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, dict[str, Change]] = field(default_factory=dict)
    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    finished: dict[str, ev.RestoreFinished] = field(default_factory=dict)

    def durable(self, run_id: str, event: Event) -> Iterator[str]:
        """What is wrong with an event that became durable."""
        if isinstance(event, ev.SnapshotTaken):
            self.snapshots[f"{run_id}.0"] = event.snapshot
        elif isinstance(event, ev.CheckpointTaken):
            if event.checkpoint_id in self.snapshots:
                yield f"checkpoint {event.checkpoint_id} is taken twice"
            self.snapshots[event.checkpoint_id] = event.snapshot
        elif isinstance(event, ev.RestoreRecorded):
            if event.saved not in self.snapshots or event.checkpoint_id not in self.snapshots:
                yield f"restore {event.restore_id} names a checkpoint that is not durable"
                return
            self.allowed[event.restore_id] = self._changes(event)
        else:
            yield from self._finish(event)

    def _changes(self, event: ev.RestoreRecorded) -> dict[str, Change]:
        now = self.contents(self.snapshots[event.saved])
        then = self.contents(self.snapshots[event.checkpoint_id])
        return {
            path: (_sha(now.get(path)), _sha(then.get(path)))
            for path in sorted({*now, *then})
            if now.get(path) != then.get(path) and (not event.paths or path in event.paths)
        }

    def _finish(self, event: ev.RestoreFinished) -> Iterator[str]:
        name = event.restore_id
        if name in self.finished:
            yield f"the outcome of restore {name} is recorded twice"
        self.finished[name] = event
        if name not in self.allowed:
            yield f"restore {name} has an outcome and no intent"
        for result in event.files:
            if result.outcome == "conflict" and self.writes[name, result.path] and not event.interrupted:
                yield f"{result.path} is said to be left by restore {name}, but was written"
        written = sum(1 for restore, _ in self.writes if restore == name)
        if event.written > written and not event.interrupted:
            yield f"restore {name} says {event.written} files, but wrote {written}"

    def wrote(self, path: str, change: Change) -> str | None:
        """None: no restore that is under way allows it. Else what is wrong with it, "" for nothing."""
        for name, allowed in reversed(self.allowed.items()):
            if name not in self.finished and allowed.get(path) == change:
                self.writes[name, path] += 1
                return f"{path} is written twice by restore {name}" if self.writes[name, path] > 1 else ""
        return None

    def open(self) -> list[str]:
        return [name for name in self.allowed if name not in self.finished]

    def brought(self) -> set[str]:
        """Digests of everything that a restore may have brought back."""
        return {after for allowed in self.allowed.values() for _, after in allowed.values()}


def _sha(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()
