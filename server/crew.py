"""Background tasks of the server: one that fails is logged and ends alone, it does not end the server."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVarTuple

import anyio
import anyio.abc

logger = logging.getLogger(__name__)
_PAUSE_S = 1.0
Arguments = TypeVarTuple("Arguments")


class Crew:
    """Over a task group, which ends them all."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group

    def start_soon(self, function: Callable[[*Arguments], Awaitable[None]], *arguments: *Arguments) -> None:
        async def work() -> None:
            try:
                await function(*arguments)
            except Exception:
                logger.exception("%s failed", function.__qualname__)

        self._group.start_soon(work)

    def keep(self, function: Callable[[], Awaitable[None]]) -> None:
        """For work that never ends by itself: it is begun again when it fails."""

        async def work() -> None:
            while True:
                try:
                    await function()
                except Exception:
                    logger.exception("%s failed and is begun again", function.__qualname__)
                await anyio.sleep(_PAUSE_S)

        self._group.start_soon(work)
