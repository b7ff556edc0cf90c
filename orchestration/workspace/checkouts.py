"""Trees on the disk, for commands: a pool of reused folders, each switched to the tree that is asked for.

A checkout is exclusive while it is held, holds the exact bytes of its tree (no conversions), the workspace's
installed dependencies and its large files. What commands change in it is taken by `capture`, or forgotten:
before the next use everything that is not of the tree is removed. Agents that only edit need none of this.
"""

import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from orchestration.errors import ProcessError
from orchestration.ports import Executor, T
from orchestration.workspace.checkout_slot import Slot, SlotState, remove_tree
from orchestration.workspace.dependency_copies import DependencyCopies
from orchestration.workspace.environment import clean_path
from orchestration.workspace.file_contents import NotTakenError, link_target, read_still
from orchestration.workspace.git import Git
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.launcher import ProcessLauncher
from orchestration.workspace.left_out_rules import CACHES, DEPENDENCIES, MAX_FILE_BYTES
from orchestration.workspace.objects import EXECUTABLE, FILE, LINK, Change
from orchestration.workspace.surroundings import Surroundings, load_surroundings
from orchestration.workspace.walk import Walk

_MOST_SLOTS = 256


class _Inline:
    async def run(self, function: "Callable[..., T]", *args: object) -> T:
        return function(*args)


class Checkout:
    """`path` is the root of the files. `env` is what commands in it should have set: the copied
    virtual environment and package programs first on PATH, and no repository above.
    """

    def __init__(self, pool: "CheckoutPool", slot: Slot, state: SlotState, env: Mapping[str, str]) -> None:
        self._pool = pool
        self._slot = slot
        self._state = state
        self.tree = state.tree
        self.env = env
        self.path = slot.tree

    async def scratch(self) -> Path:
        """An empty folder beside the files, for what is temporary; nothing of it is taken."""
        return await self._pool.scratch(self._slot)

    async def capture(self) -> str:
        """The tree as commands have left it: changed, deleted and new files that nothing hides. Files above
        10 MB, secrets, and links that lead outside are not taken.
        """
        return await self._pool.capture(self._slot, self.tree, self._state)


class CheckoutPool:
    def __init__(
        self,
        home: Path,
        store: GitObjects,
        git: Git,
        launcher: ProcessLauncher,
        root: Path,
        *,
        executor: Executor | None = None,
        dependency_folders: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`home`: the workspace's data folder; `root`: the user's workspace, only read. `dependency_folders`:
        further ignored folders that commands need, from the root.
        """
        self._home = home
        self._folder = home / "checkouts"
        self._store = store
        self._git = git
        self._root = Path(os.path.realpath(root))
        self._executor: Executor = _Inline() if executor is None else executor
        self._more = tuple(dependency_folders)
        inherited = os.environ if environment is None else environment
        self._path = clean_path(inherited.get("PATH", ""), (self._root,))
        names = dict.fromkeys((str(self._root), os.path.abspath(root)))  # noqa: PTH100 - links kept: as it is named
        self._copies = DependencyCopies(launcher, self._executor, tuple(names), self._path)
        self._held: set[int] = set()
        self._choosing = anyio.Lock()

    @asynccontextmanager
    async def acquire(
        self, tree: str, *, unwanted: Callable[[str], bool] | None = None
    ) -> AsyncIterator[Checkout]:
        """A checkout of a snapshot or tree. `unwanted`: paths of the workspace's dependencies and large files
        that it must not get. Raises ProcessError when it cannot be made.
        """
        tree_id = self._store.tree_of(tree)
        number, slot = await self._claim(tree_id)
        try:
            state = await self._prepare(slot, tree_id, unwanted or _nothing)
            yield Checkout(self, slot, state, self._environment(slot, state))
        finally:
            slot.release()
            self._held.discard(number)

    async def aclose(self) -> None:
        """The folders stay for the next process."""

    async def _claim(self, tree: str) -> tuple[int, Slot]:
        """A free slot, one that holds the tree if there is one."""
        async with self._choosing:
            claimed: list[tuple[int, Slot]] = []
            chosen: tuple[int, Slot] | None = None
            for number in range(1, _MOST_SLOTS):
                if number in self._held:
                    continue
                slot = Slot(self._folder / str(number))
                existed = slot.folder.is_dir()
                if not existed and claimed:
                    break
                if not slot.claim():
                    continue
                claimed.append((number, slot))
                state = slot.state()
                if not existed or (state is not None and state.tree == tree):
                    chosen = (number, slot)
                    break
            if not claimed:
                raise ProcessError(f"all {_MOST_SLOTS} checkouts in {self._folder} are in use")
            chosen = chosen or claimed[0]
            for _, other in claimed:
                if other is not chosen[1]:
                    other.release()
            self._held.add(chosen[0])
            return chosen

    async def _prepare(self, slot: Slot, tree: str, unwanted: Callable[[str], bool]) -> SlotState:
        around = await self._executor.run(load_surroundings, self._home)
        before = await self._executor.run(slot.state)
        slot.begin()
        if before is not None:
            try:
                await self._clean(slot, before)
                await self._switch(slot, tree)
            except ProcessError:
                before = None
        if before is None:
            await self._executor.run(slot.empty)
            await self._switch(slot, tree)
            before = SlotState(tree)
        copies, files = await self._copies.provide(
            slot,
            before,
            [
                path
                for path in (*around.dependencies, *self._more)
                if self._is_free(tree, path) and not unwanted(path)
            ],
            [path for path in around.large if self._is_free(tree, path) and not unwanted(path)],
        )
        slot.excludes.write_bytes(_excludes((*copies, *files)))
        state = SlotState(tree, copies, files)
        await self._executor.run(slot.finish, state)
        return state

    def _is_free(self, tree: str, path: str) -> bool:
        """Whether the tree has nothing at the path and no file where it needs a folder."""
        if next(self._store.entries(tree, path), None) is not None:
            return False
        parts = path.split("/")
        return not any(self._store.entry(tree, "/".join(parts[:depth])) for depth in range(1, len(parts)))

    async def _switch(self, slot: Slot, tree: str) -> None:
        await self._git_in(slot, "read-tree", "--reset", "-u", tree)

    async def _clean(self, slot: Slot, state: SlotState) -> None:
        await self._copies.drop_repositories(slot, state.copies)
        kept = [flag for path in (*state.copies, *state.files) for flag in ("-e", _pattern(path))]
        await self._git_in(slot, "clean", "-ffdxq", *kept)

    async def _git_in(self, slot: Slot, *arguments: str) -> bytes:
        done = await self._git.run(
            [f"--work-tree={slot.tree}", *arguments],
            git_dir=self._store.git_dir,
            cwd=slot.tree,
            env={"GIT_INDEX_FILE": str(slot.index)},
        )
        return done.output

    def _environment(self, slot: Slot, state: SlotState) -> Mapping[str, str]:
        env = {"GIT_CEILING_DIRECTORIES": str(slot.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        first: list[str] = []
        for path in state.copies:
            if "/" not in path and (slot.tree / path / "pyvenv.cfg").is_file():
                env["VIRTUAL_ENV"] = str(slot.tree / path)
                first.append(str(slot.tree / path / "bin"))
            elif path == "node_modules":
                first.append(str(slot.tree / path / ".bin"))
        env["PATH"] = os.pathsep.join([*first, self._path])
        return env

    async def scratch(self, slot: Slot) -> Path:
        folder = slot.folder / "scratch"
        await self._executor.run(remove_tree, folder)
        folder.mkdir(mode=0o700)
        return folder

    # --- what commands changed ---------------------------------------------------------------------

    async def capture(self, slot: Slot, tree: str, state: SlotState) -> str:
        await self._copies.drop_repositories(slot, state.copies)
        listed = await self._git_in(
            slot, "ls-files", "-z", "-t", "--modified", "--deleted", "--others", "--exclude-per-directory=.gitignore",
            f"--exclude-from={slot.excludes}",
        )  # fmt: skip
        around = await self._executor.run(load_surroundings, self._home)
        return await self._executor.run(self._captured, slot, tree, listed, around)

    def _captured(self, slot: Slot, tree: str, listed: bytes, around: Surroundings) -> str:
        walk = Walk(slot.tree, None, {}, around.chain(), b"")
        changes: dict[str, Change | None] = {}
        for row in listed.split(b"\0"):
            tag, path = row[:1], os.fsdecode(row[2:])
            if not path or path.endswith("/") or not _is_text(path):
                continue
            if tag == b"?" and walk.hides(path):
                continue
            if tag == b"R":
                changes.setdefault(path, None)
                continue
            try:
                changes[path] = _content(slot.tree, path)
            except (FileNotFoundError, NotADirectoryError):
                changes[path] = None
            except NotTakenError:
                changes.pop(path, None)
        return self._store.write(tree, changes)


def _nothing(path: str) -> bool:
    del path
    return False


def _content(folder: Path, path: str) -> Change | None:
    place = folder / path
    state = place.lstat()
    if stat.S_ISDIR(state.st_mode):
        return None
    if stat.S_ISLNK(state.st_mode):
        return Change(link_target(str(place), path), LINK)
    if not stat.S_ISREG(state.st_mode):
        raise NotTakenError("not a file")
    if state.st_size > MAX_FILE_BYTES:
        raise NotTakenError("too large")
    data, state = read_still(str(place))
    return Change(data, EXECUTABLE if state.st_mode & stat.S_IXUSR else FILE)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _excludes(paths: Sequence[str]) -> bytes:
    """Only to spare git from listing folders that are hidden anyway; `capture` decides."""
    names = sorted(CACHES | DEPENDENCIES)
    return "".join([*(f"{name}/\n" for name in names), *(f"{_pattern(path)}\n" for path in paths)]).encode()


def _pattern(path: str) -> str:
    """The path as an ignore pattern that matches nothing else."""
    escaped = "".join(f"\\{char}" if char in "\\*?[ " else char for char in path)
    return f"/{escaped}"
