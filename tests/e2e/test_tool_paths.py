"""What a model may name: each bad path is an answer that names the mend, and the run goes on to its end."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.bench import Bench, command, edit, write
from tests.e2e.told_model import told_in_return
from tests.model_server import ToolCall

TITLE = "Try it"


def answers(bench: Bench, *calls: ToolCall) -> list[str]:
    """What the model was told for each of these calls, which one run makes, one a turn."""
    bench.model.turns[TITLE] = [[call] for call in calls]
    run = bench.run(TITLE)
    assert run.code == 0, run
    assert run.last["state"] == "completed"
    return told_in_return(bench.records.of_task(TITLE))[-len(calls) :]


def read(path: str, **more: Any) -> ToolCall:
    return ToolCall("read_file", {"path": path, **more})


def test_half_a_character_is_sent_again_whole(bench: Bench) -> None:
    (bench.workspace / "a.txt").write_text("one\n")
    half = '{"path": "a.txt", "content": "half \\ud83d"}'
    whole = '{"path": "b.txt", "content": "whole \\ud83d\\ude00"}'
    told = answers(
        bench,
        ToolCall("write_file", half),
        ToolCall("read_file", '{"path": "\\udce9.txt"}'),
        ToolCall("run_command", '{"command": "echo \\udc80"}'),
        ToolCall("finish_", '{"summary": "\\ud800"}'),
        ToolCall("write_file", whole),
    )
    assert all("half of a character" in text for text in told[:3])
    assert "There is no tool 'finish_' here" in told[3]
    accepted = bench("accept", "latest", "--all")
    assert accepted.code == 0, accepted
    assert (bench.workspace / "a.txt").read_text() == "one\n"
    assert (bench.workspace / "b.txt").read_bytes() == "whole \U0001f600".encode()


NO_PATHS = {
    "../secret": "leads outside the workspace",
    "/etc/passwd": "is outside the workspace",
    "file:///etc/passwd": "is an address, not a path",
    "~/.ssh/id_rsa": "is in the home folder",
    ".git/config": "version control's own folder",
    "src\\a.py": "write paths with '/'",
    "a\x00b": "NUL character",
    "x" * 256: "longer than the 255 bytes",
    "d/" + "\u00e9" * 128 + "/a": "longer than the 255 bytes",
    "": "workspace itself",
    ".": "workspace itself",
}


def test_a_path_that_is_none(bench: Bench) -> None:
    (bench.workspace / "a.txt").write_text("one\n")
    titles = [f"Path {number}" for number in range(len(NO_PATHS))]
    for title, path in zip(titles, NO_PATHS, strict=True):
        calls = (write(path, "x"), edit(path, "one", "two"), ToolCall("delete_file", {"path": path}))
        moves = (
            ToolCall("move_file", {"path": "a.txt", "to": path}),
            ToolCall("move_file", {"path": path, "to": "z"}),
        )
        bench.model.turns[title] = [(*calls, *moves)]
    run = bench.run(*titles)
    assert run.code == 0, run
    for title, reason in zip(titles, NO_PATHS.values(), strict=True):
        told = told_in_return(bench.records.of_task(title))
        assert len(told) == 5
        assert all(reason in text for text in told), told
    assert bench("changes", "latest", "--json").last["files"] == []


def test_folders_and_missing_files_are_told_apart(bench: Bench) -> None:
    (bench.workspace / "src").mkdir()
    (bench.workspace / "src" / "a.py").write_text("x = 1\n")
    told = answers(
        bench, read("src"), read("A.py"), read("src/a.py/b"), write("src", "x"), write("src/a.py/b", "x"),
        ToolCall("delete_file", {"path": "src"}), ToolCall("list_files", {"path": "src/a.py"}),
        ToolCall("list_files", {"path": "none"}), read("src/a.py", offset=9),
        ToolCall("search", {"pattern": "("}), ToolCall("search", {"pattern": "x", "path": "none"}),
    )  # fmt: skip
    assert "src is a folder; list_files shows what is in it." in told[0]
    assert "There is no file A.py. Files of that name: src/a.py." in told[1]
    assert "There is no file src/a.py/b." in told[2]
    assert "is a directory, not a file" in told[3]
    assert "src/a.py is a file, so nothing can be created below it" in told[4]
    assert "there is no file src;" in told[5]
    assert told[6] == "src/a.py"
    assert "No files in none." in told[7]
    assert "src/a.py has 1 lines; offset 9 is behind its end." in told[8]
    assert "is no valid regular expression" in told[9]
    assert "No match for 'x' in 0 files." in told[10]


def test_links_are_followed_inside_and_named_outside(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary\n")
    root = bench.workspace
    (root / "real.txt").write_text("one\n")
    (root / ".vscode").mkdir()
    (root / ".vscode" / "settings.json").write_text("{}\n")
    for name, target in {
        "inside": "real.txt", "dangling": "nothing", "loop": "loop", "outside": str(secret), "up": "..",
        "settings": ".vscode/settings.json",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    told = answers(
        bench, read("inside"), read("dangling"), read("loop"), read("outside"), read("up/secret"),
        ToolCall("search", {"pattern": "canary|one"}), write("outside", "x"), write("up/new", "x"),
        write("settings", "{}"), edit("inside", "one", "two"), ToolCall("delete_file", {"path": "dangling"}),
    )  # fmt: skip
    assert told[0] == "one\n"
    assert "dangling is a link to nothing, which is not there" in told[1]
    assert "more than 40 links" in told[2]
    assert all("outside the workspace" in told[n] or "not available" in told[n] for n in (3, 4)), told
    assert "inside:1: one" in told[5]
    assert "canary" not in "".join(told)
    assert "outside" in told[6]
    assert "outside" in told[7]
    assert ".vscode/settings.json is protected" in told[8]
    [left_out] = bench("changes", "latest", "--json").last["leftOut"]
    assert left_out["path"] == "dangling"
    assert "an agent deleted this symbolic link" in left_out["reason"]
    assert "dangling  not proposed  an agent deleted" in bench("changes", "latest", "--stat").out
    accepted = bench("accept", "latest", "--all", "--json")
    assert accepted.code == 0, accepted
    assert (root / "real.txt").read_text() == "two\n"
    assert (root / "inside").is_symlink()
    assert (root / "dangling").is_symlink()
    assert secret.read_text() == "canary\n"
    assert not (tmp_path / "new").exists()


def test_a_name_with_a_line_break_is_edited_but_not_made(bench: Bench) -> None:
    names = ("two\nlines.txt", "tab\there.txt", "quo\"te's.txt", "emoji \U0001f600.txt", "-rf")
    for name in names:
        (bench.workspace / name).write_text("one\n")
    told = answers(bench, *(edit(name, "one", "two") for name in names), write("new\nname.txt", "x"))
    assert "must not hold a line break" in told[-1]
    shown = bench("changes", "latest")
    assert "two\\nlines.txt" in shown.out
    one = bench("accept", "latest", "--file", "two\nlines.txt")
    assert one.code == 0, one
    rest = bench("accept", "latest", "--all")
    assert rest.code == 0, rest
    assert {path.name for path in bench.workspace.iterdir()} == set(names)
    assert all((bench.workspace / name).read_text() == "two\n" for name in names)


def test_a_command_that_is_none(bench: Bench) -> None:
    told = answers(
        bench, command("no-such-program --help"), command("ls 'unclosed"), command("  "), command("rm -rf /"),
        command("ls /; cat a > b"), command("git status"),
    )  # fmt: skip
    for text in told:
        assert "Traceback" not in text
        assert "nobody can be asked" in text or "exit code" in text or "empty" in text, text


def test_arguments_that_are_no_json_or_of_the_wrong_type(bench: Bench) -> None:
    told = answers(
        bench,
        ToolCall("read_file", '{"path": "a'),
        ToolCall("read_file", "[]"),
        ToolCall("read_file", json.dumps({"path": ["a"]})),
        ToolCall("edit_file", json.dumps({"path": "a", "edits": []})),
        ToolCall("edit_file", json.dumps({"path": "a", "edits": [{"search": "x"}]})),
        ToolCall("submit_plan", json.dumps({"tasks": []})),
    )
    assert "are not valid JSON" in told[0]
    assert all("are not right" in told[n] for n in (1, 2, 4)), told
    assert "`edits` is empty" in told[3]
    assert "There is no tool 'submit_plan' here" in told[5]
