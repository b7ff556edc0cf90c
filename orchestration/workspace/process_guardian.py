"""A tiny watcher outside our process that ends the children when we are killed with no chance to.

It is a shell reading a pipe that only we hold: the groups that live, one line each. When the pipe ends,
we are gone, and it ends what is left: the groups, then whatever still carries our token. It lives in a
session of its own, so neither a terminal's interrupt nor our own group's end reaches it.
"""

import os
import subprocess

from orchestration.workspace.process_identity import TOKEN

_SCRIPT = r"""
trap '' HUP INT TERM
groups=
while read -r word pid; do
  case $word in
    add) groups="$groups $pid" ;;
    end) kept=; for g in $groups; do [ "$g" = "$pid" ] || kept="$kept $g"; done; groups=$kept ;;
    bye) exit 0 ;;
  esac
done
for g in $groups; do kill -TERM "-$g" 2>/dev/null; done
sleep 1
for g in $groups; do kill -KILL "-$g" 2>/dev/null; done
for p in /proc/[0-9]*; do
  if tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -q "^$1\(\.\|\$\)"; then kill -KILL "${p#/proc/}"; fi
done 2>/dev/null
exit 0
"""


class ProcessGuardian:
    def __init__(self, token: str) -> None:
        self._token = token
        self._popen: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def prepare(self) -> None:
        """Before a child is started: from here on it cannot be missed, even if we die before `add`."""
        if self._popen is None:
            self._start()

    def add(self, pid: int) -> None:
        self._groups.add(pid)
        self._tell(f"add {pid}\n")

    def remove(self, pid: int) -> None:
        self._groups.discard(pid)
        self._tell(f"end {pid}\n")

    def close(self) -> None:
        """Lets it go; every child has ended."""
        self._tell("bye\n")
        self._let_go()

    def _let_go(self) -> None:
        popen, self._popen = self._popen, None
        if popen is not None:
            if popen.stdin is not None:
                popen.stdin.close()
            popen.wait()

    def _start(self) -> None:
        self._popen = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "antiphon-guardian", f"{TOKEN}={self._token}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            start_new_session=True,
            bufsize=0,
        )
        for pid in sorted(self._groups):
            self._tell(f"add {pid}\n")

    def _tell(self, line: str) -> None:
        if self._popen is None or self._popen.stdin is None:
            return
        try:
            os.write(self._popen.stdin.fileno(), line.encode())
        except OSError:  # someone ended it: the next start begins a new one
            self._let_go()
