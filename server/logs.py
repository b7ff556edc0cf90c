"""The log: JSON lines with run and task ids, on standard error and in a rotating file, never on standard output.

Known secret values are replaced in every line. A client that does not read standard error loses lines of
it, never time: the file has them all.
"""

import json
import logging
import logging.handlers
import os
import select
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_FILE = "server.log"
_FILE_BYTES = 5 << 20
_FILES = 4
_SHORTEST_SECRET = 8
_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
# What `extra` may carry into a line.
_FIELDS = ("run_id", "task_id", "workspace", "request")
# POSIX: a pipe that is ready takes this much at once without blocking.
_PIPE_BUF = 512 if sys.platform == "darwin" else 4096


class JsonLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._secrets: tuple[str, ...] = ()

    def hide(self, secrets: Iterable[str]) -> None:
        """Longest first, so that a secret which contains another goes as a whole."""
        self._secrets = tuple(sorted({*self._secrets, *secrets}, key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: self._clean(value) for key, value in line.items()}, default=str)

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, "[secret]")
        return value


class StderrLines(logging.Handler):
    """Writes a line only when that cannot block; says later how many were lost."""

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self._fd = fd
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record).encode(errors="backslashreplace")
        if len(line) >= _PIPE_BUF:
            short = {
                "level": record.levelname.lower(),
                "message": f"a line of {len(line)} bytes is in the file",
            }
            line = json.dumps(short).encode()
        if not self._write(line + b"\n"):
            self._lost += 1
        elif self._lost:
            lost, self._lost = self._lost, 0
            self._write(
                json.dumps({"level": "warning", "message": f"{lost} lines were lost here"}).encode() + b"\n"
            )

    def _write(self, line: bytes) -> bool:
        try:
            if select.select([], [self._fd], [], 0)[1]:
                os.write(self._fd, line)
                return True
        except (OSError, ValueError):
            pass
        return False


_FORMATTER = JsonLines()


def begin() -> None:
    """Standard error alone, until the settings say where the file is. Editors show what comes there as
    errors, so only warnings go there.
    """
    handler = StderrLines()
    handler.setFormatter(_FORMATTER)
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _FORMATTER.hide(secret_values(os.environ))
    # The stock library tells the whole of every message at this level.
    logging.getLogger("pygls").setLevel(logging.WARNING)


def hide(secret: str) -> None:
    """Of a key that came later than the settings: no line holds it from now on."""
    if len(secret) >= _SHORTEST_SECRET:
        _FORMATTER.hide([secret])


def keep_file(folder: Path, level: str, secrets: Iterable[str] = ()) -> None:
    """Adds the rotating file below `folder`; a folder that cannot be written is said and does without."""
    _FORMATTER.hide(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
    root = logging.getLogger()
    root.setLevel(level.upper())
    if level == "debug":
        for known in root.handlers:
            known.setLevel(logging.DEBUG)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            folder / _FILE,
            maxBytes=_FILE_BYTES,
            backupCount=_FILES,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        logging.getLogger(__name__).warning("antiphon: no log file in %s: %s", folder, error.strerror)
        return
    handler.setFormatter(_FORMATTER)
    root.addHandler(handler)
    logging.raiseExceptions = False  # on a full disk each line would otherwise print a traceback


def secret_values(environ: Mapping[str, str]) -> list[str]:
    """Values of variables whose name says that they are secret."""
    return [
        value
        for name, value in environ.items()
        if len(value) >= _SHORTEST_SECRET and any(word in name.upper() for word in _SECRET_NAMES)
    ]
