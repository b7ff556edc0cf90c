"""`antiphon review`: the workspace as it is, against one of its commits, looked at by analyzers and a model.

The workspace becomes a snapshot; the base is that snapshot with what the commit had instead. Nothing is
written but our own snapshots.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestration.agents.roles import packaged_prompts, packaged_roles
from orchestration.engine_ports import EnginePorts
from orchestration.quality.difference import DifferenceReview, review_difference
from orchestration.quality.gates import GateContext, always
from orchestration.quality.reviewer import PROMPT, Reviewer, UnreadableReviewError
from orchestration.workspace.objects import Change, Entry, ObjectStore
from orchestration.workspace.user_history import Revision, UserHistory
from providers.errors import ProviderError
from providers.messages import Request, RequestLabels, system, user

_LARGE_FILE_POINTER = b"version https://git-lfs.github.com/spec/"
_ROLE = "reviewer"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """`base` is the commit compared with, empty for nothing; `files` counts those that differ. `unasked` says
    why the model gave no answer, empty when it did or was not wanted.
    """

    base: str
    files: int
    review: DifferenceReview
    unasked: str = ""


async def review_workspace(ports: EnginePorts, base: str | None, model: str | None) -> Reviewed:
    """`base`: a revision (None: HEAD, or nothing where there is no commit); `model`: `PROVIDER/NAME` of the
    reviewing role, or None. Raises UsageError for a revision that is none, ProviderConfigurationError for
    a model that cannot be.
    """
    history = UserHistory(ports.root)
    wanted = base if base is not None else "HEAD" if history.exists else None
    revision = await ports.executor.run(history.revision, wanted) if wanted is not None else None
    taken = await ports.snapshotter.take(ports.root)
    start = await ports.executor.run(
        _start, ports.objects, ports.root, taken.snapshot, revision, history.blob
    )
    changed = tuple(
        path for path, _, _ in await ports.executor.run(ports.objects.diff, start, taken.snapshot)
    )
    context = GateContext(
        store=ports.objects,
        checkouts=ports.checkouts,
        launcher=ports.launcher,
        executor=ports.executor,
        clock=ports.clock,
        root=ports.root,
        base=start,
        start=start,
        tree=taken.snapshot,
        changed=changed,
        spec=None,
        why_not=always(
            "" if ports.trusted() else "the workspace is not trusted (antiphon trust, or --trust)"
        ),
        approve=_nobody,
        settings=ports.quality,
        baseline=ports.baseline,
    )
    commit = revision.commit if revision is not None else ""
    reviewer = _reviewer(ports, model) if model is not None and changed else None
    try:
        return Reviewed(commit, len(changed), await review_difference(context, reviewer=reviewer))
    except (ProviderError, UnreadableReviewError) as error:
        review = await review_difference(context)
        return Reviewed(commit, len(changed), review, f"the reviewing role could not be asked: {error}")


def _start(
    store: ObjectStore,
    root: Path,
    snapshot: str,
    revision: Revision | None,
    blob: Callable[[str], bytes],
) -> str:
    """The tree of the base: the snapshot's, with every differing path as the commit has it."""
    now = dict(store.entries(snapshot))
    before = revision.files if revision is not None else {}
    changes: dict[str, Change | Entry | None] = {path: None for path in now if path not in before}
    for path, entry in before.items():
        current = now.get(path)
        if current is None:
            # Known but left out of snapshots (a secret, a huge file) is not the same as deleted.
            if not (root / path).exists():
                changes[path] = Change(blob(entry.oid), entry.mode)
        elif current.oid != entry.oid:
            data = blob(entry.oid)
            if not _same_text(data, store.blob(current.oid)):
                changes[path] = Change(data, entry.mode)
    return store.write(snapshot, changes)


def _same_text(committed: bytes, working: bytes) -> bool:
    """Whether they differ only by what git itself changes on checkout."""
    if committed.startswith(_LARGE_FILE_POINTER):
        return True
    return b"\0" not in committed and committed == working.replace(b"\r\n", b"\n")


def _reviewer(ports: EnginePorts, model: str) -> Reviewer:
    provider, name = ports.models.resolve(model)
    role = packaged_roles()[_ROLE]

    async def ask(question: str, context: GateContext) -> str:
        del context
        answer = await provider.complete(
            Request(
                model=name,
                messages=(system(role.text), user(question)),
                labels=RequestLabels(task_id="review", title="Review", role=_ROLE),
            )
        )
        return answer.message.text

    return Reviewer(ask, packaged_prompts()[PROMPT])


async def _nobody(subject: str, detail: str) -> bool:
    del subject, detail
    return False
