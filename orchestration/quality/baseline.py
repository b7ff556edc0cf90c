"""What the tests did before a change: results by (tree, test file), remembered while a run lives, and
beyond it when a cache is given. Parallel gates that need the same result run it once.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

import anyio
import msgspec

from orchestration.quality.references import References
from orchestration.quality.runners.contract import Case, CaseOutcome

Results = Mapping[str, Mapping[str, CaseOutcome]]
"""By test file, what each of its tests did, by id."""
_DECODER: msgspec.json.Decoder[dict[str, CaseOutcome]] = msgspec.json.Decoder(dict[str, CaseOutcome])


class BaselineCache(Protocol):
    """A place that keeps small bodies by key across processes. May forget; never invents."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, body: bytes) -> None: ...


class Baseline:
    """One per run, shared by all its gates."""

    def __init__(self, cache: BaselineCache | None = None) -> None:
        self.references = References()
        self._cache = cache
        self._known: dict[str, Mapping[str, CaseOutcome]] = {}
        self._pending: dict[str, anyio.Event] = {}
        self._passed: dict[str, None] = {}

    async def of(
        self, tree: str, paths: Sequence[str], run: Callable[[Sequence[str]], Awaitable[Results]]
    ) -> dict[str, CaseOutcome]:
        """What the tests of `paths` did in `tree`; `run` is asked for files that are not known and may
        leave some out.
        """
        await self._recall(tree, paths)
        asked: set[str] = set()
        while missing := [
            path for path in paths if _key(tree, path) not in self._known and path not in asked
        ]:
            mine = [path for path in missing if _key(tree, path) not in self._pending]
            if not mine:
                await self._pending[_key(tree, missing[0])].wait()
                continue
            asked.update(mine)
            await self._run(tree, mine, run)
        found: dict[str, CaseOutcome] = {}
        for path in paths:
            found.update(self._known.get(_key(tree, path), {}))
        return found

    def known_failures(self, tree: str, case_ids: Iterable[str]) -> frozenset[str]:
        """Of these tests, those known to have failed in `tree`. Runs nothing."""
        return frozenset(
            case_id
            for case_id in case_ids
            if self._known.get(_key(tree, case_id.split("::", 1)[0]), {}).get(case_id) == "failed"
        )

    async def _recall(self, tree: str, paths: Iterable[str]) -> None:
        if self._cache is None:
            return
        for path in paths:
            key = _key(tree, path)
            if key not in self._known and (body := await self._cache.get(key)) is not None:
                self._known[key] = _DECODER.decode(body)

    async def _run(
        self, tree: str, paths: Sequence[str], run: Callable[[Sequence[str]], Awaitable[Results]]
    ) -> None:
        done = anyio.Event()
        for path in paths:
            self._pending[_key(tree, path)] = done
        try:
            for path, outcomes in (await run(paths)).items():
                key = _key(tree, path)
                self._known[key] = dict(outcomes)
                if self._cache is not None:
                    await self._cache.put(key, msgspec.json.encode(dict(outcomes)))
        finally:
            for path in paths:
                del self._pending[_key(tree, path)]
            done.set()

    def remember_passed(self, cases: Iterable[Case]) -> None:
        """Tests that passed for a task: the final tree must not fail them, whatever the base did."""
        self._passed.update((case.id, None) for case in cases if case.outcome == "passed")

    def has_passed(self, case_id: str) -> bool:
        return case_id in self._passed

    @property
    def knows_passed(self) -> bool:
        return bool(self._passed)


def _key(tree: str, path: str) -> str:
    return f"tests/{tree}/{path}"
