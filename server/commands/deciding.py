"""What `accept`, `reject` and `undo` share: the one decision that is sent, and what became of the files."""

import sys
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from orchestration.commands import DecideHunks, Reply
from orchestration.engine import EngineFront
from orchestration.errors import EditRefusedError, UsageError
from server.commands.engine import refused, with_engine
from server.commands.invocation import Invocation
from server.commands.lookup import chosen_hunks, find_run, lines_named
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

    edited = getattr(args, "edited", None)
    if (args.lines or edited) and (len(args.hunk) != 1 or args.file or args.all):
        raise UsageError("--lines and --edited are about one hunk: name it with --hunk ID and nothing else")
    text = None if edited is None else _read(edited)

    async def use(engine: EngineFront) -> int:
        run = await find_run(engine, args.run)
        command = DecideHunks(run_id=run.run_id, decision=decision, all=args.all, text=text, by=BY)
        if not args.all:
            view = await engine.changes(run.run_id)
            chosen = chosen_hunks(view, files=args.file, hunks=args.hunk)
            command = replace(command, hunk_ids=chosen)
            if args.lines or text is not None:
                (hunk,) = (one for one in view.hunks() if one.hunk_id == chosen[0])
                lines = lines_named(args.lines, hunk) if args.lines else None
                command = replace(command, lines=lines, base_hash=hunk.base_hash)
        reply = await engine.submit(command)
        return told(invocation, run.run_id, reply, decision)

    return with_engine(invocation, use)


def _read(name: str) -> str:
    """A file's text with its line endings, or standard input's. Raises UsageError."""
    from orchestration.edits.text import FileText

    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return FileText.decode(data).text
    except (OSError, EditRefusedError) as error:
        raise UsageError(f"--edited {name}: {error}") from None


def told(invocation: Invocation, run_id: str, reply: Reply, verb: str) -> int:
    """Says what became of a decision or an undo. Returns the exit code."""
    terminal = invocation.terminal
    if reply.error and not reply.files:
        return refused(reply, terminal)
    code = exit_of(reply)
    if terminal.json and reply.error:
        terminal.remark("antiphon: ", reply.error)
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
    if reply.error and not reply.files:
        return [line((f"not {done}: ", "bold red"), text) for text in reply.error.splitlines()]
    if not reply.decision_id and not reply.files:
        return [line(("nothing to do", "yellow"), ": the run has no open hunk")]
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
    nothing = conflicts > 0 and conflicts == len(reply.files)
    lines.append(
        line(
            (f"not {done}", "bold red") if nothing else (done, "bold yellow" if conflicts else "bold green"),
            f" in {count}" if reply.files and not nothing else "",
            (f", {figures.several(conflicts, 'conflict')}" if conflicts else "", "bold red"),
            (f"  {reply.decision_id}" if reply.decision_id else "", "dim"),
        )
    )
    return lines
