"""Where and of what the figures were taken: machine, versions, commit. No host name, no user name, no paths."""

import os
import platform
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from benchmarks.processes import REPOSITORY

_PACKAGES = (
    "anthropic",
    "anyio",
    "apsw",
    "httpx2",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "openai",
    "pygit2",
    "pygls",
)


def machine() -> dict[str, str]:
    """One line each for people; all texts."""
    return {
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{_memory_bytes() / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(Path(tempfile.gettempdir())),
        "python": platform.python_version(),
        "git": _git_version(),
    }


def versions() -> dict[str, str]:
    """Of the packages the figures depend on; those that are not installed are left out."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The short id of HEAD; with `+` when files that are measured differ from it; empty without git."""
    if shutil.which("git") is None:
        return ""
    head = _output("git", "rev-parse", "--short=10", "HEAD")
    changed = _output(
        "git", "status", "--porcelain", "--", "server", "orchestration", "providers", "benchmarks/*.py"
    )
    return head + ("+" if head and changed else "")


def load() -> float | None:
    """The load average of the last minute: what else was at work."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _git_version() -> str:
    return _output("git", "--version").removeprefix("git version ") if shutil.which("git") else "none"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _file_system(folder: Path) -> str:
    """The kind of file system that holds `folder`: on a tmpfs an fsync costs nothing and the figures say less."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    real = os.path.realpath(folder)
    best, kind = "", "unknown"
    for mount in mounts:
        _, place, this_kind, *_ = mount.split(" ")
        inside = real == place or real.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, this_kind
    return kind
