"""Bugs that are planted one by one into a copy of the engine, to show that the simulator finds such.

A plant is some pieces of source text and what stands in their place. When the engine changes so that a piece is not
there any more, planting fails and the plant is to be renewed.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_INTENT = "    await talk.recorder.record(\n        *progress.pending,\n        ev.TurnStarted("
_RESULT = "    await talk.recorder.record(\n        ev.TurnCompleted("


@dataclass(frozen=True, slots=True)
class Swap:
    path: str
    sound: str
    broken: str


@dataclass(frozen=True, slots=True)
class Plant:
    name: str
    swaps: tuple[Swap, ...]


def _plant(name: str, *swaps: tuple[str, str, str]) -> Plant:
    return Plant(name, tuple(Swap(*swap) for swap in swaps))


PLANTS = (
    _plant(
        "effect before intent",
        ("orchestration/agents/loop.py", _INTENT, _INTENT.replace("await ", "intent = ")),
        ("orchestration/agents/loop.py", _RESULT, "    await intent\n" + _RESULT),
    ),
    _plant(
        "lost acknowledgement",
        (
            "orchestration/journal/memory.py",
            "self._journal.store.commit(self._run_id, self._run, blobs, bodies)",
            "self._journal.store.commit(self._run_id, self._run, blobs, bodies[:1])",
        ),
    ),
    _plant(
        "stale epoch",
        (
            "orchestration/journal/memory.py",
            "        if self._run.epoch != self._epoch:\n            raise FencedError",
            "        if self._run.epoch < self._epoch:\n            raise FencedError",
        ),
        ("orchestration/engine.py", "self._hosts.adopted(run_id)", "pass"),
    ),
    _plant(
        "an effect of an owner that was stopped",
        ("orchestration/live_run.py", "self._clock.monotonic() - before > STOPPED_SECONDS", "before < 0"),
    ),
    _plant(
        "doubled join",
        ("orchestration/results.py", "1 + max(recorded, self._given_out)", "1 + recorded"),
    ),
    _plant(
        "an interrupted command runs again",
        ("orchestration/agents/loop.py", "if call.id in talk.interrupted:", "if not call.id:"),
    ),
    _plant(
        "a resumed conversation forgets failed results",
        (
            "orchestration/fold.py",
            "current.results.append(ToolResult(event.call_id, event.text, event.is_error))",
            "current.results.extend([ToolResult(event.call_id, event.text)] if not event.is_error else [])",
        ),
    ),
    _plant(
        "a file is written before its decision",
        (
            "orchestration/review/desk.py",
            (
                "        await live.record(checkpoint, intent)\n"
                "        done = await self._contents.write_all(writes, label, sent)\n"
            ),
            (
                "        done = await self._contents.write_all(writes, label, sent)\n"
                "        await live.record(checkpoint, intent)\n"
            ),
        ),
    ),
    _plant(
        "an answer that the disk refused counts as given",
        ("orchestration/live_run.py", "                box.clear()", "                pass"),
    ),
    _plant(
        "an interrupted undo is forgotten",
        (
            "orchestration/review/settling.py",
            "for item in state.undos.values() if not item.applied]",
            "for item in ()]",
        ),
    ),
    _plant(
        "merged tasks run again after a stop",
        (
            "orchestration/scheduler.py",
            'if status == "merged":\n                self._graph.done(spec.id)',
            'if status == "nothing":\n                self._graph.done(spec.id)',
        ),
    ),
    _plant(
        "costs of a stopped attempt are forgotten",
        (
            "orchestration/fold.py",
            "        state.end, state.cancelled, ",
            "        state.usage = ZERO\n        state.end, state.cancelled, ",
        ),
        (
            "orchestration/fold.py",
            "from providers.messages import",
            "from providers.usage import ZERO\nfrom providers.messages import",
        ),
    ),
    _plant(
        "a run that could not be taken up stays held",
        (
            "orchestration/hosting.py",
            "            await live.close()  # what is not hosted",
            "            pass  # what is not hosted",
        ),
    ),
)


class Garden:
    """A copy of the source in which one bug at a time is planted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for package in ("orchestration", "providers", "tests/simulation"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "tests/__init__.py", folder / "tests/__init__.py")

    def search(self, plant: Plant, *, seeds: int) -> int | None:
        """The first seed that finds the bug, None when none of `seeds` does. Raises LookupError when a piece of the
        plant is not in the source (any more).
        """
        texts = {swap.path: (ROOT / swap.path).read_text() for swap in plant.swaps}
        try:
            for path, sound in texts.items():
                broken = sound
                for swap in plant.swaps:
                    if swap.path != path:
                        continue
                    if broken.count(swap.sound) != 1:
                        raise LookupError(f"{plant.name}: {swap.sound!r} is not once in {path}")
                    broken = broken.replace(swap.sound, swap.broken)
                (self._folder / path).write_text(broken)
            found = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "tests.simulation",
                    "--seeds",
                    f"0:{seeds}",
                    "--processes",
                    "1",
                    "--first",
                ],
                cwd=self._folder,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            for path, sound in texts.items():
                (self._folder / path).write_text(sound)
        if found.returncode not in {0, 1} or not found.stdout:
            raise RuntimeError(found.stderr[-2_000:])
        line = found.stdout.splitlines()[0]
        return int(line.split()[1].rstrip(":")) if line.startswith("seed ") else None
