"""In-memory surroundings for tests of the engine: the twins of the real adapters."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class InlineExecutor:
    """Runs blocking work at once, where it is."""

    async def run(self, function: Callable[..., T], *args: object) -> T:
        return function(*args)
