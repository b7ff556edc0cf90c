"""`antiphon/changes/decide`: accepts or rejects hunks, lines of one, a file, a task's or all; the answer has the outcome by file."""

from orchestration.commands import DecideHunks, HunkLines, Reply
from server.host import Host
from server.protocol import ChangesDecideParams
from server.workspaces import checked

PARAMS = ChangesDecideParams


async def handle(host: Host, params: ChangesDecideParams) -> Reply:
    workspace = await host.workspaces.of_run(params.run_id)
    lines = params.lines
    command = DecideHunks(
        run_id=params.run_id,
        decision=params.decision,
        hunk_ids=tuple(params.hunk_ids or ()),
        path=params.path,
        task_id=params.task_id,
        all=params.all,
        lines=None if lines is None else HunkLines(old=tuple(lines.old), new=tuple(lines.new)),
        text=params.text,
        base_hash=params.base_hash,
        by=host.client_name,
    )
    reply = await host.workspaces.ask(workspace, command)
    await host.decided(workspace, params.run_id)
    return checked(reply)
