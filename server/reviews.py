"""What is to be reviewed, kept ready: the hunks and findings of each followed run, by file.

A request is answered from here, never by computing a change set. The user's typing moves what is kept;
events of the run, decisions and edits inside a hunk have it computed anew, one computation at a time for
each run, and the client is told when something is different.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from orchestration import events as ev
from orchestration.commands import NoteFiles
from orchestration.errors import AntiphonError
from orchestration.review.view import ChangesView, FileView, HunkView, PlacedFinding
from server.anchors import Anchor, follow_all
from server.crew import Crew
from server.session import Session, relative_to
from server.text_buffer import LineChange, OpenText
from server.workspaces import Workspace

logger = logging.getLogger(__name__)
_TYPING_S = 0.15
_LONGEST_S = 1.0
_CHANGES_REVIEW = (
    ev.ChangesProposed,
    ev.DecisionRecorded,
    ev.DecisionApplied,
    ev.UndoRecorded,
    ev.HunksSeen,
    ev.FileNoted,
    ev.FindingReported,
    ev.FindingDismissed,
    ev.RunFinished,
)


@dataclass(slots=True)
class Review:
    """One run's. The keys of `hunks` and `findings` are absolute paths as the client spells its folder."""

    run_id: str
    workspace: Workspace
    view: ChangesView | None = None
    hunks: dict[str, list[Anchor[HunkView]]] = field(default_factory=dict)
    findings: dict[str, list[Anchor[PlacedFinding]]] = field(default_factory=dict)
    wanted: int = 1
    loaded: int = 0
    delay_s: float = 0.0
    noting: tuple[str, ...] = ()
    wake: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def current(self) -> bool:
        return self.loaded >= self.wanted

    def open_hunks(self) -> int:
        hunks = self.view.hunks() if self.view is not None else ()
        return sum(hunk.state in {"proposed", "conflict"} for hunk in hunks)


class Reviews:
    """`changed` is called with the absolute paths whose hunks or findings are different now."""

    def __init__(self, session: Session, tasks: Crew, changed: Callable[[frozenset[str]], None]) -> None:
        self._session = session
        self._tasks = tasks
        self._changed = changed
        self._reviews: dict[str, Review] = {}
        session.listen(self._document_changed)

    def add(self, run_id: str, workspace: Workspace) -> Review:
        review = self._reviews.get(run_id)
        if review is None:
            review = self._reviews[run_id] = Review(run_id, workspace)
            review.wake.set()
            self._tasks.start_soon(self._keep, review)
        return review

    def drop(self, run_id: str) -> None:
        review = self._reviews.pop(run_id, None)
        if review is not None:
            review.scope.cancel()
            self._changed(frozenset(review.hunks) | frozenset(review.findings))

    def all(self) -> tuple[Review, ...]:
        return tuple(self._reviews.values())

    def get(self, run_id: str) -> Review | None:
        return self._reviews.get(run_id)

    def event(self, run_id: str, event: ev.Event) -> None:
        review = self._reviews.get(run_id)
        if review is not None and isinstance(event, _CHANGES_REVIEW):
            _want(review, 0.0)

    async def refresh(self, run_id: str) -> None:
        """Computes a run's review anew and returns when it is there, or when the user does not stop typing."""
        review = self._reviews.get(run_id)
        if review is not None:
            _want(review, 0.0)
            await self.settled(review)

    async def settled(self, review: Review) -> None:
        """Returns when the review is current, or when the user does not stop typing."""
        with anyio.move_on_after(_LONGEST_S):
            await settled(review)

    async def settle(self, path: str, seconds: float) -> None:
        """Waits, at most `seconds`, for what is being computed and concerns `path`."""
        with anyio.move_on_after(seconds):
            for review in self.all():
                if not review.current and _key(review, path) is not None:
                    await settled(review)

    def hunks_at(self, path: str) -> list[tuple[Review, list[Anchor[HunkView]]]]:
        return [
            (review, review.hunks[key])
            for review in self.all()
            if (key := _key(review, path)) is not None and key in review.hunks
        ]

    def findings_at(self, path: str) -> list[tuple[Review, list[Anchor[PlacedFinding]]]]:
        return [
            (review, review.findings[key])
            for review in self.all()
            if (key := _key(review, path)) is not None and key in review.findings
        ]

    def files_changed(self, paths: Sequence[str]) -> None:
        """Files that changed on disk, seen by the editor."""
        for review in self.all():
            if any(path in review.hunks or path in review.findings for path in paths):
                _want(review, _TYPING_S)

    # --- keeping -------------------------------------------------------------------------------------

    async def _keep(self, review: Review) -> None:
        with review.scope:
            while True:
                await review.wake.wait()
                review.wake = anyio.Event()
                wanted = await _quiet(review)
                before = _fingerprint(review)
                try:
                    await self._load(review)
                except AntiphonError as error:
                    logger.warning("the review cannot be shown: %s", error, extra={"run_id": review.run_id})
                except Exception:
                    logger.exception("the review cannot be shown", extra={"run_id": review.run_id})
                review.loaded = wanted
                done, review.done = review.done, anyio.Event()
                done.set()
                self._tell(before, _fingerprint(review))

    async def _load(self, review: Review) -> None:
        engine, root = review.workspace.engine, str(review.workspace.root)
        texts = self._versions(review)
        view = await engine.changes(review.run_id)
        findings = await engine.findings(review.run_id)
        if review.view is not None and texts != self._versions(review):
            # The user typed meanwhile: what is kept has followed that, this has not. Again, at the next pause.
            _want(review, _TYPING_S)
            return
        review.view = view
        self._note(review)
        review.hunks = {}
        for file in view.files:
            anchors = review.hunks.setdefault(place_of(review, file), [])
            for hunk in file.hunks:
                span = hunk.new_lines if hunk.state == "accepted" else hunk.old_lines
                anchors.append(Anchor(hunk, hunk.start_line, span))
        review.findings = {}
        for placed in findings:
            span = placed.end_line - placed.start_line + 1
            review.findings.setdefault(_below(root, placed.finding.path), []).append(
                Anchor(placed, placed.start_line, span)
            )

    def _note(self, review: Review) -> None:
        """Has journaled what files say of their hunks: the editor's own undo, a save, a closed buffer."""
        news = tuple(file.path for file in review.view.files if file.news) if review.view is not None else ()
        if news and news != review.noting:
            self._tasks.start_soon(self._have_noted, review, news)
        review.noting = news

    async def _have_noted(self, review: Review, paths: tuple[str, ...]) -> None:
        reply = await review.workspace.engine.submit(NoteFiles(run_id=review.run_id, paths=paths))
        if reply.error:
            logger.warning("not noted: %s", reply.error, extra={"run_id": review.run_id})

    def _versions(self, review: Review) -> dict[str, int]:
        """Of the open documents that this review speaks of."""
        return {
            document.path: document.version
            for document in self._session.documents()
            if document.path is not None and _concerns(review, document.path)
        }

    def _tell(self, before: dict[str, object], after: dict[str, object]) -> None:
        different = [path for path in {**before, **after} if before.get(path) != after.get(path)]
        if different:
            self._changed(frozenset(different))

    def _document_changed(self, document: OpenText, changes: Sequence[LineChange]) -> None:
        if document.path is None:
            return
        for review in self.all():
            key = _key(review, document.path)
            if key is None or not _concerns(review, document.path):
                continue
            hunks, findings = review.hunks.get(key, ()), review.findings.get(key, ())
            touched = follow_all(hunks, changes)
            touched = follow_all(findings, changes) or touched
            if touched or not changes or not review.current:
                _want(review, _TYPING_S)


def _want(review: Review, delay_s: float) -> None:
    review.wanted += 1
    review.delay_s = delay_s
    review.wake.set()


async def _quiet(review: Review) -> int:
    """Waits until the user pauses, but not for ever."""
    with anyio.move_on_after(_LONGEST_S):
        while review.delay_s:
            wanted = review.wanted
            await anyio.sleep(review.delay_s)
            if review.wanted == wanted:
                break
    return review.wanted


async def settled(review: Review) -> None:
    while not review.current:
        await review.done.wait()


def place_in(file: FileView) -> str:
    """The path, in its workspace, where a file is now: a renamed one has its old name until that is accepted."""
    renamed = any(hunk.kind == "rename" and hunk.state == "accepted" for hunk in file.hunks)
    return file.path if renamed or not file.old_path else file.old_path


def place_of(review: Review, file: FileView) -> str:
    """As `place_in`, absolute as the client spells its folder."""
    return _below(str(review.workspace.root), place_in(file))


def _below(root: str, path: str) -> str:
    return f"{root.rstrip('/')}/{path}"


def _key(review: Review, path: str) -> str | None:
    """`path` as this review spells it, None when it is outside of its workspace."""
    root = str(review.workspace.root)
    if path.startswith(root + "/"):
        return path
    relative = relative_to(path, review.workspace.root)
    return None if relative is None else _below(root, relative)


def _concerns(review: Review, path: str) -> bool:
    key = _key(review, path)
    return key in review.hunks or key in review.findings


def _fingerprint(review: Review) -> dict[str, object]:
    """By path, what a client sees of it."""
    hunks = {
        path: [
            (item.subject.hunk_id, item.subject.state, item.line, item.subject.new_text, item.subject.reached)
            for item in anchors
        ]
        for path, anchors in review.hunks.items()
    }
    findings = {
        path: [(item.subject.finding.id, item.line, item.subject.exact) for item in anchors]
        for path, anchors in review.findings.items()
    }
    return {path: (hunks.get(path), findings.get(path)) for path in {**hunks, **findings}}
