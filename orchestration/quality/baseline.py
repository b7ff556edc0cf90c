"""What all gates of an engine share: what tests did in trees that were run before, which passed for the
tasks of a run, and how many may run at once.

Results hold for one tree and one way to run tests. They are not carried over to another tree that agrees
in a test's own files only: tests read what lies elsewhere, and start programs that do, and nobody sees it.
"""

import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

import anyio
import msgspec

from orchestration.quality.references import References
from orchestration.quality.runners.contract import Case, CaseOutcome

Results = Mapping[str, Mapping[str, CaseOutcome]]
"""By test file, what each of its tests did, by id."""
_DECODER: msgspec.json.Decoder[dict[str, CaseOutcome]] = msgspec.json.Decoder(dict[str, CaseOutcome])
_MOST_FILES = 5_000
_MOST_RUNS = 50


class BaselineCache(Protocol):
    """A place that keeps small bodies by key across processes. May forget; never invents."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, body: bytes) -> None: ...


class Baseline:
    """One per engine. Parallel gates that need the same result of a start run it once."""

    def __init__(self, cache: BaselineCache | None = None, *, slots: int | None = None) -> None:
        """`slots`: how many runs of tests there are at once; by default two more than processors, since tests
        wait, too.
        """
        self.references = References()
        self.slots = anyio.CapacityLimiter(slots or (os.cpu_count() or 1) + 2)
        self._cache = cache
        self._known: OrderedDict[str, Mapping[str, CaseOutcome]] = OrderedDict()
        self._pending: dict[str, anyio.Event] = {}
        self._passed: OrderedDict[str, dict[str, None]] = OrderedDict()

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

    def known(self, tree: str, path: str) -> Mapping[str, CaseOutcome] | None:
        """What the tests of a file did in `tree`, if that is known. Runs nothing."""
        return self._known.get(_key(tree, path))

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
                self._remember(key, _DECODER.decode(body))

    async def _run(
        self, tree: str, paths: Sequence[str], run: Callable[[Sequence[str]], Awaitable[Results]]
    ) -> None:
        done = anyio.Event()
        for path in paths:
            self._pending[_key(tree, path)] = done
        try:
            for path, outcomes in (await run(paths)).items():
                key = _key(tree, path)
                self._remember(key, dict(outcomes))
                if self._cache is not None:
                    await self._cache.put(key, msgspec.json.encode(dict(outcomes)))
        finally:
            for path in paths:
                del self._pending[_key(tree, path)]
            done.set()

    def remember(self, tree: str, paths: Iterable[str], cases: Iterable[Case]) -> None:
        """`cases`: all results of these whole files in `tree`."""
        found: dict[str, dict[str, CaseOutcome]] = {path: {} for path in paths}
        for case in cases:
            if case.path in found:
                found[case.path][case.id] = case.outcome
        for path, outcomes in found.items():
            self._remember(_key(tree, path), outcomes)

    def _remember(self, key: str, outcomes: Mapping[str, CaseOutcome]) -> None:
        self._known[key] = outcomes
        self._known.move_to_end(key)
        while len(self._known) > _MOST_FILES:
            self._known.popitem(last=False)

    def remember_passed(self, run: str, cases: Iterable[Case]) -> None:
        """Tests that passed for a task of a run: its final tree must not fail them, whatever the base did."""
        passed = self._passed.setdefault(run, {})
        passed.update((case.id, None) for case in cases if case.outcome == "passed")
        self._passed.move_to_end(run)
        while len(self._passed) > _MOST_RUNS:
            self._passed.popitem(last=False)

    def has_passed(self, run: str, case_id: str) -> bool:
        return case_id in self._passed.get(run, {})

    def knows_passed(self, run: str) -> bool:
        return bool(self._passed.get(run))


def _key(tree: str, path: str) -> str:
    return f"tests/{tree}/{path}"
