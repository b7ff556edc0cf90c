"""The engines: one per workspace folder, each hosted by a task of its own that outlives every request.

Opening happens after `initialized`, off the message loop's way; whoever needs an engine waits for it. A
folder that could not be opened says why to everyone who asks, and is tried again at the next request.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from orchestration.commands import Command, Reply
from orchestration.errors import AntiphonError, NotFoundError, UsageError
from server.composition import Compose, Composition, TrustWord
from server.crew import Crew
from server.editor_documents import BufferDocuments
from server.jsonrpc import INVALID_PARAMS, REQUEST_FAILED, RpcError
from server.session import Session
from server.settings import Settings

if TYPE_CHECKING:
    from orchestration.engine import EngineFront  # the engine itself is imported after `initialize`
    from server.secrets import EditorSecrets

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workspace:
    """An open workspace. `root` is as the client spells it; `closing` is set when it is about to be closed."""

    root: Path
    engine: "EngineFront"
    documents: BufferDocuments
    settings: Settings
    closing: anyio.Event


class _Slot:
    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.closing = anyio.Event()
        self.closed = anyio.Event()
        self.workspace: Workspace | None = None
        self.error: BaseException | None = None


class Workspaces:
    """`configured` returns when the editor's settings are known; `opened` is called for each workspace before
    anyone gets it.
    """

    def __init__(
        self,
        session: Session,
        compose: Compose,
        tasks: Crew,
        *,
        documents: Callable[[Path], BufferDocuments],
        configured: Callable[[], Awaitable[None]],
        opened: Callable[[Workspace], Awaitable[None]],
        failed: Callable[[Path, BaseException], None],
        secrets: "EditorSecrets | None" = None,
    ) -> None:
        self._session = session
        self._compose = compose
        self._tasks = tasks
        self._documents = documents
        self._configured = configured
        self._opened = opened
        self._failed = failed
        self._secrets = secrets
        self._slots: dict[str, _Slot] = {}
        self._composition: Composition | None = None
        self._composing = anyio.Lock()
        self._of_run: dict[str, str] = {}
        self._closing = False

    # --- finding -------------------------------------------------------------------------------------

    async def composition(self) -> Composition:
        """Imports the engine's world at the first call, in a worker thread."""
        async with self._composing:
            if self._composition is None:
                self._composition = await anyio.to_thread.run_sync(self._compose)
            return self._composition

    def settings_of(self, composition: Composition, root: Path | None) -> Settings:
        return composition.settings(root, self._session.editor_settings, self._word(root))

    async def workspace(self, root: str | None = None) -> Workspace:
        """The workspace at `root` (an absolute path; default: the client's first folder), opened if need be.
        Raises what opening raised.
        """
        path = root or next(iter(self._session.folders), None)
        if path is None:
            raise RpcError(INVALID_PARAMS, "`root` is missing, and the client has no workspace folder open")
        slot = self._slots.get(path)
        if slot is not None and slot.error is not None and slot.closed.is_set():
            del self._slots[path]
            slot = None
        if slot is None:
            slot = self._open(path)
        await slot.ready.wait()
        if slot.workspace is None:
            raise slot.error or RpcError(REQUEST_FAILED, f"the workspace {path} was closed")
        return slot.workspace

    def open(self, roots: Iterable[str]) -> None:
        """Begins to open folders; does not wait."""
        for root in roots:
            if root not in self._slots:
                self._open(root)

    def all_open(self) -> list[Workspace]:
        return [slot.workspace for slot in self._slots.values() if slot.workspace is not None]

    async def of_run(self, run_id: str) -> Workspace:
        """The workspace that has this run. Raises NotFoundError."""
        for slot in tuple(self._slots.values()):
            await slot.ready.wait()
        known = self._slots.get(self._of_run.get(run_id, ""))
        if known is not None and known.workspace is not None:
            return known.workspace
        for workspace in self.all_open():
            try:
                await workspace.engine.state(run_id)
            except NotFoundError:
                continue
            self.remember(run_id, workspace)
            return workspace
        raise NotFoundError(
            f"no run {run_id} in the open workspaces; antiphon/run/list names those there are"
        )

    def remember(self, run_id: str, workspace: Workspace) -> None:
        self._of_run[run_id] = str(workspace.root)

    # --- doing ---------------------------------------------------------------------------------------

    async def submit(self, workspace: Workspace, command: Command) -> Reply:
        """As `ask`, but raises RpcError for an error in the reply."""
        return checked(await self.ask(workspace, command))

    async def ask(self, workspace: Workspace, command: Command) -> Reply:
        """Carries a command out in a task of the server's, so that a cancelled request drops the answer and
        never breaks off the engine in the middle.
        """
        done = anyio.Event()
        outcome: list[Reply | BaseException] = []

        async def carry_out() -> None:
            try:
                outcome.append(await workspace.engine.submit(command))
            except Exception as error:  # noqa: BLE001 - handed to the one who asked
                outcome.append(error)
            finally:
                done.set()

        self._tasks.start_soon(carry_out)
        await done.wait()
        if not outcome:
            raise RpcError(REQUEST_FAILED, "the server is closing")
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    async def close(self, roots: Iterable[str] | None = None) -> None:
        """Closes engines (default: all) and waits until their processes have ended."""
        slots = [self._slots.get(root) for root in (tuple(self._slots) if roots is None else roots)]
        for slot in filter(None, slots):
            slot.closing.set()
        for slot in filter(None, slots):
            await slot.closed.wait()
        for root in tuple(self._slots) if roots is None else roots:
            self._slots.pop(root, None)

    def begin_close(self) -> None:
        for slot in self._slots.values():
            slot.closing.set()

    # --- hosting -------------------------------------------------------------------------------------

    def _open(self, root: str) -> _Slot:
        slot = self._slots[root] = _Slot()
        self._tasks.start_soon(self._host, Path(root), slot)
        return slot

    async def _host(self, root: Path, slot: _Slot) -> None:
        try:
            composition = await self.composition()
            check_folder(root)
            await self._configured()
            settings = self.settings_of(composition, root)
            documents = self._documents(root)
            async with composition.open_engine(
                root,
                documents,
                self._word(root),
                lambda: self.settings_of(composition, root),
                self._secrets,
            ) as engine:
                workspace = Workspace(root, engine, documents, settings, slot.closing)
                await self._opened(workspace)
                slot.workspace = workspace
                slot.ready.set()
                logger.info("workspace opened", extra={"workspace": str(root)})
                await slot.closing.wait()
        except Exception as error:  # noqa: BLE001 - kept for those who ask for this workspace
            slot.error = single(error)
            self._failed(root, slot.error)
        finally:
            slot.workspace = None
            slot.ready.set()
            slot.closed.set()

    def _word(self, root: Path | None) -> TrustWord:
        return lambda: self._session.profile.trusted if root is None else self._session.trusted(root)


def checked(reply: Reply) -> Reply:
    """Raises RpcError when the engine did not carry the command out."""
    if reply.error:
        data: dict[str, Any] = {"kind": reply.error_kind, "exitCode": reply.exit_code}
        if reply.files:
            data["files"] = reply.files
        if reply.checkpoint_id:
            data["checkpointId"] = reply.checkpoint_id
        raise RpcError(REQUEST_FAILED, reply.error, data)
    return reply


def check_folder(root: Path) -> None:
    if not root.exists():
        raise UsageError(f"the workspace {root} does not exist; open a folder that does")
    if not root.is_dir():
        raise UsageError(f"the workspace {root} is a file; open the folder that holds it")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UsageError(f"the workspace {root} cannot be read; check its permissions")


def single(error: BaseException) -> BaseException:
    """The error inside the groups that task groups wrap around it; of several, ours first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    inner = [single(item) for item in error.exceptions]
    return next((item for item in inner if isinstance(item, AntiphonError)), inner[0])
