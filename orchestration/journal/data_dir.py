"""Where Antiphon keeps its data: in the user's data folder, one home for each workspace, never inside it.

A home is named after the workspace's real path and says in `workspace.json` whose it is. What is inside
belongs to others: `index.sqlite` and `runs/` to the journal, the shadow repository to `workspace/`.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from orchestration.errors import ConfigurationError, DataFolderError, JournalError, SchemaTooNewError

VARIABLE = "ANTIPHON_DATA_DIR"
_SCHEMA = 1
_ELSEWHERE = f"name another folder with {VARIABLE} or the setting `data_dir`"


class _Card(msgspec.Struct, frozen=True, rename="camel"):
    """The content of `workspace.json`."""

    schema: int
    id: str
    path: str


@dataclass(frozen=True, slots=True)
class WorkspaceHome:
    """`workspace` is the real path of the workspace, `path` the folder that holds its data, mode 0700."""

    workspace_id: str
    workspace: Path
    path: Path


def data_root(environment: Mapping[str, str], override: Path | None = None) -> Path:
    """The folder of all data: `override` (the setting `data_dir`), else ANTIPHON_DATA_DIR, else the system's
    place for a user's data. Not created here. Raises ConfigurationError for a relative path.
    """
    if override is not None:
        return _absolute(override.expanduser(), "the setting `data_dir`")
    if named := environment.get(VARIABLE):
        return _absolute(Path(named), VARIABLE)
    if (xdg := environment.get("XDG_DATA_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "antiphon"
    return platformdirs.user_data_path("antiphon", appauthor=False)


def workspace_home(root: Path, data_root: Path, *, allow_inside: bool = False) -> WorkspaceHome:
    """The home of the workspace at `root`, created when it is missing.

    Raises ConfigurationError when it would lie inside the workspace (unless `allow_inside`) and DataFolderError
    when the folder cannot be created or written, JournalError when it cannot be read.
    """
    if not allow_inside:
        refuse_inside(root, data_root)
    workspace = Path(os.path.realpath(root))
    place = Path(os.path.realpath(data_root))
    digest = hashlib.sha256(os.fsencode(workspace)).hexdigest()[:16]
    slug = re.sub(r"[^a-z0-9]+", "-", workspace.name.lower()).strip("-")[:32]
    home = WorkspaceHome(
        f"ws-{digest}", workspace, place / "workspaces" / (f"{slug}-{digest}" if slug else digest)
    )
    try:
        make_private(home.path)
        _write_card(home)
    except OSError as error:
        raise DataFolderError(
            f"cannot use {home.path} for the data of this workspace: {error.strerror}; make it writable or {_ELSEWHERE}"
        ) from error
    return home


def refuse_inside(root: Path, data_root: Path) -> None:
    """Raises ConfigurationError when the data would lie inside the workspace at `root`."""
    workspace = Path(os.path.realpath(root))
    place = Path(os.path.realpath(data_root))
    if place == workspace or workspace in place.parents:
        raise ConfigurationError(
            f"the data folder {place} lies inside the workspace {workspace}, where agents work; {_ELSEWHERE}"
        )


def make_private(folder: Path) -> None:
    """Creates a folder and its missing parents with mode 0700, each durably in its parent. Raises OSError."""
    if folder.is_dir():
        return
    make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _absolute(path: Path, source: str) -> Path:
    if not path.is_absolute():
        raise ConfigurationError(f"{source} is {str(path)!r}: give an absolute path")
    return path


def _write_card(home: WorkspaceHome) -> None:
    file = home.path / "workspace.json"
    path = os.fsencode(home.workspace).decode("utf-8", "backslashreplace")
    try:
        card = msgspec.json.decode(file.read_bytes(), type=_Card)
    except FileNotFoundError:
        card = _Card(_SCHEMA, home.workspace_id, path)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        with draft.open("wb") as stream:
            stream.write(msgspec.json.encode(card))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
        sync_folder(home.path)
    except msgspec.MsgspecError as error:
        raise JournalError(
            f"{file} cannot be read ({error}); move it aside and it is written anew"
        ) from error
    if card.schema > _SCHEMA:
        raise SchemaTooNewError(f"{file} was written by a newer Antiphon; update this one or {_ELSEWHERE}")
    if card.path != path:
        raise DataFolderError(
            f"{file} belongs to the workspace {card.path}, not to {path}; move {home.path} aside or {_ELSEWHERE}"
        )
