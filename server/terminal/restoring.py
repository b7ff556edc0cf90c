"""A restore on the command line, with how far it is where the screen can be redrawn."""

from typing import TYPE_CHECKING

import anyio

from orchestration.checkpoints.desk import RESTORING
from orchestration.commands import Reply, RestoreCheckpoint
from orchestration.engine import EngineFront
from orchestration.events import Delta

if TYPE_CHECKING:
    from server.terminal.terminal import Terminal


async def with_progress(terminal: "Terminal", engine: EngineFront, command: RestoreCheckpoint) -> Reply:
    if not terminal.animated:
        return await engine.submit(command)
    state = await engine.state(command.run_id)
    reply = Reply()
    with terminal.console().status("reading the workspace", spinner="dots") as status:
        async with anyio.create_task_group() as group:

            async def tell() -> None:
                async for item in engine.subscribe(command.run_id, state.last_seq):
                    if isinstance(item, Delta) and item.task_id == RESTORING:
                        status.update(f"restoring: {item.text}")

            group.start_soon(tell)
            reply = await engine.submit(command)
            group.cancel_scope.cancel()
    return reply
