"""Waits for what another process does, which no event of ours can announce."""

from collections.abc import Callable

import anyio


async def eventually(condition: Callable[[], bool], within_s: float = 20) -> None:
    with anyio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 - another process sets it
            await anyio.sleep(0.01)
