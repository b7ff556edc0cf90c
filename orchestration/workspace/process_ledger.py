"""Who is alive: the children of this process, in memory and in a small file beside the other state.

The file lets the next start end what a killed owner left. It matters only until the next boot, so it is
replaced but not fsynced. A child is taken for ours only by pid *and* start time, or by its token.
"""

import os
import signal
from pathlib import Path

import msgspec

from orchestration.workspace.child_process import end_carriers
from orchestration.workspace.launcher import LiveProcess
from orchestration.workspace.process_identity import boot_id, is_alive, start_time


class _Child(msgspec.Struct, frozen=True):
    pid: int
    started: str
    argv: tuple[str, ...]
    at: float
    task: str
    purpose: str


class _File(msgspec.Struct, frozen=True):
    boot: str
    owner: int
    owner_started: str
    token: str
    children: tuple[_Child, ...]


class ProcessLedger:
    def __init__(self, folder: Path, token: str) -> None:
        """`token` marks every child of this owner; it names the file."""
        self._folder = folder
        self._path = folder / f"{token}.json"
        self._token = token
        self._children: dict[int, _Child] = {}
        self._owner_started = start_time(os.getpid())
        self._boot = boot_id()
        self._open = False

    def add(self, pid: int, started: str, live: LiveProcess) -> None:
        self._children[pid] = _Child(pid, started, live.argv, live.started, live.task, live.purpose)
        self._save()

    def remove(self, pid: int) -> None:
        if self._children.pop(pid, None) is not None:
            self._save()

    def prepare(self) -> None:
        """Before the first child is started, so that one we die beside is found by its token."""
        if not self._open:
            self._open = True
            self._save()

    def close(self) -> None:
        self._open = False
        self._path.unlink(missing_ok=True)

    def live(self) -> tuple[LiveProcess, ...]:
        return tuple(
            LiveProcess(child.pid, child.argv, child.at, child.task, child.purpose)
            for child in self._children.values()
        )

    def _save(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = _File(
            self._boot, os.getpid(), self._owner_started, self._token, tuple(self._children.values())
        )
        fresh = self._path.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(content))
        fresh.replace(self._path)


def end_leftovers(folder: Path) -> int:
    """Ends what dead owners left alive; returns how many processes. Called once at start."""
    ended = 0
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            left = msgspec.json.decode(path.read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError):
            path.unlink(missing_ok=True)
            continue
        same_boot = left.boot == boot_id()
        if same_boot and is_alive(left.owner, left.owner_started):
            continue
        if same_boot:
            for child in left.children:
                if is_alive(child.pid, child.started):
                    try:
                        os.killpg(child.pid, signal.SIGKILL)
                        ended += 1
                    except (ProcessLookupError, PermissionError):
                        continue
            ended += end_carriers(left.token)
        path.unlink(missing_ok=True)
    return ended
