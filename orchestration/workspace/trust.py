"""Which workspaces the user trusts: whose code and configuration may start processes.

A grant holds for the folder's real path (a path inside a repository's metadata proves nothing) and for the
content of the files that can cause something to run; when one of them appears, changes or goes, the grant
no longer holds and must be given anew. Kept outside every workspace, readable by the user alone.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from orchestration.errors import ConfigurationError
from orchestration.workspace.durable import replace_file
from orchestration.workspace.file_contents import NotTakenError, read_still
from orchestration.workspace.path_guard import canonical_name

# What can start something before anybody looks at it: our own configuration, and what tool servers and
# agents that we may start read by themselves. Ordinary code and build files are not here (running them is
# what trust is asked for), nor what editors rewrite all day.
_WHOLE = ".antiphon"
_FILES: dict[str, frozenset[str]] = {
    "": frozenset({".mcp.json"}),
    ".claude": frozenset({"settings.json", "settings.local.json"}),
    ".codex": frozenset({"config.toml"}),
    ".cursor": frozenset({"mcp.json", "hooks.json"}),
    ".gemini": frozenset({"settings.json"}),
    ".vscode": frozenset({"mcp.json"}),
}
_MOST_FILES = 2_000
_LARGEST = 1024 * 1024


class _Grant(msgspec.Struct, frozen=True):
    digest: str
    files: int
    at: float


class _File(msgspec.Struct, frozen=True):
    version: int
    grants: dict[str, _Grant]


class Trusted(msgspec.Struct, frozen=True):
    """A grant; `holds` is False when a file it was given for has changed. `at`: Unix seconds."""

    root: str
    at: float
    holds: bool


class TrustStore:
    def __init__(self, data_root: Path) -> None:
        """`data_root`: the user's data folder of Antiphon."""
        self._path = data_root / "trust.json"

    def is_trusted(self, root: Path) -> bool:
        """Reads the grant and the files it was given for. False when anything cannot be read."""
        real = os.path.realpath(root)
        grant = self._load().get(real)
        return grant is not None and self._holds(real, grant)

    def grant(self, root: Path, *, now: float) -> None:
        """Trusts the folder as it is now. Raises ConfigurationError when that cannot be written or the files
        cannot be read.
        """
        real = os.path.realpath(root)
        digest, files = self._digest(real)
        if not digest:
            raise ConfigurationError(
                f"the configuration files in {real} cannot be read, so they cannot be trusted"
            )
        self._save({**self._load(), real: _Grant(digest, files, now)})

    def revoke(self, root: Path) -> bool:
        """False when it was not trusted."""
        grants = self._load()
        gone = grants.pop(os.path.realpath(root), None)
        if gone is not None:
            self._save(grants)
        return gone is not None

    def list(self) -> tuple[Trusted, ...]:
        return tuple(
            Trusted(root, grant.at, self._holds(root, grant)) for root, grant in sorted(self._load().items())
        )

    def _holds(self, real: str, grant: _Grant) -> bool:
        return self._digest(real)[0] == grant.digest

    def _load(self) -> dict[str, _Grant]:
        try:
            state = self._path.lstat()
            if state.st_uid != os.getuid() or state.st_mode & 0o022:
                return {}  # somebody else may have written it
            return msgspec.json.decode(self._path.read_bytes(), type=_File).grants
        except (OSError, msgspec.DecodeError):
            return {}

    def _save(self, grants: dict[str, _Grant]) -> None:
        try:
            replace_file(self._path, msgspec.json.encode(_File(1, grants)), 0o600)
        except OSError as fault:
            raise ConfigurationError(f"{self._path} cannot be written: {fault.strerror}") from fault

    def _digest(self, real: str) -> tuple[str, int]:
        """Of names and contents; "" when something cannot be read. And the number of files."""
        digest = hashlib.sha256()
        count = 0
        try:
            for path in _deciding_files(Path(real)):
                count += 1
                if count > _MOST_FILES:
                    return "", count
                data = os.fsencode(path.readlink()) if path.is_symlink() else read_still(str(path))[0]
                if len(data) > _LARGEST:
                    return "", count
                name = os.fsencode(path.relative_to(real))
                digest.update(b"%d:%s%d:%s" % (len(name), name, len(data), data))
        except (OSError, NotTakenError):
            return "", count
        return digest.hexdigest(), count


def _deciding_files(root: Path) -> list[Path]:
    """Sorted. Names are compared as the laxest file system does; links count as themselves."""
    found: list[Path] = []
    for entry in root.iterdir():
        name = canonical_name(entry.name)
        if name == _WHOLE:
            found += _files_below(entry)
        elif name in _FILES and _is_folder(entry):
            found += [file for file in entry.iterdir() if canonical_name(file.name) in _FILES[name]]
        elif name in _FILES or name in _FILES[""]:
            found.append(entry)
    return sorted(found)


def _files_below(place: Path) -> list[Path]:
    if not _is_folder(place):
        return [place]
    return [Path(folder, file) for folder, _, files in os.walk(place) for file in files]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
