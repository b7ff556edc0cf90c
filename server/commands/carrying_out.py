"""What `run`, `resume` and `demo` have in common: trust, options, the run itself, its end."""

import os
import time
from pathlib import Path

from orchestration.commands import DecideHunks, Reply, ResumeRun, StartRun
from orchestration.engine import EngineFront
from orchestration.run import RunState
from server.commands.approvals import asker
from server.commands.deciding import BY, decision_json, decision_lines, exit_of
from server.commands.engine import log_to_file, refused
from server.commands.invocation import Invocation
from server.commands.watch import Watch
from server.settings import Settings
from server.settings_checks import Value
from server.terminal.following import finished_json
from server.terminal.questions import ask
from server.terminal.summary import summary


async def trusted_or_asked(
    invocation: Invocation, root: Path, settings: Settings, *, trusted: bool
) -> tuple[Settings, bool]:
    """Asks an untrusted workspace's user before anything runs; settings are read anew when trust was given."""
    terminal = invocation.terminal
    if trusted or settings.approval == "never":
        return settings, trusted
    if not terminal.interactive:
        terminal.remark(
            f"warning: {root} is not trusted, so no command and no test runs and gates that need one are "
            "`not run`; --trust for this once, `antiphon trust` for good"
        )
        return settings, False
    from server.app import set_trust
    from server.commands.trust import workspace_addresses

    terminal.say((f"{root} is not trusted yet.", "bold yellow"))
    for name, url in workspace_addresses(root, invocation.environ).items():
        terminal.say((f"It wants calls of {name}, with its key, to go to {url}.", "bold yellow"))
    terminal.say("Tests and commands of this workspace would run with your rights (sandbox: none).")
    chosen = await ask(terminal, ("Trust it?",), {"o": "once", "a": "always", "n": "no"})
    if chosen == "a":
        set_trust(root, settings=settings, environ=invocation.environ, trusted=True)
    if chosen not in {"o", "a"}:
        return settings, False
    return invocation.with_args(trust=True).settings(root, run_flags(invocation))[0], True


def run_flags(invocation: Invocation) -> dict[str, Value | None]:
    from server.commands.run import flags

    return flags(invocation.args)


async def carry_out(
    invocation: Invocation,
    root: Path,
    settings: Settings,
    command: StartRun | ResumeRun,
    *,
    trusted: bool,
) -> int:
    """Submits, watches to the end, accepts when asked to, and says how it went. Returns the exit code."""
    from server.app import open_engine

    terminal = invocation.terminal
    log_to_file(root, settings, invocation.environ)
    async with open_engine(
        root, settings=settings, trusted=trusted, interactive=terminal.interactive, environ=invocation.environ
    ) as engine:
        after = 0
        if isinstance(command, ResumeRun):
            after = (await engine.state(command.run_id)).last_seq
        reply = await engine.submit(command)
        if reply.error:
            return refused(reply, terminal)
        watch = Watch(engine, reply.run_id, terminal, after=after)
        state = await watch.follow(asker(engine, terminal) if terminal.interactive else None)
        accepted = await _accept(engine, invocation, state)
    return _ended(invocation, watch, state, accepted)


async def _accept(engine: EngineFront, invocation: Invocation, state: RunState) -> Reply | None:
    if invocation.args.accept != "all" or state.changes is None or not state.changes.hunks:
        return None
    return await engine.submit(DecideHunks(run_id=state.run_id, decision="accept", all=True, by=BY))


def _ended(invocation: Invocation, watch: Watch, state: RunState, accepted: Reply | None) -> int:
    terminal = invocation.terminal
    code = state.exit_code if watch.finished is not None else 70
    if accepted is not None:
        code = max(code, exit_of(accepted))
    extra = {"exitCode": code} | ({"accepted": decision_json(accepted)} if accepted is not None else {})
    if watch.finished is None:
        terminal.remark(f"antiphon: the run stopped without an end; antiphon resume {state.run_id} goes on")
    else:
        terminal.emit(finished_json(watch.finished, state, extra))
    terminal.lines(
        summary(
            state,
            time.time(),
            columns=terminal.columns,
            unicode=terminal.unicode,
            workspace_option=workspace_option(invocation),
        )
    )
    if accepted is not None:
        terminal.say()
        terminal.lines(decision_lines(accepted, "accept"))
    return code


def workspace_option(invocation: Invocation) -> str:
    """What a next command needs to find the same workspace from the same folder."""
    import shlex

    given = invocation.args.workspace
    if given is None or os.path.realpath(given) == str(Path.cwd()):
        return ""
    return f" --workspace {shlex.quote(given)}"
