"""Whether a process that left its mark in a file still lives, across reuse of its number and reboots.

An identity is the start time of a process with, on Linux, the boot it belongs to. Nothing is started or
signalled here.
"""

import ctypes
import functools
import os
import struct
import sys
from pathlib import Path

_UNKNOWN = "?"  # alive, but this system does not say since when


def identity(pid: int) -> str | None:
    """Tells two processes of the same number apart; None when no such process runs (a zombie does not)."""
    if pid <= 0:
        return None
    return _own_identity(pid) if pid == os.getpid() else _identity(pid)


def is_alive(pid: int, known: str) -> bool:
    """True when the process that had `known` as its identity still runs."""
    now = identity(pid)
    return now is not None and (now == known or _UNKNOWN in (now, known))


def _identity(pid: int) -> str | None:
    if sys.platform == "linux":
        return _linux_identity(pid)
    elif sys.platform == "darwin":  # noqa: RET505 - mypy knows a platform's branch only so
        return _darwin_identity(pid)
    else:
        return _UNKNOWN if _answers(pid) else None


@functools.cache
def _own_identity(pid: int) -> str | None:
    """Of this process, whose start lies behind it; by its number, since a forked child has another."""
    return _identity(pid)


def _linux_identity(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return _UNKNOWN if _answers(pid) else None
    # The second field is the name in parentheses and may hold anything, parentheses too (proc_pid_stat(5)).
    fields = stat.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return f"{_boot()}:{fields[19]}"


@functools.cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return ""


def _darwin_identity(pid: int) -> str | None:
    # struct proc_bsdinfo of <sys/proc_info.h>: 136 bytes, the start time in its last two words.
    if not _answers(pid):
        return None
    buffer = ctypes.create_string_buffer(136)
    try:
        size = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pidinfo(pid, 3, ctypes.c_uint64(0), buffer, 136)
    except (OSError, AttributeError):
        return _UNKNOWN
    if size != 136:
        return _UNKNOWN
    if struct.unpack_from("<I", buffer, 4)[0] == 5:  # SZOMB
        return None
    seconds, micros = struct.unpack_from("<QQ", buffer, 120)
    return f"{seconds}.{micros}"


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
