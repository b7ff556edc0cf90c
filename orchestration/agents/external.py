"""Carries out one attempt of a task by an external agent: a program with its own tool loop, in its own checkout.

The agent is given a copy of the task's files and nothing of the workspace; what it reports becomes events, and
what counts is the difference of its files. Nothing starts in an untrusted workspace, nor without the consent that
the run's approval asks for; the intent is durable before the start, the tree before anyone uses it. How an agent
is driven is its provider's; gates and retries are the attempt's.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from orchestration import events as ev
from orchestration.agents.own_files import OwnFiles
from orchestration.agents.reporting import Reporter, Reports
from orchestration.budget import Spending, SpentError
from orchestration.definitions import Definitions
from orchestration.engine_ports import EnginePorts
from orchestration.errors import ProcessError
from orchestration.graph_model import TaskSpec
from orchestration.live_run import LiveRun
from orchestration.workspace.checkouts import Checkout
from orchestration.workspace.commands import classify
from orchestration.workspace.objects import Entry
from providers.base import AgentProvider, AgentResult, AgentTask, PermissionRequest
from providers.errors import ProviderError
from providers.messages import assistant, user
from providers.usage import ZERO, Usage

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An attempt that was open when its program stopped. `tree`: the last that was kept; empty: the start. `done`:
    the agent had ended well, and `tree` is its result.
    """

    agent: str
    turn: int
    session: str = ""
    tree: str = ""
    done: bool = False
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One attempt. `task` is the prompt's text, `prelude` is recorded with the intent."""

    ports: EnginePorts
    live: LiveRun
    definitions: Definitions
    spending: Spending
    agent: AgentProvider
    model: str | None
    spec: TaskSpec
    attempt: int
    snapshot: str
    task: str
    prelude: tuple[ev.Event, ...] = ()
    resumed: Interrupted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandEnd:
    """`finished` with the `tree` to be judged; else `reason`, and whether another attempt can help."""

    kind: Literal["finished", "failed"]
    tree: str = ""
    reason: str = ""
    feedback: str = ""
    retryable: bool = True


def interrupted(records: Iterable[ev.Record], task_id: str, attempt: int) -> Interrupted | None:
    """What an agent had done of an attempt; None when no agent was at it."""
    found: Interrupted | None = None
    for record in records:
        event = record.event
        if getattr(event, "task_id", None) != task_id or getattr(event, "attempt", None) != attempt:
            continue
        if isinstance(event, ev.AgentStarted):
            tree = found.tree if found is not None else ""
            found = Interrupted(event.agent, event.turn, event.session, tree)
        elif found is None:
            continue
        elif isinstance(event, ev.AgentSession):
            found = replace(found, session=event.session)
        elif isinstance(event, ev.ToolFinished) and event.tree:
            found = replace(found, tree=event.tree)
        elif isinstance(event, ev.TurnCompleted):
            found = replace(found, summary=event.message.text)
        elif isinstance(event, ev.AgentFinished) and event.ok:
            found = replace(found, tree=event.tree, done=True)
    return found


async def run_agent(errand: Errand) -> ErrandEnd:
    """Runs the agent to its end. Raises SpentError once the budget is used up; then the agent has ended."""
    refusal = await _refusal(errand)
    if refusal:
        await errand.live.record(*errand.prelude)
        reason = f"{errand.agent.name} was not started: {refusal}"
        return ErrandEnd(kind="failed", reason=reason, retryable=False)
    errand.spending.check()
    ports, resumed = errand.ports, errand.resumed
    own = OwnFiles.of(errand.agent.own_files)
    begin = resumed.tree if resumed is not None and resumed.tree else errand.snapshot
    visible, hidden = await ports.executor.run(own.hidden, ports.objects, begin)
    base = errand.live.state.base
    before = await ports.executor.run(ports.watch.look, base)
    try:
        async with ports.checkouts.acquire(visible, unwanted=own.holds) as checkout:
            end = await _Work(errand, checkout, own, hidden).carry_out(visible)
    except ProcessError as error:
        return ErrandEnd(kind="failed", reason=str(error), retryable=False)
    opened = ports.documents.open_documents()
    touched = await ports.executor.run(ports.watch.changed, before, base)
    touched = tuple(path for path in touched if path not in opened)
    return await _reached_outside(errand, touched) or end


async def _reached_outside(errand: Errand, touched: tuple[str, ...]) -> ErrandEnd | None:
    """The end of an agent that changed the workspace: whatever it made in its own files, it is not trusted with a
    result, nor with another attempt. Who changed a file cannot be seen: a person says so where one can be asked.
    """
    if not touched:
        return None
    more = f" and {len(touched) - _SHOWN} more" if len(touched) > _SHOWN else ""
    shown, name = ", ".join(touched[:_SHOWN]) + more, errand.agent.name
    mine = f"keep what {name} made, though files of your workspace changed meanwhile: only if it was you"
    if await errand.live.ask("protected_change", mine, task_id=errand.spec.id, detail=shown):
        return None
    return ErrandEnd(
        kind="failed",
        reason=f"files of your workspace changed while {name} was at work, which may touch only its own copy: "
        f"{shown}. Its result is thrown away. If it was you who changed them, run the task again.",
        retryable=False,
    )


async def _refusal(errand: Errand) -> str:
    """Why it may not start; empty when it may. An agent is a command that nobody reads beforehand."""
    live = errand.live
    options = live.state.options
    assert options is not None
    if not errand.ports.trusted():
        return "the workspace is not trusted (antiphon trust, or --trust for one command)"
    agent = errand.agent
    if options.approval == "auto" and agent.auto:
        return ""
    if options.approval == "never":
        return "approval is `never`, which starts nothing (use --approval auto, or ask)"
    subject = f"{agent.name}, at work by itself in copies of the workspace"
    if await live.ask("command", subject, task_id=errand.spec.id, detail="it edits and runs what it decides"):
        return ""
    if live.interactive:
        return "a person rejected it"
    if options.approval == "auto":
        return (
            f"it runs any command it likes, and nobody can be asked here; [agents.{agent.name}] with auto = true in "
            "your configuration allows it"
        )
    return "approval is `ask` and nobody can be asked here (use --approval auto)"


class _Work:
    """The agent at work in one checkout."""

    def __init__(
        self, errand: Errand, checkout: Checkout, own: OwnFiles, hidden: Mapping[str, Entry]
    ) -> None:
        self._errand = errand
        self._ports = errand.ports
        self._live = errand.live
        self._checkout = checkout
        self._own = own
        self._hidden = hidden
        self._task_id = errand.spec.id
        self._dropped: tuple[str, ...] = ()
        self._turn = 1 if errand.resumed is None else errand.resumed.turn + 1
        self._reports = Reports(
            Reporter(
                live=errand.live,
                spending=errand.spending,
                clock=errand.ports.clock,
                agent=errand.agent.name,
                task_id=errand.spec.id,
                attempt=errand.attempt,
                turn=self._turn,
                folder=str(checkout.path),
                keep_tree=self._files if errand.agent.resumes else None,
            )
        )

    async def carry_out(self, visible: str) -> ErrandEnd:
        errand, agent = self._errand, self._errand.agent
        session = errand.resumed.session if errand.resumed is not None else None
        words = errand.definitions.prompt("interrupted" if session else "external", task=errand.task.strip())
        scratch = await self._checkout.scratch()
        await self._live.record(
            *errand.prelude,
            ev.TurnStarted(
                task_id=self._task_id, attempt=errand.attempt, turn=self._turn, messages=(user(words),)
            ),
            ev.AgentStarted(
                task_id=self._task_id,
                attempt=errand.attempt,
                turn=self._turn,
                agent=agent.name,
                form=agent.form,
                tree=visible,
                model=errand.model or "",
                session=session or "",
                hidden=tuple(self._hidden),
            ),
        )
        given = AgentTask(
            prompt=words,
            folder=self._checkout.path,
            scratch=scratch,
            model=errand.model,
            session=session,
            environment=_environment(self._checkout),
            label=f"{self._task_id}: {agent.name}",
            usd_left=errand.spending.usd_left,
        )
        try:
            result = await agent.run(given, on_event=self._reports.take, ask=self._may)
        except SpentError as spent:
            await self._failed("BudgetExhaustedError", str(spent))
            raise
        except (ProviderError, ProcessError) as error:
            await self._failed(type(error).__name__, str(error))
            return ErrandEnd(kind="failed", reason=str(error), retryable=getattr(error, "retryable", False))
        return await self._finished(result)

    async def _finished(self, result: AgentResult) -> ErrandEnd:
        """Its files are taken and durable before anything is made of them."""
        errand = self._errand
        tree = await self._files()
        denied = result.denied
        remarks = [f"not taken, since it configures the agent: {path}" for path in self._dropped]
        remarks += [f"it was not allowed: {what}" for what in denied]
        reported = result.usage if self._reports.usage is None else _rest(result.usage, self._reports.usage)
        self._errand.spending.add_reported(reported)
        summary = result.summary or self._reports.text.strip()
        said = ev.TurnCompleted(
            task_id=self._task_id,
            attempt=errand.attempt,
            turn=self._turn,
            message=assistant(self._reports.text or summary),
            stop="end",
            usage=ZERO,
            model=errand.model or errand.agent.name,
        )
        await self._live.record(
            said if result.ok else self._turn_failed("AgentFailed", summary),
            ev.AgentFinished(
                task_id=self._task_id,
                attempt=errand.attempt,
                ok=result.ok,
                tree=tree,
                denied=denied,
                detail="; ".join(remarks),
                usage=reported,
            ),
        )
        if not result.ok:
            return ErrandEnd(
                kind="failed", reason=f"{errand.agent.name} failed: {summary or 'it says no more'}"
            )
        if denied and tree == self._ports.objects.tree_of(errand.snapshot):
            shown = ", ".join(denied[:_SHOWN])
            return ErrandEnd(
                kind="failed", reason=f"{errand.agent.name} changed nothing: it was not allowed: {shown}"
            )
        return ErrandEnd(kind="finished", tree=tree, reason=summary)

    async def _files(self) -> str:
        """The difference that it has left so far, durable: what was hidden from it is there, unchanged."""
        left = await self._checkout.capture()
        tree, self._dropped = await self._ports.executor.run(
            self._own.restored, self._ports.objects, left, self._hidden
        )
        return await self._ports.executor.run(self._without_left_out, tree)

    def _without_left_out(self, tree: str) -> str:
        """Paths that the snapshot leaves out are known and unwritable, for agents too."""
        objects, left_out = self._ports.objects, self._live.state.left_out
        names = {item.path.rstrip("/") for item in left_out}
        if not names:
            return tree
        changes = {
            path: before
            for path, before, _ in objects.diff(self._errand.snapshot, tree)
            if any(path == name or path.startswith(name + "/") for name in names)
        }
        return objects.write(tree, changes) if changes else tree

    async def _failed(self, error: str, detail: str) -> None:
        await self._live.record(
            self._turn_failed(error, detail),
            ev.AgentFinished(
                task_id=self._task_id,
                attempt=self._errand.attempt,
                ok=False,
                detail=detail,
                usage_incomplete=True,
            ),
        )

    def _turn_failed(self, error: str, detail: str) -> ev.TurnFailed:
        return ev.TurnFailed(
            task_id=self._task_id, attempt=self._errand.attempt, turn=self._turn, error=error, detail=detail
        )

    # --- what it asks ------------------------------------------------------------------------------

    async def _may(self, request: PermissionRequest) -> bool:
        """An agent's own files are its own; what leaves them, runs or fetches is judged as a model's would be."""
        if not all(map(self._is_inside, request.paths)):
            return False
        if request.kind in {"read", "edit"} and request.paths:
            return True
        options = self._live.state.options
        assert options is not None
        if options.approval == "auto" and request.kind == "command":
            verdict = classify(request.subject)
            if verdict.kind == "allow":
                return True
        return await self._live.ask(
            "command",
            self._reports.inside(request.subject) or request.kind,
            task_id=self._task_id,
            detail=f"{self._errand.agent.name} asks ({request.kind})",
        )

    def _is_inside(self, path: str) -> bool:
        folder = os.path.realpath(self._checkout.path)
        real = os.path.realpath(os.path.join(folder, path))  # noqa: PTH118 - an absolute path stays one
        return real == folder or real.startswith(folder + os.sep)


def _environment(checkout: Checkout) -> Mapping[str, str]:
    """What commands in the checkout need, with its own programs last on PATH: the agent itself must not start one
    of them in the place of the user's.
    """
    env = dict(checkout.env)
    inside = f"{checkout.path}{os.sep}"
    entries = env.get("PATH", "").split(os.pathsep)
    env["PATH"] = os.pathsep.join(sorted(entries, key=lambda entry: entry.startswith(inside)))
    return env


def _rest(whole: Usage, seen: Usage) -> Usage:
    """What the whole holds beyond what was reported on the way; what neither knows stays unknown."""

    def less(a: float | None, b: float | None) -> float | None:
        if a is None:
            return None if b is None else 0
        return a if b is None else max(0, a - b)

    return Usage(
        _whole(less(whole.input_tokens, seen.input_tokens)),
        _whole(less(whole.output_tokens, seen.output_tokens)),
        _whole(less(whole.cached_tokens, seen.cached_tokens)),
        _whole(less(whole.reasoning_tokens, seen.reasoning_tokens)),
        less(whole.cost_usd, seen.cost_usd),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
