"""`run_command` for one task: trust, policy, a person's word, then a process in a checkout of its tree."""

from orchestration.agents.tools.contract import CommandResult
from orchestration.engine_ports import EnginePorts
from orchestration.live_run import LiveRun
from orchestration.workspace.commands import classify
from orchestration.workspace.launcher import Command
from orchestration.workspace.task_tree import TaskTree

DEFAULT_TIMEOUT_S = 120.0
MAX_TIMEOUT_S = 1_800.0
OUTPUT_BYTES = 200_000


async def run_command(
    ports: EnginePorts, live: LiveRun, tree: TaskTree, task_id: str, command: str, timeout_s: float | None
) -> CommandResult:
    """Runs `command` when it may, and takes the files that it changed into `tree`."""
    refusal = await _refusal(ports, live, task_id, command)
    if refusal:
        return CommandResult(text=f"Not run: {refusal}.", is_error=True)
    verdict = classify(command)
    single = verdict.argvs[0] if verdict.kind == "allow" and len(verdict.argvs) == 1 else None
    argv = list(single) if single is not None else ["/bin/sh", "-c", command]
    limit = min(timeout_s or DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S)
    before = await ports.executor.run(tree.flush)
    async with ports.checkouts.acquire(before) as checkout:
        done = await ports.launcher.run(
            Command(
                argv=tuple(argv),
                cwd=checkout.path,
                env=dict(checkout.env),
                timeout_s=limit,
                max_output=OUTPUT_BYTES,
                purpose=f"{task_id}: {command}"[:200],
            )
        )
        tree.reset(await checkout.capture())
    text = done.output.decode("utf-8", errors="replace")
    head = f"[stopped after {limit:g} s]" if done.timed_out else f"[exit code {done.exit_code}]"
    return CommandResult(text=f"{head}\n{text}".rstrip(), is_error=done.timed_out or done.exit_code != 0)


async def _refusal(ports: EnginePorts, live: LiveRun, task_id: str, command: str) -> str:
    options = live.state.options
    assert options is not None
    if not ports.trusted():
        return "commands are off because the workspace is not trusted; work without them"
    if options.approval == "never":
        return "commands are off (approval is `never`); work without them"
    verdict = classify(command)
    if options.approval == "auto" and verdict.kind == "allow":
        return ""
    why = verdict.reason or "approval is `ask`"
    if await live.ask("command", command, task_id=task_id, detail=why):
        return ""
    if live.interactive:
        return "a person rejected it"
    return f"it needs a person's approval ({why}) and nobody can be asked here"
