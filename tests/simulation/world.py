"""What outlives a process: the disk, the objects, the user's files, the records; and the plan of what goes wrong."""

from random import Random

import anyio

from orchestration import events as ev
from orchestration.errors import JournalError
from orchestration.journal.memory import MemoryStore
from orchestration.workspace.memory_objects import MemoryObjects
from tests.simulation.mind import Mind, chance
from tests.simulation.process import Process
from tests.simulation.records import Records

STARTED = 1_800_000_000.0


class Disk(MemoryStore):
    """The journal's disk; what becomes durable is shown to the records."""

    def __init__(self, records: Records) -> None:
        super().__init__()
        self.records = records

    def commit(
        self, run_id: str, run: "object", blobs: dict[str, bytes], bodies: list[tuple[float, bytes]]
    ) -> None:
        super().commit(run_id, run, blobs, bodies)  # type: ignore[arg-type]  # the stored run is the store's own
        for _, body in bodies:
            self.records.durable(run_id, ev.decode(body))


class CountedIds:
    def __init__(self) -> None:
        self._next = 0

    def new(self, kind: str) -> str:
        self._next += 1
        return f"{kind}-{self._next}"


class World:
    """`trouble`: how many crashes, refusals of the disk and of the model there may be; 0 for a calm run."""

    def __init__(self, seed: int, *, trouble: bool = True) -> None:
        self.seed = seed
        self.trouble = trouble
        self.mind = Mind(seed)
        self.chance: Random = chance(seed, "world")
        self.records = Records()
        self.disk = Disk(self.records)
        self.disk.before_commit = self._before_commit
        self.objects = MemoryObjects()
        self.records.restores.contents = self._contents
        self.files: dict[str, bytes] = dict(self.mind.files)
        self.ids = CountedIds()
        self.run_id = ""
        self.clock_offset = 0.0
        draw = chance(seed, "trouble")
        self._steps = 0
        self._commits = 0
        self._crashes = sorted(draw.randint(1, 260) for _ in range(draw.choice([0, 1, 1, 2, 3]) * trouble))
        self._full_at = draw.randint(1, 60) if trouble and draw.random() < 0.1 else 0
        self._model_faults = 0.02 if trouble and draw.random() < 0.15 else 0.0
        self._jumps = trouble and draw.random() < 0.3
        self._full_next = False
        self._stop_in = 0
        self._to_stop: Process | None = None
        self._pids = 0

    def time(self) -> float:
        return STARTED + self.clock_offset + anyio.current_time()

    def process(self) -> Process:
        self._pids += 1
        if self._jumps:
            self.clock_offset += self.chance.choice([-86_400.0, 0.0, 86_400.0])
        self._full_next = self.trouble and self._pids > 1 and self.chance.random() < 0.1
        return Process(self, self._pids)

    def _contents(self, snapshot: str) -> dict[str, bytes]:
        return {path: self.objects.blob(entry.oid) for path, entry in self.objects.entries(snapshot)}

    # --- what goes wrong -------------------------------------------------------------------------

    def step(self, process: Process) -> None:
        """A step at which the process may die."""
        self._steps += 1
        if process is self._to_stop:
            self._stop_in -= 1
            if self._stop_in == 0:
                process.stopped, self._to_stop = True, None
        if process.alive and self._crashes and self._steps >= self._crashes[0]:
            self._crashes.pop(0)
            process.crash()

    def stop(self, process: Process | None, *, after: int = 0) -> None:
        """The process is stopped after so many steps of its own, as by a laptop's lid. None: not any more."""
        self._to_stop, self._stop_in = process, after

    def disk_refuses(self) -> None:
        """The user's disk: refuses nothing yet."""

    def model_refuses(self) -> bool:
        return self.chance.random() < self._model_faults

    def _before_commit(self, run_id: str, first: int) -> None:
        del run_id, first
        self._commits += 1
        if self._commits == self._full_at or self._full_next:
            self._full_next = False
            raise JournalError("the simulated disk is full")

    def owns(self, process: Process, run_id: str) -> bool:
        run = self.disk.runs.get(run_id)
        return run is not None and run.owner is process.journal
