"""From events of runs to what an editor shows. Follows each run that matters here, folds its events, and
tells progress, reviews, diagnostics, lenses and approvals; each of these decides what to send and when.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from orchestration import events as ev
from orchestration.errors import AntiphonError
from orchestration.fold import apply
from orchestration.journal.contract import LIVE_STATES
from orchestration.run import RunState
from server.approvals import Approvals, Submit
from server.client import Client
from server.crew import Crew
from server.diagnostics import Diagnostics
from server.jsonrpc import RpcError
from server.methods import command_of
from server.plain_text import one_line
from server.progress import Progress
from server.reviews import Reviews
from server.session import Session
from server.text_buffer import LineChange, OpenText
from server.virtual_documents import VirtualDocuments
from server.workspaces import Workspace

logger = logging.getLogger(__name__)
# Finished runs whose hunks and findings are still shown, when a workspace is opened.
_RECENT = 20
# How often other processes' runs of the same workspace are looked for.
_LOOK_S = 3.0
_LENS_INTERVAL_S = 0.1
_RESUME = "antiphon/run/resume"
_RESTORE = "antiphon/checkpoint/restore"
# A local server cut the conversation without a word: `providers.errors.PromptTruncatedError`, as events name it.
SILENTLY_TRUNCATED = "PromptTruncatedError"
ERROR, WARNING = 1, 2


@dataclass(slots=True)
class FollowedRun:
    workspace: Workspace
    state: RunState
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Presenter:
    def __init__(self, session: Session, client: Client, tasks: Crew, submit: Submit) -> None:
        self._session = session
        self._client = client
        self._tasks = tasks
        self._runs: dict[str, FollowedRun] = {}
        self._let_go: set[str] = set()
        self._lenses_changed = anyio.Event()
        self.reviews = Reviews(session, tasks, self._review_changed)
        self.diagnostics = Diagnostics(session, client, self.reviews)
        self.virtual = VirtualDocuments(client)
        session.listen(self._document_changed)
        self.progress = Progress(client, tasks)
        self.approvals = Approvals(client, tasks, submit)

    def start(self) -> None:
        self._tasks.keep(self.progress.keep)
        self._tasks.keep(self.diagnostics.keep)
        self._tasks.keep(self._keep_lenses)
        self._tasks.keep(self.virtual.keep)

    def runs(self) -> tuple[FollowedRun, ...]:
        return tuple(self._runs.values())

    def run(self, run_id: str) -> FollowedRun | None:
        return self._runs.get(run_id)

    async def opened(self, workspace: Workspace) -> None:
        """Follows what this workspace has under way or still to be reviewed."""
        await self._look(workspace)
        self._tasks.start_soon(self._keep_looking, workspace)
        interrupted = [run for run in await workspace.engine.runs(_RECENT) if run.state == "interrupted"]
        if interrupted:
            goal = one_line(interrupted[0].goal, 80)
            text = f"Antiphon: a run was interrupted: {goal}. To go on with it: {command_of(_RESUME)} {interrupted[0].run_id}"
            self._client.notify("window/showMessage", {"type": 3, "message": text})
        for newest in await workspace.engine.checkpoints(limit=1):
            if newest.interrupted:
                text = (
                    f"Antiphon: a restore of {newest.restores} was interrupted. To do the rest: "
                    f"{command_of(_RESTORE)} {newest.restores}; to take it back: … {newest.checkpoint_id}"
                )
                self._client.notify("window/showMessage", {"type": 3, "message": text})

    async def _look(self, workspace: Workspace) -> None:
        for run in await workspace.engine.runs(_RECENT):
            shown = run.state in LIVE_STATES or run.state == "interrupted" or run.open_hunks > 0
            if not shown or run.run_id in self._let_go:
                continue
            try:
                await self.follow(workspace, run.run_id)
            except AntiphonError as error:
                self._let_go.add(run.run_id)
                logger.warning("a run cannot be shown: %s", error, extra={"run_id": run.run_id})

    async def _keep_looking(self, workspace: Workspace) -> None:
        """Runs of other processes, such as the command line, appear here too."""
        while not workspace.closing.is_set():
            try:
                await self._look(workspace)
            except AntiphonError as error:
                logger.warning("the list of runs cannot be read: %s", error)
            with anyio.move_on_after(_LOOK_S):
                await workspace.closing.wait()

    def closed(self, workspace: Workspace) -> None:
        for run_id in [key for key, run in self._runs.items() if run.workspace is workspace]:
            self._forget(run_id)

    async def follow(self, workspace: Workspace, run_id: str) -> None:
        """Returns once the run is shown; from then on it is kept up to date."""
        if run_id in self._runs:
            return
        self._let_go.discard(run_id)
        run = FollowedRun(workspace, await workspace.engine.state(run_id))
        if self._runs.setdefault(run_id, run) is not run:
            return
        self.reviews.add(run_id, workspace)
        self._tasks.start_soon(self._follow, run)
        if run.state.phase == "finished":
            return
        self._make_way(workspace)
        self.progress.changed(run.state)
        for request in run.state.approvals.values():
            self.approvals.requested(workspace, run_id, request)

    def _make_way(self, workspace: Workspace) -> None:
        """A new run takes the place of finished ones with nothing left to decide."""
        for run_id, run in tuple(self._runs.items()):
            review = self.reviews.get(run_id)
            done = run.state.phase == "finished" and (review is None or not review.open_hunks())
            if done and run.workspace is workspace:
                self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        self._let_go.add(run_id)
        run = self._runs.pop(run_id)
        run.scope.cancel()
        self.reviews.drop(run_id)
        self.approvals.withdraw_run(run_id)

    async def _follow(self, run: FollowedRun) -> None:
        run_id = run.state.run_id
        with run.scope:
            try:
                async for item in run.workspace.engine.subscribe(run_id, run.state.last_seq):
                    self.progress.published(run.state, item)
                    if isinstance(item, ev.Record):
                        apply(run.state, item)
                        self._show(run, item.event)
            except AntiphonError as error:
                logger.warning("the run cannot be followed: %s", error, extra={"run_id": run_id})
                self._client.notify("window/showMessage", {"type": ERROR, "message": f"Antiphon: {error}"})
                if self._runs.get(run_id) is run:
                    self._forget(run_id)
            except Exception:
                logger.exception("the run cannot be followed", extra={"run_id": run_id})

    def _show(self, run: FollowedRun, event: ev.Event) -> None:
        run_id = run.state.run_id
        fields = {"run_id": run_id, "task_id": getattr(event, "task_id", None)}
        logger.info("%s", event.__struct_config__.tag, extra=fields)
        self.progress.changed(run.state)
        self.reviews.event(run_id, event)
        if isinstance(event, ev.ApprovalRequested):
            self.approvals.requested(run.workspace, run_id, event)
        elif isinstance(event, ev.ApprovalResolved):
            self.approvals.resolved(run_id, event)
        elif isinstance(event, ev.RunFinished):
            self.approvals.withdraw_run(run_id)
        elif isinstance(event, ev.TurnFailed) and event.error == SILENTLY_TRUNCATED:
            text = f"Antiphon: silently truncated: {one_line(event.detail, 400)}"
            self._client.notify("window/showMessage", {"type": WARNING, "message": text})

    # --- lenses --------------------------------------------------------------------------------------

    def _review_changed(self, paths: frozenset[str]) -> None:
        self.diagnostics.changed(paths)
        self.virtual.changed(paths)
        self._lenses_changed.set()

    def _document_changed(self, document: OpenText, _changes: Sequence[LineChange]) -> None:
        if document.path is not None:
            self.virtual.changed((document.path,))

    async def _keep_lenses(self) -> None:
        while True:
            await self._lenses_changed.wait()
            self._lenses_changed = anyio.Event()
            if self._client.profile.code_lens_refresh:
                await self._client.room()
                try:
                    with anyio.move_on_after(10.0):
                        await self._client.ask("workspace/codeLens/refresh", None)
                except RpcError as error:
                    logger.info("the client refused to refresh lenses: %s", error)
            await anyio.sleep(_LENS_INTERVAL_S)
