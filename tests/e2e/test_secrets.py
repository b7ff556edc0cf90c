"""A key is nowhere: not in logs, journals, outputs, arguments or environments of children, nor before a model."""

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.bench import Bench, command, edit, task, write
from tests.e2e.command_line import Antiphon
from tests.e2e.told_model import Told, told_in_return
from tests.model_server import ModelServer, ToolCall

CANARY = "sk-canary-4b1d6e0c93f7"
OTHER = "ghp_canary8Zq2Lk55x"
"""A secret that is no key of a provider's."""

LOOK = """import os
import pathlib
import unittest

seen = [repr(sorted(os.environ.items()))]
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        seen.append((process / "cmdline").read_bytes().replace(b"\\\\0", b" ").decode(errors="replace"))
    except OSError:
        continue
pathlib.Path("seen.txt").write_text("\\\\n".join(seen))


class Look(unittest.TestCase):
    def test_look(self):
        print("a test ran")
""".replace("\\\\", "\\")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    workspace = tmp_path / "work space"
    workspace.mkdir()
    model = Told()
    with ModelServer(model, api_key=CANARY) as server:
        variables = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": CANARY, "GITHUB_TOKEN": OTHER}
        yield Bench(
            Antiphon(tmp_path / "home", {**variables, "ANTIPHON_LOG_LEVEL": "debug"}),
            workspace,
            model,
            server,
        )


def holding(folder: Path, *secrets: str) -> list[str]:
    """Files that hold a secret in their bytes, or in what git's objects hold packed."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if "objects" in path.parts:
            with suppress(zlib.error):
                data += zlib.decompress(data)
        if any(secret.encode() in data for secret in secrets):
            found.append(str(path.relative_to(folder)))
    return found


def test_a_run_with_commands_and_gates(bench: Bench) -> None:
    (bench.workspace / "test_look.py").write_text(LOOK)
    (bench.workspace / "a.py").write_text("x = 1\n")
    bench.model.turns["Look"] = [[command("python3 -m unittest test_look")], [edit("a.py", "1", "2")]]
    run = bench.run(task("Look", tests=["test_look.py"]), more=("--accept", "all"))
    assert run.code == 0, run
    seen = (bench.workspace / "seen.txt").read_text()
    assert "-m unittest" in seen, "the command could look around"
    outputs = [run.out, run.errors, seen]
    for words in (
        ["show", "latest"],
        ["show", "latest", "--json"],
        ["changes", "latest"],
        ["doctor"],
        ["runs"],
    ):
        done = bench(words[0], *words[1:])
        outputs += [done.out, done.errors]
    wrong = dict(bench.antiphon.variables)
    bench.antiphon.variables["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    failed = bench("run", "No one answers", "--model", "openai/test-model", "--json")
    assert failed.code == 1, failed
    bench.antiphon.variables.update(wrong)
    outputs += [failed.out, failed.errors]
    assert not [text for text in outputs if CANARY in text or OTHER in text]
    assert not [request for request in bench.records.all() if CANARY.encode() in request.raw]
    assert holding(bench.antiphon.home, CANARY, OTHER) == []
    assert list((bench.data / "logs").glob("*.log")), "there is a log that could have held it"


def test_a_key_in_a_file_is_not_shown_to_the_model_and_the_file_is_not_rewritten(bench: Bench) -> None:
    root = bench.workspace
    (root / "settings.py").write_text(f'KEY = "{CANARY}"\nNAME = "one"\n')
    (root / "notes.txt").write_text(f"token {OTHER}\nhello\n")
    (root / "AGENTS.md").write_text(f"Use {CANARY} everywhere.\n")
    (root / "test_show.py").write_text(
        "import unittest\n\nimport settings\n\n\nclass Show(unittest.TestCase):\n    def test_show(self):\n"
        "        self.assertEqual(settings.NAME, 'two', settings.KEY)\n"
    )
    bench.model.turns["Read"] = [
        [ToolCall("read_file", {"path": "settings.py"}), ToolCall("search", {"pattern": "token|KEY"})],
        [command("cat settings.py notes.txt")],
        [write("settings.py", 'KEY = "[secret withheld]"\nNAME = "two"\n')],
        [write("copy.txt", f"the model knows {CANARY} by magic\n")],
        [edit("settings.py", '"one"', '"three"')],
    ]
    run = bench.run(task("Read", tests=["test_show.py"]))
    assert (run.code, run.last["state"]) == (1, "failed"), run
    requests = bench.records.of_task("Read")
    assert not [
        request for request in requests if CANARY.encode() in request.raw or OTHER.encode() in request.raw
    ]
    assert "[secret withheld] everywhere" in json.dumps(requests[0].messages)
    told = told_in_return([request for request in requests if request.turn == 5][:1])
    assert told[0] == 'KEY = "[secret withheld]"\nNAME = "one"\n'
    assert "notes.txt:1: token [secret withheld]" in told[1]
    assert "token [secret withheld]" in told[2]
    assert "stands for a secret that you are not shown" in told[3]
    assert "stands for a secret that you are not shown" in told[4]
    assert "changed settings.py" in told[5]
    retried = [request for request in requests if request.turn == 0][1]
    assert "[secret withheld]" in retried.first_user_text, "the gate's output, too"
    shown = bench("show", "latest", "--task", "read")
    assert CANARY not in shown.out
    found = [
        name
        for name in holding(bench.data, CANARY, OTHER)
        if "objects" not in name and "checkouts" not in name
    ]
    assert found == [], "only copies of the user's files hold what these hold"

    bench.model.turns["Read"] = [[edit("settings.py", '"one"', '"two"')]]
    again = bench.run(task("Read", tests=["test_show.py"]), more=("--accept", "all"))
    assert again.code == 0, again
    assert (root / "settings.py").read_text() == f'KEY = "{CANARY}"\nNAME = "two"\n'
    assert not (root / "copy.txt").exists()
