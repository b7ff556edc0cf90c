"""Files as they really are: encodings, byte order marks, line endings, modes, names. Edited, accepted, taken back."""

import codecs
import os
import socket
from pathlib import Path

from tests.e2e.bench import Bench, command, edit, write
from tests.e2e.told_model import told_in_return
from tests.model_server import ToolCall

BOM8, BOM16, BOM16B = codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
"""By name: the bytes before, what is replaced by what, and the bytes after."""
FILES = {
    "latin.txt": ("caf\xe9\n".encode("latin-1"), "café", "thé", b"th\xe9\n"),
    "u16.txt": (
        BOM16 + "one\r\ntwo\r\n".encode("utf-16-le"), "two", "zwei \U0001f600",
        BOM16 + "one\r\nzwei \U0001f600\r\n".encode("utf-16-le"),
    ),
    "u16be.txt": (BOM16B + "one\n".encode("utf-16-be"), "one", "1", BOM16B + "1\n".encode("utf-16-be")),
    "bom.py": (BOM8 + b"x = 1\r\n", "x = 1", "x = 2", BOM8 + b"x = 2\r\n"),
    "crlf.txt": (b"one\r\ntwo\r\nthree", "two", "2\nnew", b"one\r\n2\r\nnew\r\nthree"),
    "mixed.txt": (b"one\r\ntwo\nthree\r\n", "two", "zwei", b"one\r\nzwei\nthree\r\n"),
    "run.sh": (b"#!/bin/sh\necho one\n", "one", "two", b"#!/bin/sh\necho two\n"),
    "it's \"so\" \U0001f600.txt": (b"one", "one", "two", b"two"),
}  # fmt: skip


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and permission bits of every regular file."""
    found = {}
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            found[path.name] = (path.read_bytes(), path.stat().st_mode & 0o7777)
    return found


def test_every_byte_that_was_not_meant_stays(bench: Bench) -> None:
    root = bench.workspace
    for name, (before, *_) in FILES.items():
        (root / name).write_bytes(before)
    (root / "run.sh").chmod(0o755)
    (root / "bom.py").chmod(0o600)
    (root / "bin.dat").write_bytes(bytes(range(256)))
    (root / "empty").write_bytes(b"")
    (root / "untouched.bin").write_bytes(b"\xff\xfe\x00" * 7)
    start = contents(root)
    bench.model.turns["Edit"] = [
        [edit(name, search, replace) for name, (_, search, replace, _) in FILES.items()],
        [write("empty", "now\n"), edit("bin.dat", "a", "b"), write("bin.dat", "text\n")],
        [edit("latin.txt", "thé", "\u65e5")],
        [ToolCall("delete_file", {"path": "untouched.bin"})],
    ]
    run = bench.run("Edit")
    assert (run.code, run.last["state"]) == (0, "completed"), run
    told = told_in_return(bench.records.of_task("Edit"))
    assert "the file is binary" in told[len(FILES) + 1]
    assert "is cp1252 and cannot hold '\u65e5'" in told[len(FILES) + 3]
    assert contents(root) == start, "nothing is written before a decision"

    shown = bench("changes", "latest")
    assert "\r" not in shown.out
    assert "\\r" not in shown.out.replace("mixed", ""), "endings that stay are not shown"
    accepted = bench("accept", "latest", "--all", "--json")
    assert accepted.code == 0, accepted
    modes = {name: mode for name, (_, mode) in start.items()}
    expected = {name: (after, modes[name]) for name, (_, _, _, after) in FILES.items()}
    expected |= {"bin.dat": (b"text\n", modes["bin.dat"]), "empty": (b"now\n", modes["empty"])}
    assert contents(root) == expected
    undone = bench("undo", "latest")
    assert undone.code == 0, undone
    assert contents(root) == start


def test_what_can_be_no_part_of_a_snapshot_is_named_and_left_alone(bench: Bench) -> None:
    root = bench.workspace
    (root / "a.txt").write_text("one\n")
    descriptor = os.open(os.fsencode(root) + b"/bad\xff.txt", os.O_CREAT | os.O_WRONLY)
    os.close(descriptor)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as plug:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket may have some hundred bytes only
        try:
            plug.bind("plug")
        finally:
            os.chdir(here)
        with (root / "huge.bin").open("wb") as huge:
            huge.truncate(11 << 20)
        names = ("bad\udcff.txt", "pipe", "plug", "huge.bin")
        bench.model.turns["Try"] = [
            [ToolCall("read_file", {"path": name}) for name in names[1:]],
            [write(name, "x") for name in names[1:]],
            [ToolCall("list_files", {}), edit("a.txt", "one", "two")],
        ]
        run = bench.run("Try")
        assert run.code == 0, run
        told = told_in_return(bench.records.of_task("Try"))
        assert all("not available to agents" in text or "cannot be written" in text for text in told[:3]), (
            told
        )
        assert all("huge.bin" in text or "pipe" in text or "plug" in text for text in told[3:6]), told
        assert all(name in told[6] for name in ("pipe", "plug", "huge.bin")), told[6]
        left_out = {item["path"] for item in bench("show", "latest", "--json").last["leftOut"]}
        assert {"pipe", "plug", "huge.bin"} < left_out
        assert len(left_out) == 4
        assert bench("accept", "latest", "--all").code == 0
        assert (root / "huge.bin").stat().st_size == 11 << 20
        assert (root / "pipe").is_fifo()
        assert (root / "a.txt").read_text() == "two\n"


MODES = """import pathlib, os, unittest

pathlib.Path("tool.sh").chmod(0o755)
pathlib.Path("plain.txt").chmod(0o644)
pathlib.Path("made.sh").write_text("#!/bin/sh\\n")
pathlib.Path("made.sh").chmod(0o755)
os.symlink("tool.sh", "link.sh")
os.unlink("gone.sh")
os.rename("old.sh", "new.sh")
"""


def test_modes_are_decided_and_taken_back(bench: Bench) -> None:
    root = bench.workspace
    (root / "modes.py").write_text(MODES)
    (root / "tool.sh").write_text("#!/bin/sh\n")
    for name in ("plain.txt", "gone.sh", "old.sh"):
        (root / name).write_text(f"{name}\n")
        (root / name).chmod(0o755)
    start = contents(root)
    bench.model.turns["Modes"] = [[command("python3 -m unittest modes")]]
    run = bench.run("Modes")
    assert run.code == 0, run
    view = bench("changes", "latest", "--json").last
    kinds = {file["path"]: file["kind"] for file in view["files"]}
    assert kinds == {
        "tool.sh": "mode", "plain.txt": "mode", "made.sh": "create", "gone.sh": "delete", "new.sh": "rename",
    }  # fmt: skip
    assert [item["path"] for item in view["leftOut"]] == ["link.sh"]
    shown = bench("changes", "latest")
    assert "tool.sh  mode" in shown.out
    accepted = bench("accept", "latest", "--all")
    assert accepted.code == 0, accepted
    modes = {name: oct(mode) for name, (_, mode) in contents(root).items()}
    changed = {"tool.sh": "0o755", "plain.txt": "0o644", "made.sh": "0o755", "new.sh": "0o755"}
    assert modes == {**changed, "modes.py": "0o644"}
    undone = bench("undo", "latest")
    assert undone.code == 0, undone
    assert contents(root) == start
