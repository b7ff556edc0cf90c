"""Ignore rules against git itself: fixed cases and random ones."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from orchestration.workspace.ignore_rules import IgnoreChain, IgnoreFile
from orchestration.workspace.wildmatch import compile_pattern

RULES = rb"""# a comment
\#literal
\!bang
*.log
!keep.log
/top
anywhere/deep
folder/
/only/here/
a/**/z
**/sub
tail/**
q?x
[abc]1
[!abc]2
[a-c]3
[[:digit:]]4
[]]5
[^]]6
crlf
"""  # fmt: skip
RULES = (
    RULES.replace(b"crlf\n", b"crlf\r\n")
    + b"trailing\\ \nspaces   \n*.tar.gz\n*~\nx[\nbad\\\n***\xc3\xa9\n\xc3\xa9?\n**/no/re\n!/no/re/x\nlast"
)
PATHS = [
    "#literal", "!bang", "a.log", "keep.log", "d/keep.log", "d/a.log", "top", "d/top", "anywhere/deep", "d/anywhere/deep",
    "folder", "folder/x", "d/folder/x", "only/here/x", "d/only/here/x", "a/z", "a/b/z", "a/b/c/z", "z", "sub", "d/sub",
    "tail", "tail/x", "tail/d/x", "qax", "q/x", "q\u00e9x", "a1", "d1", "a2", "d2", "b3", "d3", "74", "x4", "]5", "a5",
    "]6", "a6", "trailing ", "trailing", "spaces", "spaces ", "crlf", "crlf\r", "x.tar.gz", "x.gz", "x~", "x[", "bad\\",
    "ab\u00e9", "\u00e9x", "\u00e9\u00e9", "no/re", "no/re/x", "d/no/re", "last", "d/last/x", ".log", "log",
    "with\nnewline.log", 'quo"te.log', "\U0001f600.log",
]  # fmt: skip


def _git_says(root: Path, paths: list[str]) -> set[str]:
    """Which of the paths git ignores, none of them being tracked."""
    done = subprocess.run(
        [
            "git",
            "-C",
            root,
            "-c",
            "core.excludesFile=/dev/null",
            "check-ignore",
            "-z",
            "--stdin",
            "--no-index",
        ],
        input="\0".join(paths).encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}


def _we_say(files: dict[str, bytes], paths: list[str], folders: set[str]) -> set[str]:
    ignored = set()
    for path in paths:
        chain = IgnoreChain(()).with_file(files.get("", b""), "")
        parts = path.split("/")
        for depth, name in enumerate(parts):
            here = "/".join(parts[: depth + 1])
            is_folder = depth + 1 < len(parts) or here in folders
            if chain.ignores(here, name, is_folder=is_folder):
                ignored.add(path)
                break
            chain = chain.with_file(files.get(here + "/", b""), here + "/")
    return ignored


def _make(root: Path, files: dict[str, bytes], paths: list[str]) -> set[str]:
    subprocess.run(["git", "init", "-q", root], check=True)
    folders = {"/".join(p.split("/")[:n]) for p in paths for n in range(1, p.count("/") + 1)}
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if path in folders:
            place.mkdir(exist_ok=True)
        else:
            place.write_text("")
    for folder, text in files.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / ".gitignore").write_bytes(text)
    return folders


def test_fixed_cases_are_as_git_has_them(tmp_path: Path) -> None:
    files = {"": RULES, "d/": b"!a.log\n!/keep.log\nnew\n", "tail/": b"!x\n"}
    paths = [*PATHS, "d/new", "new"]
    folders = _make(tmp_path, files, paths)
    assert _we_say(files, paths, folders) == _git_says(tmp_path, paths)


def _pattern(chance: random.Random) -> str:
    pieces = [
        "a",
        "b",
        "c",
        "ab",
        "*",
        "?",
        "**",
        "/",
        "/",
        ".x",
        "[ab]",
        "[!a]",
        "\\a",
        "[a-",
        "\\*",
        "é",
        "[[:alpha:]]",
    ]
    text = "".join(chance.choice(pieces) for _ in range(chance.randint(1, 5)))
    return chance.choice(["", "", "", "!"]) + text + chance.choice(["", "", "/"])


@pytest.mark.parametrize("seed", range(12))
def test_random_rules_are_as_git_has_them(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = ["a", "b", "c", "ab", "a.x", "b.x", "abc", "é", "aé", "*", "-"]
    made = {"/".join(chance.choice(names) for _ in range(chance.randint(1, 4))) for _ in range(120)}
    paths = sorted(made - {"a", "b", "b/a"})
    files = {
        folder: "\n".join(_pattern(chance) for _ in range(chance.randint(1, 6))).encode()
        for folder in ["", "a/", "b/a/"]
    }
    folders = _make(tmp_path, files, paths)
    assert _we_say(files, paths, folders) == _git_says(tmp_path, paths), files


@pytest.mark.parametrize("pattern", [b"a[", b"a\\", b"[", b"[a", b"[!"])
def test_a_broken_pattern_matches_nothing(pattern: bytes) -> None:
    assert compile_pattern(pattern) is None
    assert IgnoreFile(pattern + b"\n").match("a[", "a[", is_folder=False) is None
