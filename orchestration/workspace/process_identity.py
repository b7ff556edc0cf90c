"""Which process is which: a pid is reused, a pid with its start time is not; and who carries a token.

Linux reads /proc. Elsewhere a start time is unknown (""), so that nothing is taken for a leftover of
ours by its number alone, and a token finds nothing.
"""

import os
from pathlib import Path

TOKEN = "ANTIPHON_RUN"  # noqa: S105 - the name of a variable, not a secret
_PROC = Path("/proc")


def boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_time(pid: int) -> str:
    """The kernel's start time of a live process, as an opaque text; "" when it is gone or unknown."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def is_alive(pid: int, started: str) -> bool:
    return started != "" and start_time(pid) == started


def carriers(token: str) -> list[int]:
    """Processes of ours whose environment holds the token, or one that begins with it and a dot."""
    exact = f"{TOKEN}={token}".encode()
    found = []
    uid = os.getuid()
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 - names only, hundreds of them after each command
    except OSError:
        return []
    for name in names:
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid != uid:  # noqa: PTH116 - as above
                continue
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - as above
                variables = file.read()
        except OSError:
            continue
        at = variables.find(exact)
        if at >= 0 and any(v == exact or v.startswith(exact + b".") for v in variables[at:].split(b"\0")[:1]):
            found.append(int(name))
    return found
