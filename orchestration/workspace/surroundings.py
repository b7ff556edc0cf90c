"""What a snapshot leaves out and commands still need, noted when it is taken: installed dependencies, files
too large to store, and the rules that hide files. Checkouts read it, in any process and after a restart.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestration.errors import WorkspaceError
from orchestration.workspace.ignore_rules import IgnoreChain, IgnoreFile
from orchestration.workspace.walk import TOO_LARGE, Walk

_FILE = "surroundings"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Paths from the root. `rules`: ignore files that lie outside of it, with their bases, the strongest
    last; `outer`: where the workspace lies in its repository.
    """

    dependencies: tuple[str, ...] = ()
    large: tuple[str, ...] = ()
    rules: tuple[tuple[bytes, str], ...] = ()
    outer: str = ""

    def chain(self) -> IgnoreChain:
        return IgnoreChain(tuple(IgnoreFile(text, base) for text, base in self.rules), self.outer)

    def save(self, data: Path) -> None:
        """Raises WorkspaceError when the disk refuses."""
        fresh = data / f"{_FILE}.{os.getpid()}-{threading.get_ident()}.tmp"
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.msgpack.encode(self))
            fresh.replace(data / _FILE)
        except OSError as fault:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise WorkspaceError(
                f"{data} cannot be written: {fault.strerror}; free some space there"
            ) from fault


def load_surroundings(data: Path) -> Surroundings:
    """Those of the last snapshot; empty ones when there is none."""
    try:
        return msgspec.msgpack.decode((data / _FILE).read_bytes(), type=Surroundings)
    except (OSError, msgspec.DecodeError):
        return Surroundings()


def surroundings_of(walk: Walk) -> Surroundings:
    return Surroundings(
        dependencies=tuple(sorted(walk.dependencies)),
        large=tuple(item.path for item in walk.left_out if item.reason.startswith(TOO_LARGE)),
        rules=tuple((file.text, file.base) for file in walk.chain.files),
        outer=walk.chain.outer,
    )
