"""Git's object formats: ids, trees and commits as bytes. Pure; where objects are kept is not its concern.

The formats are those of git's own documentation (gitformat-pack, git-hash-object, git-commit-tree).
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from orchestration.workspace.objects import TREE, Entry

Tree = Mapping[str, Entry]
"""Name to entry, folders included (mode TREE), in git's order."""

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_AUTHOR = b"Antiphon <antiphon@localhost>"


class Commit(NamedTuple):
    tree: str
    parents: tuple[str, ...]
    when: int
    message: str


def object_id(kind: str, body: bytes) -> str:
    digest = hashlib.sha1(b"%s %d\0" % (kind.encode(), len(body)), usedforsecurity=False)
    digest.update(body)
    return digest.hexdigest()


def parse_tree(body: bytes) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    at, end = 0, len(body)
    while at < end:
        space = body.index(b" ", at)
        stop = body.index(b"\0", space)
        name = body[space + 1 : stop].decode("utf-8", "surrogateescape")
        found[name] = Entry(int(body[at:space], 8), body[stop + 1 : stop + 21].hex())
        at = stop + 21
    return found


def in_order(entries: Iterable[tuple[str, Entry]]) -> dict[str, Entry]:
    """Git's order: by bytes, folders as if their names ended with a slash."""
    return dict(
        sorted(
            entries,
            key=lambda item: (item[0] + "/" if item[1].mode == TREE else item[0]).encode(
                "utf-8", "surrogateescape"
            ),
        )
    )


def format_tree(tree: Tree) -> bytes:
    """`tree` must be in order."""
    return b"".join(
        b"%o %s\0%s" % (entry.mode, name.encode("utf-8", "surrogateescape"), bytes.fromhex(entry.oid))
        for name, entry in tree.items()
    )


def parse_commit(body: bytes) -> Commit:
    head, _, message = body.partition(b"\n\n")
    tree, parents, when = "", [], 0
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree":
            tree = value.decode()
        elif key == b"parent":
            parents.append(value.decode())
        elif key == b"committer":
            when = int(value.rsplit(b" ", 2)[1])
    return Commit(tree, tuple(parents), when, message.decode("utf-8", "replace"))


def format_commit(commit: Commit) -> bytes:
    """Deterministic: our own author, UTC."""
    stamp = b"%s %d +0000" % (_AUTHOR, commit.when)
    lines = [b"tree " + commit.tree.encode(), *(b"parent " + parent.encode() for parent in commit.parents)]
    lines += [b"author " + stamp, b"committer " + stamp, b"", commit.message.encode("utf-8", "replace")]
    body = b"\n".join(lines)
    return body if body.endswith(b"\n") else body + b"\n"
