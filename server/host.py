"""What every feature is given, and the life of the server: it starts after `initialized` and ends once."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from orchestration.review.view import HunkView
from server.client import Client
from server.composition import Compose
from server.crew import Crew
from server.editor_documents import BufferDocuments
from server.jsonrpc import RpcError
from server.language_server import as_rpc_error, bind
from server.presenter import Presenter
from server.reviews import Review
from server.secrets import EditorSecrets
from server.session import Session
from server.subscriptions import Subscriptions
from server.workspaces import Workspace, Workspaces

logger = logging.getLogger(__name__)
ERROR_MESSAGE = 1
SETTINGS_WITHIN_S = 3.0


class Host:
    def __init__(self, session: Session, client: Client, compose: Compose, tasks: Crew) -> None:
        self.session = session
        self.client = client
        self.tasks = tasks
        self.ended = anyio.Event()
        self.exit_code = 0
        self.reason = ""
        self.secrets = EditorSecrets(client) if client.profile.secrets else None
        self.workspaces = Workspaces(
            session,
            compose,
            tasks,
            documents=lambda root: BufferDocuments(root, session, client),
            configured=self._configured,
            opened=self._opened,
            failed=self._failed,
            secrets=self.secrets,
        )
        self.presenter = Presenter(session, client, tasks, self.workspaces.submit)
        self.subscriptions = Subscriptions(client, tasks)
        self._started = False
        self._settings_known = anyio.Event()

    @property
    def client_name(self) -> str:
        """Who decided, in the journal."""
        return self.client.profile.name or "editor"

    def start(self) -> None:
        """After `initialized`: the engine is imported and the client's folders are opened."""
        if not self._started:
            self._started = True
            self.presenter.start()
            self.tasks.start_soon(self.ask_for_settings)
            self.workspaces.open(self.session.folders)

    async def ask_for_settings(self) -> None:
        """The editor's settings for us, where it can be asked; what it sent at `initialize` stays beneath."""
        try:
            if self.client.profile.configuration:
                with anyio.move_on_after(SETTINGS_WITHIN_S):
                    params = {"items": [{"section": "antiphon"}]}
                    answer = await self.client.ask("workspace/configuration", params)
                    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
                        self.session.answered_settings(answer[0])
        except RpcError as error:
            logger.info("the client has no settings: %s", error)
        finally:
            self._settings_known.set()

    async def _configured(self) -> None:
        await self._settings_known.wait()

    def wind_down(self) -> None:
        """After `shutdown`: runs stop where they are and their processes end; the connection stays."""
        self.workspaces.begin_close()

    def end(self, reason: str, exit_code: int) -> None:
        """Ends the server; the first call counts."""
        if not self.ended.is_set():
            self.reason, self.exit_code = reason, exit_code
            self.ended.set()

    async def dispatch(self, method: str, params: Any) -> Any:
        """One of our own methods, called by another feature. Raises RpcError."""
        try:
            result = bind(self, method)(params)
            return await result if hasattr(result, "__await__") else result
        except Exception as error:
            raise as_rpc_error(error, method) from error

    # --- what several features do --------------------------------------------------------------------

    async def follow(self, workspace: Workspace, run_id: str) -> None:
        self.workspaces.remember(run_id, workspace)
        await self.presenter.follow(workspace, run_id)

    async def decided(self, workspace: Workspace, run_id: str) -> None:
        """Returns when lenses and findings show what was decided."""
        await self.follow(workspace, run_id)
        await self.presenter.reviews.refresh(run_id)

    async def restored(self, workspace: Workspace, run_id: str) -> None:
        """As `decided`, for every run that is under review there: a restore changes files of any of them."""
        await self.follow(workspace, run_id)
        for review in self.presenter.reviews.all():
            if review.workspace is workspace:
                await self.presenter.reviews.refresh(review.run_id)

    async def review(self, run_id: str) -> Review:
        """What there is to review of a run, current unless the user does not stop typing. Raises NotFoundError."""
        workspace = await self.workspaces.of_run(run_id)
        await self.follow(workspace, run_id)
        review = self.presenter.reviews.add(run_id, workspace)
        await self.presenter.reviews.settled(review)
        return review

    def decision_of(self, run_id: str, hunk: HunkView) -> str | None:
        """The decision that accepted a hunk and still stands."""
        run = self.presenter.run(run_id)
        decisions = reversed(run.state.decisions.values()) if run is not None else ()
        return next(
            (
                item.decision_id
                for item in decisions
                if hunk.hunk_id in item.hunk_ids
                and item.decision == "accept"
                and not item.undone
                and hunk.hunk_id not in item.back
            ),
            None,
        )

    def typed_in(self, path: str) -> None:
        """Diagnostics of a document move with its text."""
        if self.presenter.diagnostics.shown_at(path):
            self.presenter.diagnostics.changed((path,))

    async def close_folders(self, folders: Sequence[str]) -> None:
        for workspace in self.workspaces.all_open():
            if str(workspace.root) in folders:
                self.presenter.closed(workspace)
        await self.workspaces.close(folders)

    async def _opened(self, workspace: Workspace) -> None:
        await self.presenter.opened(workspace)

    def _failed(self, root: Path, error: BaseException) -> None:
        shown = as_rpc_error(error, f"opening {root}")
        logger.warning("a workspace could not be opened: %s", shown.message, extra={"workspace": str(root)})
        params = {"type": ERROR_MESSAGE, "message": f"Antiphon: {shown.message}"}
        self.client.notify("window/showMessage", params)
