"""What the tests did before a change: results by (tree, test file), remembered while a run lives, and
beyond it when a cache is given.
"""

from typing import Protocol


class BaselineCache(Protocol):
    """A place that keeps small bodies by key across processes. May forget; never invents."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, body: bytes) -> None: ...


class Baseline:
    """One per run, shared by all its gates."""

    def __init__(self, cache: BaselineCache | None = None) -> None:
        self._cache = cache
