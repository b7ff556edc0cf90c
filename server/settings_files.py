"""Reads a configuration file: bounded, regular, UTF-8, TOML; a workspace's own never through a link out of it."""

import os
import stat
from pathlib import Path

from orchestration.errors import ConfigurationError

WORKSPACE_FILE = Path(".antiphon", "config.toml")
_LARGEST_FILE = 1 << 20


def user_file() -> Path:
    import platformdirs

    return platformdirs.user_config_path("antiphon", appauthor=False) / "config.toml"


def read(file: Path, *, follow: bool) -> str | None:
    """None when there is no such file. Opens without blocking, so that a pipe cannot hold us up."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(file, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigurationError(f"{file} is not a regular file; a configuration must be one")
        data = stream.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ConfigurationError(f"{file} is larger than 1 MB; that is no configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def read_inside(file: Path, workspace: Path) -> str | None:
    """A workspace's own file; one that leads out of the workspace by a symbolic link is refused."""
    real = Path(os.path.realpath(file))
    if real != Path(os.path.realpath(workspace)) / WORKSPACE_FILE:
        raise ConfigurationError(f"{file} is a symbolic link to {real}; make it a regular file")
    return read(file, follow=False)


def parse(content: str, file: Path) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from error
