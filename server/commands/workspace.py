"""Which folder a command works on, and what is refused before anything starts."""

import os
from pathlib import Path

from orchestration.errors import UsageError, WorkspaceError


def resolved(given: str | None) -> Path:
    """The real path of the workspace. Raises UsageError for an empty name, WorkspaceError for one that is missing, no folder or unreadable."""
    if given is not None and not given.strip():
        raise UsageError("--workspace is empty; give a folder, or leave it out for the current one")
    try:
        root = Path(os.path.realpath(given or Path.cwd()))
    except FileNotFoundError as error:
        raise WorkspaceError(
            "the current folder no longer exists; change to another one or use --workspace DIR"
        ) from error
    if not root.exists():
        raise WorkspaceError(f"the workspace {root} does not exist; create it or correct --workspace")
    if not root.is_dir():
        raise WorkspaceError(f"the workspace {root} is a file; give the folder that holds it")
    if not os.access(root, os.R_OK | os.X_OK):
        raise WorkspaceError(f"the workspace {root} cannot be read; check its permissions")
    return root


def require_writable(root: Path) -> None:
    """Raises WorkspaceError where accepted changes could never be written."""
    if not os.access(root, os.W_OK):
        raise WorkspaceError(
            f"the workspace {root} is read-only, so accepted changes could not be written; "
            "make it writable, or copy it and use --workspace"
        )
