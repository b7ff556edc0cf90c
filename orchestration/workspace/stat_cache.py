"""What the last snapshot saw of each file, so that the next one reads only what changed.

A file is taken as unchanged when size, times, inode and mode are those of last time. One that was
written about when it was read is not remembered: a later write in the same tick would look the same
(git's "racy" entries). The file is a cache: damaged or missing, everything is read again.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

_VERSION = 3
_FILE = "snapshot-cache"
_TICK_NS = 50_000_000  # above the coarsest kernel tick
_COARSE_NS = 2_000_000_000  # file systems that keep whole seconds


class SeenFile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    oid: str


class SeenFolder(msgspec.Struct, array_like=True):
    """`tree` is the folder's id, `below` those of its folders, `entries` how many files it held (some may
    not be remembered).
    """

    tree: str
    files: dict[str, SeenFile]
    below: dict[str, str] = {}
    entries: int = 0


class StatCache(msgspec.Struct, array_like=True):
    """By folder ("" or ending with `/`). `root` and `tree` say whose and which snapshot it was."""

    version: int
    root: str
    tree: str
    folders: dict[str, SeenFolder]

    @classmethod
    def empty(cls, root: str) -> "StatCache":
        return cls(_VERSION, root, "", {})

    @classmethod
    def load(cls, data: Path, root: str) -> "StatCache":
        """`data`: the workspace's data folder."""
        found = _decoded(data)
        return found if found is not None and found.root == root else cls.empty(root)

    def save(self, data: Path) -> None:
        """Where there is no room for it, the next snapshot reads more."""
        path = data / _FILE
        fresh = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.msgpack.encode(self))
            fresh.replace(path)
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)


def _decoded(data: Path) -> StatCache | None:
    try:
        found = msgspec.msgpack.decode((data / _FILE).read_bytes(), type=StatCache)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.version == _VERSION else None


def remembered_tree(data: Path) -> str:
    """The tree that holds everything the cache remembers; "" when it remembers nothing."""
    found = _decoded(data)
    return "" if found is None else found.tree


def seen(found: os.stat_result, oid: str, read_at_ns: int) -> SeenFile | None:
    """None when the file changed too shortly before it was read to be trusted."""
    latest = max(found.st_mtime_ns, found.st_ctime_ns)
    coarse = found.st_mtime_ns % 1_000_000_000 == 0 and found.st_ctime_ns % 1_000_000_000 == 0
    if latest + (_COARSE_NS if coarse else _TICK_NS) > read_at_ns:
        return None
    return SeenFile(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode, oid)


def unchanged(before: SeenFile, found: os.stat_result) -> bool:
    return (
        before.mtime_ns == found.st_mtime_ns
        and before.ctime_ns == found.st_ctime_ns
        and before.size == found.st_size
        and before.inode == found.st_ino
        and before.mode == found.st_mode
    )
