"""The user's own repository as data: which files it tracks, which it hides. Nothing is written or run.

Its configuration is not honoured. The user's own (outside the workspace) is read for one value, the
place of the global excludes. The index is parsed here (gitformat-index); forms that need more than
reading it (a split or sparse index) are left to git, on a copy.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from orchestration.workspace.git import Git
from orchestration.workspace.ignore_rules import IgnoreChain, IgnoreFile
from orchestration.workspace.stat_cache import SeenFile, seen

GITLINK = 0o160000
_MAX_RULES = 4 * 1024 * 1024


class UnreadableIndexError(Exception):
    """Raised by `parse_index` for a form it does not know."""


@dataclass(frozen=True, slots=True)
class UserRepository:
    """`top` is the working tree's root, `git_dir` this working tree's own folder, `common_dir` the one
    that linked working trees share.
    """

    top: Path
    git_dir: Path
    common_dir: Path

    @classmethod
    def at(cls, folder: Path) -> "UserRepository | None":
        """The repository whose working tree begins at `folder`."""
        marker = folder / ".git"
        if marker.is_dir():
            git_dir = marker
        else:
            text = read_rules(marker).decode("utf-8", "surrogateescape")
            if not text.startswith("gitdir:"):
                return None
            git_dir = Path(os.path.normpath(folder / text.removeprefix("gitdir:").strip()))
        if not (git_dir / "HEAD").is_file():
            return None
        common = read_rules(git_dir / "commondir").decode("utf-8", "surrogateescape").strip()
        return cls(folder, git_dir, Path(os.path.normpath(git_dir / common)) if common else git_dir)

    @classmethod
    def around(cls, folder: Path) -> "UserRepository | None":
        """The repository that `folder` lies in."""
        return next((found for place in (folder, *folder.parents) if (found := cls.at(place))), None)

    def tracked(self) -> dict[str, int]:
        """Paths from `top` to modes, as the index lists them. Raises UnreadableIndexError."""
        try:
            data = (self.git_dir / "index").read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as fault:
            raise UnreadableIndexError(str(fault)) from fault
        return parse_index(data, hash_bytes=32 if self._uses_sha256() else 20)

    def index_state(self, now_ns: int) -> SeenFile | None:
        """What tells whether the index has changed; None when it is too fresh to tell."""
        index = self.git_dir / "index"
        try:
            return seen(index.stat(), str(index), now_ns)
        except OSError:
            return None

    async def tracked_by_git(self, git: Git, scratch: Path) -> dict[str, int]:
        """The same by `git ls-files`, on a copy of the index in a repository of ours (`scratch`, a folder to be
        made and removed): reading a split index in place would touch its time.
        """
        try:
            self._copy_index(scratch)
            done = await git.run(["ls-files", "-z", "--stage", "--sparse"], git_dir=scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        rows = (row.partition("\t") for row in os.fsdecode(done.output).split("\0") if row)
        return {path: int(head[:6], 8) for head, _, path in rows if not path.endswith("/")}

    def _copy_index(self, scratch: Path) -> None:
        for folder in ("objects", "refs"):
            (scratch / folder).mkdir(parents=True)
        (scratch / "HEAD").write_text("ref: refs/heads/main\n")
        sha256 = self._uses_sha256()
        (scratch / "config").write_text(
            f"[core]\n\trepositoryformatversion = {int(sha256)}\n\tbare = true\n"
            + ("[extensions]\n\tobjectFormat = sha256\n" if sha256 else "")
        )
        for path in (self.git_dir / "index", *self.git_dir.glob("sharedindex.*")):
            shutil.copyfile(path, scratch / path.name)

    def excludes(self) -> bytes:
        return read_rules(self.common_dir / "info" / "exclude")

    def _uses_sha256(self) -> bool:
        return (
            re.search(rb"(?im)^\s*objectformat\s*=\s*sha256", read_rules(self.common_dir / "config"))
            is not None
        )


def parse_index(data: bytes, *, hash_bytes: int = 20) -> dict[str, int]:
    """Paths to modes. Raises UnreadableIndexError for a form that only git itself can read."""
    version = int.from_bytes(data[4:8])
    if data[:4] != b"DIRC" or version not in {2, 3, 4}:
        raise UnreadableIndexError(f"index version {version}")
    found: dict[str, int] = {}
    at, before = 12, b""
    fixed = 42 + hash_bytes
    try:
        for _ in range(int.from_bytes(data[8:12])):
            start = at + fixed + (2 if data[at + fixed - 2] & 0x40 else 0)
            if version == 4:
                cut, start = _varint(data, start)
                end = data.index(b"\0", start)
                before = before[: len(before) - cut] + data[start:end]
                following = end + 1
            else:
                end = data.index(b"\0", start)
                before = data[start:end]
                following = at + (end - at) // 8 * 8 + 8
            found[os.fsdecode(before)] = int.from_bytes(data[at + 24 : at + 28])
            at = following
    except (ValueError, IndexError) as fault:
        raise UnreadableIndexError("the index is damaged") from fault
    while at + 8 <= len(data) - hash_bytes:
        if data[at : at + 1].islower():
            raise UnreadableIndexError(f"index extension {data[at : at + 4]!r}")
        at += 8 + int.from_bytes(data[at + 4 : at + 8])
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1


def read_rules(path: Path) -> bytes:
    """A small text file; empty when there is none. Links are not followed, as git does not follow them."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        try:
            return file.read(_MAX_RULES)
        except OSError:
            return b""


def global_excludes(home: Path, xdg_config: str | None) -> bytes:
    """The user's `core.excludesFile`, or git's default place for it."""
    import pygit2  # late: only a snapshot needs it

    config_home = Path(xdg_config) if xdg_config and Path(xdg_config).is_absolute() else home / ".config"
    named = ""
    for path in (config_home / "git" / "config", home / ".gitconfig"):
        try:
            named = str(pygit2.Config(str(path))["core.excludesfile"]) if path.is_file() else named
        except (KeyError, OSError, pygit2.GitError):
            continue
    if not named:
        return _followed(config_home / "git" / "ignore")
    place = home / named[2:] if named.startswith("~/") else Path(named)
    return _followed(place) if place.is_absolute() else b""


def _followed(path: Path) -> bytes:
    """The user's own files may be links."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def starting_chain(root: Path, repository: UserRepository | None, general: bytes) -> IgnoreChain:
    """The rules that hold at the workspace's root before its own `.gitignore`."""
    files = [IgnoreFile(general)]
    outer = ""
    if repository is not None:
        files.append(IgnoreFile(repository.excludes()))
        parts = root.relative_to(repository.top).parts
        for depth, part in enumerate(parts):
            base = "".join(f"{name}/" for name in parts[:depth])
            files.append(IgnoreFile(read_rules(repository.top.joinpath(*parts[:depth], ".gitignore")), base))
            outer += f"{part}/"
    return IgnoreChain(tuple(file for file in files if not file.empty), outer)
