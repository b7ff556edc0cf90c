"""The report of an internal error: a traceback in the user's data folder, for whoever mends it.

Texts of exceptions may quote what a model or a file said, so the file is private to the user.
"""

import os
import sys
import time
import traceback
from collections.abc import Mapping


def report(error: BaseException, environ: Mapping[str, str]) -> str:
    """Writes the traceback and says where it is; with ANTIPHON_DEBUG it also goes to standard error."""
    text = "".join(traceback.format_exception(error))
    if environ.get("ANTIPHON_DEBUG"):
        sys.stderr.write(text)
    try:
        from server.settings import load

        folder = load(environ=environ).data_folder(environ) / "logs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except Exception as second:  # noqa: BLE001 - a report that cannot be written must not hide the error itself
        return f"the report could not be written ({second}); ANTIPHON_DEBUG=1 shows it"
    return f"the report is in {file}; please attach it when you report the bug"
