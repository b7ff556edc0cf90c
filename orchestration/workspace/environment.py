"""The environment that children get, and where trusted programs are looked for.

Built from an allow-list, so that a key nobody thought of stays at home. Explicit additions of a caller
(an agent adapter's own key) are the caller's word.
"""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_ALLOWED = frozenset({
    "COLORTERM", "HOME", "LANG", "LANGUAGE", "LOGNAME", "SHELL", "SYSTEMROOT", "TERM", "TMPDIR", "TZ", "USER",
    # where toolchains live; none of them holds a secret
    "CARGO_HOME", "GOCACHE", "GOMODCACHE", "GOPATH", "GOROOT", "JAVA_HOME", "NVM_DIR", "PYENV_ROOT", "RUSTUP_HOME",
    "VOLTA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "SSL_CERT_FILE",
    "SSL_CERT_DIR",
})  # fmt: skip
_FALLBACK_PATH = "/usr/local/bin:/usr/bin:/bin"


def clean_path(path: str, forbidden: Iterable[Path] = ()) -> str:
    """Without relative entries and without those inside a forbidden folder (the workspace): a planted
    `./git` is never found.
    """
    roots = [os.path.realpath(root) for root in forbidden]
    kept = [
        entry
        for entry in path.split(os.pathsep)
        if entry.startswith("/") and not any(_within(os.path.realpath(entry), root) for root in roots)
    ]
    return os.pathsep.join(dict.fromkeys(kept)) or _FALLBACK_PATH


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def child_environment(
    inherited: Mapping[str, str], extra: Mapping[str, str], forbidden: Iterable[Path] = ()
) -> dict[str, str]:
    found = {name: value for name, value in inherited.items() if name in _ALLOWED or name.startswith("LC_")}
    found["PATH"] = clean_path(inherited.get("PATH", ""), forbidden)
    found.update(extra)
    return found


def find_program(name: str, path: str, forbidden: Sequence[Path] = ()) -> str | None:
    """The absolute path of a program in trusted entries of PATH; entries that anyone may write to
    are skipped. None when there is none.
    """
    for entry in clean_path(path, forbidden).split(os.pathsep):
        candidate = Path(entry, name)
        try:
            folder = candidate.parent.stat()
            found = candidate.stat()
        except OSError:
            continue
        if (
            stat.S_ISREG(found.st_mode)
            and os.access(candidate, os.X_OK)
            and not folder.st_mode & stat.S_IWOTH
        ):
            return str(candidate)
    return None
