"""Where a result is doubtful: runs without an end, missing dependencies, many gates at once."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute, SocketStream

from orchestration.graph_model import TaskSpec
from orchestration.quality.baseline import Baseline, FileResults, Results
from orchestration.quality.learned import Learned, by_outcome, decode, passes
from orchestration.quality.runners.contract import Case, CaseOutcome
from tests.quality.setting import Setting

pytestmark = pytest.mark.anyio

TEST = "import m\n\ndef test_m():\n    assert m.x == 1\n"


async def test_a_change_that_keeps_the_tests_from_running_is_blocked(setting: Setting) -> None:
    """conftest.py imports the project: what breaks the project breaks the whole run."""
    await setting.start({"conftest.py": "import m\n", "m.py": "x = 1\n", "test_m.py": TEST})
    report = await setting.change({"m.py": "x = 1\nimport no_such_thing\n"})
    assert report.outcome == "blocked"
    assert "The tests ran before this change" in report.feedback
    assert "no_such_thing" in report.feedback


async def test_what_never_ran_is_not_held_against_the_change(setting: Setting) -> None:
    await setting.start(
        {"pytest.ini": "[pytest]\naddopts = --no-such-option\n", "m.py": "", "test_m.py": TEST}
    )
    report = await setting.change({"m.py": "x = 1\n"})
    assert report.outcome == "not_run"
    assert "no-such-option" in report.detail


async def test_a_declared_dependency_that_is_not_installed(setting: Setting) -> None:
    test = "import frobnicator\nimport m\ndef test_m():\n    assert m.x\n"
    await setting.start({"requirements.txt": "Frobnicator>=2\n", "m.py": "", "test_m.py": test})
    report = await setting.change({"m.py": "x = 1\n"})
    assert (report.outcome, report.detail) == (
        "not_run",
        "frobnicator is declared by the project, and not installed for its tests",
    )
    report = await setting.change({"m.py": "import undeclared_thing\n", "test_m.py": None, "test_n.py": TEST})
    assert report.outcome == "blocked"


async def test_a_module_that_the_task_should_have_written_is_its_failure(setting: Setting) -> None:
    await setting.start({"a/test_slug.py": "from slug import slug\ndef test_s():\n    assert slug\n"})
    report = await setting.change({"a/other.py": "x = 1\n"}, "a/test_slug.py")
    assert report.outcome == "blocked"
    assert "No module named 'slug'" in report.feedback


async def test_a_declared_package_that_node_lacks(setting: Setting) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    test = 'import test from "node:test";\nimport "left-pad";\nimport "./a.mjs";\ntest("x", () => {});\n'
    await setting.start(
        {"package.json": json.dumps({"dependencies": {"left-pad": "1"}}), "a.mjs": "", "a.test.mjs": test}
    )
    report = await setting.change({"a.mjs": "export const a = 1;\n"})
    assert (report.outcome, report.detail) == (
        "not_run",
        "left-pad is declared by the project, and not installed for its tests",
    )


async def test_a_script_that_hangs_only_now(setting: Setting) -> None:
    setting.settings = replace(setting.settings, timeout_s=3)
    await setting.start({"wait.sh": "exit 0\n", "test_wait.sh": "sh ./wait.sh\n"})
    report = await setting.change({"wait.sh": "sleep 60\n"})
    assert report.outcome == "blocked"
    assert "stopped after 3 s" in report.feedback


async def test_slow_other_tests_are_left_out_by_name_of_the_limit(setting: Setting) -> None:
    setting.settings = replace(setting.settings, timeout_s=5)
    slow = "import m, time\n" + "".join(f"def test_{n}():\n    time.sleep(0.7)\n" for n in range(10))
    others = {f"test_other{n}.py": "import m\ndef test_o():\n    pass\n" for n in range(6)}
    await setting.start({"m.py": "", "test_m.py": TEST, "test_slow.py": slow, **others})
    report = await setting.change({"m.py": "x = 1\n"})
    assert report.outcome == "passed"
    assert "stopped after" in report.detail


async def test_what_the_base_did_is_found_out_within_a_time(setting: Setting) -> None:
    """Of two files that fail now, the time for the base suffices for the first."""
    setting.settings = replace(setting.settings, timeout_s=30, baseline_s=2)
    test = "import m\n{wait}def test_it():\n    assert m.x == 1\n"
    wait = "import time\nif m.x == 1:\n    time.sleep(60)\n"
    await setting.start(
        {
            "conftest.py": "",
            "m.py": "x = 1\n",
            "a/test_quick.py": test.format(wait=""),
            "b/test_slow.py": test.format(wait=wait),
            "own/test_m.py": "import m\ndef test_m():\n    assert m\n",
        }
    )
    began = anyio.current_time()
    report = await setting.change({"m.py": "x = 2\n"}, "own/test_m.py")
    assert anyio.current_time() - began < 30
    assert (report.outcome, report.detail) == ("blocked", "breaks 1 test: a/test_quick.py::test_it")
    quiet = await setting.change({"m.py": "x = 2\n", "a/test_quick.py": None}, "own/test_m.py")
    assert quiet.outcome == "blocked", "the test is deleted, which nobody allowed"
    setting.answer = True
    quiet = await setting.change({"m.py": "x = 2\n", "a/test_quick.py": None}, "own/test_m.py")
    assert quiet.outcome == "not_run"
    assert (
        "1 test failed, and the time did not suffice to see what they did before: b/test_slow.py"
        in quiet.detail
    )
    assert "a person approved" in quiet.detail


async def test_many_gates_at_once(setting: Setting) -> None:
    files: dict[str, str | bytes | None] = {}
    for name in "abcd":
        files[f"{name}/m.py"] = ""
        files[f"{name}/test_m.py"] = TEST
        files[f"{name}/test_bad.py"] = "import m\ndef test_bad():\n    assert 0\n"
    await setting.start(files)
    outcomes: dict[str, str] = {}

    async def judge(name: str, value: int) -> None:
        report = await setting.change({f"{name}/m.py": f"x = {value}\n"}, f"{name}/test_m.py")
        outcomes[name] = report.outcome

    async with anyio.create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(judge, name, 1 if name in "ab" else 2)
    assert outcomes == {"a": "passed", "b": "passed", "c": "blocked", "d": "blocked"}
    assert setting.pool.held == 0


@pytest.mark.parametrize("slots", [1, 3])
async def test_folders_run_side_by_side_within_a_bound(setting: Setting, slots: int) -> None:
    """Each test says that it is there and waits for a word: with one slot it comes at once, with three when
    all three are there.
    """
    setting.baseline = Baseline(slots=slots)
    open_now, most, full = 0, 0, anyio.Event()

    async def connected(stream: SocketStream) -> None:
        nonlocal open_now, most
        async with stream:
            open_now += 1
            most = max(most, open_now)
            if open_now == slots:
                full.set()
            await full.wait()
            await stream.send(b"x")
            open_now -= 1

    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port = listener.extra(SocketAttribute.local_port)
        test = (
            "import m, socket\ndef test_m():\n    assert m.x\n"
            f"    assert socket.create_connection(('127.0.0.1', {port}), 30).recv(1) == b'x'\n"
        )
        await setting.start(
            {f"{name}/{path}": text for name in "abc" for path, text in (("m.py", ""), ("test_m.py", test))}
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, connected)
            report = await setting.change({f"{name}/m.py": "x = 1\n" for name in "abc"})
            tasks.cancel_scope.cancel()
    assert (report.outcome, report.detail) == ("passed", "3 own tests passed"), report.feedback
    assert most == slots


async def test_a_cancelled_gate_leaves_nothing(setting: Setting) -> None:
    under_way = anyio.Event()

    async def connected(stream: SocketStream) -> None:
        async with stream:
            under_way.set()
            await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port = listener.extra(SocketAttribute.local_port)
        test = (
            f"import m, socket\ndef test_m():\n    socket.create_connection(('127.0.0.1', {port})).recv(1)\n"
        )
        await setting.start({"m.py": "", "test_m.py": test})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, connected)
            tasks.start_soon(setting.change, {"m.py": "x = 1\n"})
            with anyio.fail_after(60):
                await under_way.wait()
            tasks.cancel_scope.cancel()
    assert setting.launcher.live() == ()
    assert setting.pool.held == 0


async def test_named_tests_of_merged_tasks_decide_on_the_final_tree(setting: Setting) -> None:
    await setting.start({"m.py": "", "test_m.py": TEST + "\ndef test_old_failure():\n    assert 0\n"})
    merged = (TaskSpec(id="a", title="A", instructions="", tests=("test_m.py::test_m",)),)
    for value, outcome in ((1, "passed"), (2, "blocked")):
        context = replace(setting.context({"m.py": f"x = {value}\n"}, final=True), merged=merged)
        assert (await setting.tests.check(context)).outcome == outcome


async def test_the_base_is_run_once_for_many() -> None:
    runs: list[tuple[str, ...]] = []

    async def run(paths: Sequence[str]) -> Results:
        runs.append(tuple(paths))
        await anyio.lowlevel.checkpoint()
        return {path: FileResults({f"{path}::t": "passed"}) for path in paths if path != "slow.py"}

    baseline = Baseline()
    found: list[Results] = []

    async def ask(*paths: str) -> None:
        found.append(await baseline.of("T", paths, run, "run-1"))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask, "a.py", "b.py")
        tasks.start_soon(ask, "b.py", "c.py", "slow.py")
    assert sorted(path for paths in runs for path in paths) == ["a.py", "b.py", "c.py", "slow.py"]
    assert all("b.py" in result for result in found)


@pytest.mark.parametrize("outcome", ["passed", "failed", "skipped"])
async def test_only_what_passed_is_taken_over_from_another_run(outcome: CaseOutcome) -> None:
    """Between two runs a person may install what the tests lack."""
    runs: list[str] = []

    async def run(paths: Sequence[str]) -> Results:
        runs.extend(paths)
        return {path: FileResults({f"{path}::t": outcome}) for path in paths}

    baseline = Baseline()
    for owner in ("run-1", "run-1", "run-2", "run-1"):
        await baseline.of("T", ["a.py"], run, owner)
    assert len(runs) == (1 if outcome == "passed" else 2)
    assert baseline.known_failures("T", ["a.py::t"], "run-3") == frozenset()


async def test_what_the_time_did_not_suffice_for_is_not_taken_for_the_whole_file() -> None:
    async def run(paths: Sequence[str]) -> Results:
        return {path: FileResults({f"{path}::t": "passed"}, whole=False) for path in paths}

    baseline = Baseline()
    assert (await baseline.of("T", ["a.py"], run, "run-1"))["a.py"].outcomes == {"a.py::t": "passed"}
    assert baseline.known("T", "a.py", "run-1") is None


def test_known_failures_and_passes() -> None:
    baseline = Baseline()
    body = Learned(
        results={
            "T": {"a.py": by_outcome("a.py", {"a.py::x": "passed", "a.py::y": "failed", "a.py": "failed"})}
        },
        counts="T",
        passed=passes([Case("b.py::x[::]", "passed"), Case("b.py::y", "failed")]),
    ).encode()
    baseline.take("run-1", decode(body))
    assert baseline.has_passed("run-1", "b.py::x[::]")
    assert not baseline.has_passed("run-1", "b.py::y")
    assert baseline.has_passed("run-1", "a.py::x")
    assert not baseline.has_passed("run-1", "a.py::y")
    assert not baseline.has_passed("run-2", "a.py::x"), "what another run made is not here"
    assert baseline.knows_passed("run-1")
    assert not baseline.knows_passed("run-2")
    assert baseline.known_failures("T", ["a.py::x", "a.py::y", "a.py"], "run-1") == {"a.py::y", "a.py"}
    assert Learned().encode() == b""
