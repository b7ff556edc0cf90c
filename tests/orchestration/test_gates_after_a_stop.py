"""A run that was stopped anywhere judges as if it had not been, and runs no test again whose result it kept."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.run import RunState
from tests.orchestration.cutting import cut, ends_of_writes, recorded
from tests.orchestration.test_engine import says, task, writes
from tests.orchestration.test_gates_of_runs import Trusted, start

pytestmark = pytest.mark.anyio


class Logged(Trusted):
    """Each test notes its name and the values that it saw, which tell the tree."""

    def __init__(self, folder: Path, python: Path) -> None:
        super().__init__(folder, python)
        self.log = folder / "log"
        note = (
            "import pathlib, pytest\n\ndef note(name):\n"
            "    here = pathlib.Path(__file__).parent\n"
            "    values = ' '.join(''.join((here / f'{x}.py').read_text().split()) for x in 'ab')\n"
            f"    with open({str(self.log)!r}, 'a') as file:\n"
            "        file.write(f'{name} {values}\\n')\n\n"
        )
        self.files(
            {
                "a.py": "A = 5\n",
                "b.py": "B = 1\n",
                "test_sum.py": f"import a, b\n{note}def test_sum():\n    note('sum')\n    assert a.A + b.B <= 3\n",
                "test_b.py": f"import b\n{note}def test_b():\n    note('b')\n    assert b.B != 1\n",
                "test_off.py": f"{note}def test_on():\n    note('on')\n    pytest.skip('not today')\n",
            }
        )
        self.rules(
            says(*writes("a.py", "A = 1\n"), task="a"),
            says(*writes("b.py", "B = 3\n"), task="b"),
            says(*writes("b.py", "B = 2\n"), task="repair"),
        )

    def noted(self) -> Counter[str]:
        """The notes since the last call."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return Counter(lines)


@pytest.fixture
def bench(tmp_path: Path, python_with_pytest: Path) -> Logged:
    return Logged(tmp_path, python_with_pytest)


def verdicts(state: RunState) -> list[object]:
    """What the run came to, without how much of it had to be found out."""
    final = [(gate.gate, gate.outcome) for gate in state.final_gates]
    tasks = [(task.spec, task.status, task.verified, task.changed) for task in state.tasks.values()]
    return [
        state.end,
        state.exit_code,
        state.reasons,
        final,
        tasks,
        state.changes and state.changes.change_set,
    ]


async def test_stopped_anywhere_it_ends_the_same(bench: Logged) -> None:
    """`test_sum` fails on the base and passes for task `a`, whose plan names no tests; `b` names only its own.
    Joined they fail it: only who knows that it passed for `a` blocks the final tree.
    """
    async with bench.opened() as engine:
        run_id = await start(engine, task("a"), task("b", tests=("test_b.py",)), max_parallel=1)
        whole = await engine.wait(run_id)
        records = await recorded(engine, run_id)
    all_notes = bench.noted()
    assert (whole.end, whole.exit_code) == ("completed", 0), whole.reasons
    assert whole.tasks["repair"].spec.tests == ("test_sum.py::test_sum",)
    assert all_notes["on A=5 B=1"] == 1, "what is only skipped is asked of the base once, for all tasks"
    data = bench.settings.data_dir
    assert data is not None
    interesting = (ev.GateFinished, ev.TaskMerged, ev.FindingReported, ev.TaskAdded, ev.ChangesProposed)
    cuts = [
        seq
        for seq in ends_of_writes(records)
        if isinstance(records[seq - 1].event, interesting) or isinstance(records[seq].event, ev.TaskAdded)
    ]
    assert len(cuts) >= 6
    for seq in cuts:
        bench.settings = replace(bench.settings, data_dir=cut(data, run_id, seq, data.parent / f"cut-{seq}"))
        async with bench.opened() as engine:
            assert not (await engine.submit(cm.ResumeRun(run_id=run_id))).error
            state = await engine.wait(run_id)
        assert verdicts(state) == verdicts(whole), f"cut after {seq}: {records[seq - 1].event}"
        _nothing_again(bench.noted(), all_notes, [record.event for record in records[:seq]])


def _nothing_again(notes: Counter[str], all_notes: Counter[str], kept: list[ev.Event]) -> None:
    assert notes <= all_notes
    merged = {event.task_id for event in kept if isinstance(event, ev.TaskMerged)}
    final = [event for event in kept if isinstance(event, ev.GateFinished) and event.task_id is None]
    gone = [" A=1 B=1"] if "a" in merged else []
    gone += [" A=5 B=3", "sum A=5 B=1"] if "b" in merged else []
    gone += ["on A=5 B=1"] if merged else []
    gone += [" A=1 B=2"] if "repair" in merged else []
    assert not [note for note in notes if note.endswith(tuple(gone))]
    if any(event.gate == "tests" and event.outcome == "passed" for event in final):
        assert not notes
