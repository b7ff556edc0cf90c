"""What `accept`, `reject` and `undo` share: the one decision that is sent, and what became of the files."""

from typing import Literal

from orchestration.commands import DecideHunks, Reply
from orchestration.engine import EngineFront
from orchestration.errors import UsageError
from server.commands.engine import refused, with_engine
from server.commands.invocation import Invocation
from server.commands.lookup import chosen_hunks, find_run
from server.terminal import figures
from server.terminal.lines import Line, line

BY = "command line"
_STYLES = {
    "written": "green",
    "saved": "green",
    "seen": "green",
    "sent": "cyan",
    "unchanged": "dim",
    "conflict": "bold red",
    "unknown": "bold yellow",
}


def decide(invocation: Invocation, decision: Literal["accept", "reject"]) -> int:
    """One decision for everything that was named, so that one `undo` takes it back."""
    args = invocation.args
    if bool(args.all) == bool(args.file or args.hunk):
        raise UsageError(f"say what to {decision}: --all, or --file PATH and --hunk ID as often as needed")

    async def use(engine: EngineFront) -> int:
        run = await find_run(engine, args.run)
        hunks: tuple[str, ...] = ()
        if not args.all:
            hunks = chosen_hunks(await engine.changes(run.run_id), files=args.file, hunks=args.hunk)
        reply = await engine.submit(
            DecideHunks(run_id=run.run_id, decision=decision, all=args.all, hunk_ids=hunks, by=BY)
        )
        return told(invocation, run.run_id, reply, decision)

    return with_engine(invocation, use)


def told(invocation: Invocation, run_id: str, reply: Reply, verb: str) -> int:
    """Says what became of a decision or an undo. Returns the exit code."""
    terminal = invocation.terminal
    if reply.error:
        return refused(reply, terminal)
    code = exit_of(reply)
    terminal.emit({"runId": run_id, "type": verb, **decision_json(reply), "exitCode": code})
    terminal.lines(decision_lines(reply, verb))
    return code


def exit_of(reply: Reply) -> int:
    """A decision that was carried out but met a conflict in some file is a 1."""
    if reply.error:
        return reply.exit_code or 70
    return 1 if any(file.outcome in {"conflict", "unknown"} for file in reply.files) else 0


def decision_json(reply: Reply) -> dict[str, object]:
    return {
        "decisionId": reply.decision_id,
        "checkpointId": reply.checkpoint_id or None,
        "files": [
            {"path": file.path, "outcome": file.outcome, "detail": file.detail} for file in reply.files
        ],
        **({"error": reply.error, "kind": reply.error_kind} if reply.error else {}),
    }


def decision_lines(reply: Reply, verb: str) -> list[Line]:
    done = {"accept": "accepted", "reject": "rejected", "undo": "undone"}[verb]
    if reply.error:
        return [line((f"not {done}: ", "bold red"), text) for text in reply.error.splitlines()]
    if not reply.decision_id and not reply.files:
        return [line(("nothing to do", "yellow"), ": no hunk of the run is open any more")]
    lines = [
        line(
            (file.outcome, _STYLES.get(file.outcome, "")),
            "  ",
            file.path,
            (f"  {file.detail}" if file.detail else "", "dim"),
        )
        for file in reply.files
    ]
    conflicts = sum(file.outcome in {"conflict", "unknown"} for file in reply.files)
    count = figures.several(len(reply.files) - conflicts, "file")
    lines.append(
        line(
            (done, "bold green" if not conflicts else "bold yellow"),
            f" in {count}" if reply.files else "",
            (f", {figures.several(conflicts, 'conflict')}" if conflicts else "", "bold red"),
            (f"  {reply.decision_id}" if reply.decision_id else "", "dim"),
        )
    )
    return lines
