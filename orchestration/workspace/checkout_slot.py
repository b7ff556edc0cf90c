"""One folder of the checkout pool: its files, its private index, its lock and what it last held.

A slot is held by one process at a time through an OS lock that no child inherits. What it holds is
written down only when it was prepared to the end, so a slot left half-way is made anew.
"""

import fcntl
import os
import shutil
import stat
from pathlib import Path

import msgspec


class SlotState(msgspec.Struct, frozen=True):
    """`tree` is what the index holds. `copies`: dependency folders by path with the fingerprint of what was
    copied; `files`: large files with size and time.
    """

    tree: str
    copies: dict[str, str] = {}
    files: dict[str, tuple[int, int]] = {}


class Slot:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.index = folder / "index"
        self.excludes = folder / "excludes"
        self._state = folder / "state.json"
        self._lock: int | None = None

    def claim(self) -> bool:
        """False when another process (or task) holds it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock = fd
        return True

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def state(self) -> SlotState | None:
        try:
            found = msgspec.json.decode(self._state.read_bytes(), type=SlotState)
        except (OSError, msgspec.DecodeError):
            return None
        return found if self.tree.is_dir() and self.index.is_file() else None

    def begin(self) -> None:
        self._state.unlink(missing_ok=True)

    def finish(self, state: SlotState) -> None:
        fresh = self._state.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(self._state)

    def empty(self) -> None:
        """Removes what it holds, whatever its permissions."""
        self.begin()
        remove_tree(self.tree)
        for path in self.folder.iterdir():
            if path.name != "lock":
                remove_tree(path)
        self.tree.mkdir(mode=0o700)


def remove_tree(path: Path) -> None:
    """A file, or a folder with everything in it, folders without write permission included."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return

    try:
        shutil.rmtree(path)
    except PermissionError:
        path.chmod(stat.S_IRWXU)
        for place, folders, _ in os.walk(path):
            for name in folders:
                below = Path(place, name)
                if not below.is_symlink():
                    below.chmod(stat.S_IRWXU)
        shutil.rmtree(path)
