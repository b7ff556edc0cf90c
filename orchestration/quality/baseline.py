"""What all gates of an engine share: what tests did in trees that were run before, which passed for the
tasks of a run, and how many may run at once.

Results hold for one tree and one way to run tests. They are not carried over to another tree that agrees
in a test's own files only: tests read what lies elsewhere, and start programs that do, and nobody sees it.
Nor to another run, where a test failed or was skipped: what it lacked may be installed by then.
"""

import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import anyio

from orchestration.quality.learned import Learned
from orchestration.quality.references import References
from orchestration.quality.runners.contract import CaseOutcome

_MOST_FILES = 5_000
_MOST_RUNS = 50


@dataclass(frozen=True, slots=True)
class FileResults:
    """What the tests of a file did, by id. Not `whole`: the time was up before all of them had run."""

    outcomes: Mapping[str, CaseOutcome]
    whole: bool = True


Results = Mapping[str, FileResults]
"""By test file."""


class Baseline:
    """One per engine. Parallel gates that need the same result of a start run it once."""

    def __init__(self, *, slots: int | None = None) -> None:
        """`slots`: how many runs of tests there are at once; by default two more than processors, since tests
        wait, too.
        """
        self.references = References()
        self.slots = anyio.CapacityLimiter(slots or (os.cpu_count() or 1) + 2)
        self._known: OrderedDict[str, FileResults] = OrderedDict()
        self._pending: dict[str, anyio.Event] = {}
        self._passed: OrderedDict[str, dict[str, None]] = OrderedDict()

    async def of(
        self, tree: str, paths: Sequence[str], run: Callable[[Sequence[str]], Awaitable[Results]], owner: str
    ) -> Results:
        """What the tests of `paths` did in `tree`; `run` is asked for files that are not known and may
        leave some out. `owner`: the id of the run that asks.
        """
        asked: set[str] = set()
        while missing := [
            path for path in paths if self._find(tree, path, owner) is None and path not in asked
        ]:
            mine = [path for path in missing if _key(tree, path, owner) not in self._pending]
            if not mine:
                await self._pending[_key(tree, missing[0], owner)].wait()
                continue
            asked.update(mine)
            await self._run(tree, mine, run, owner)
        found = {path: self._find(tree, path, owner) for path in paths}
        return {path: results for path, results in found.items() if results is not None}

    def known(self, tree: str, path: str, owner: str) -> Mapping[str, CaseOutcome] | None:
        """What all tests of a file did in `tree`, if that is known. Runs nothing."""
        found = self._find(tree, path, owner)
        return found.outcomes if found is not None and found.whole else None

    def known_failures(self, tree: str, case_ids: Iterable[str], owner: str) -> frozenset[str]:
        """Of these tests, those known to have failed in `tree`. Runs nothing."""
        return frozenset(
            case_id
            for case_id in case_ids
            if (found := self._find(tree, case_id.split("::", 1)[0], owner)) is not None
            and found.outcomes.get(case_id) == "failed"
        )

    def _find(self, tree: str, path: str, owner: str) -> FileResults | None:
        return self._known.get(_key(tree, path, owner)) or self._known.get(_key(tree, path))

    async def _run(
        self,
        tree: str,
        paths: Sequence[str],
        run: Callable[[Sequence[str]], Awaitable[Results]],
        owner: str,
    ) -> None:
        done = anyio.Event()
        for path in paths:
            self._pending[_key(tree, path, owner)] = done
        try:
            for path, results in (await run(paths)).items():
                self._remember(tree, path, owner, results)
        finally:
            for path in paths:
                del self._pending[_key(tree, path, owner)]
            done.set()

    def _remember(self, tree: str, path: str, owner: str, results: FileResults) -> None:
        holds_for_all = results.whole and set(results.outcomes.values()) == {"passed"}
        key = _key(tree, path, "" if holds_for_all else owner)
        self._known[key] = results
        self._known.move_to_end(key)
        while len(self._known) > _MOST_FILES:
            self._known.popitem(last=False)

    def take(self, run: str, learned: Learned) -> None:
        """Takes in what a check of the run found out, just now or in a process that is gone."""
        for tree, path, outcomes in learned.outcomes():
            self._remember(tree, path, run, FileResults(outcomes))
        passed = self._passed.setdefault(run, {})
        passed.update(dict.fromkeys(learned.passed_ids()))
        self._passed.move_to_end(run)
        while len(self._passed) > _MOST_RUNS:
            self._passed.popitem(last=False)

    def has_passed(self, run: str, case_id: str) -> bool:
        """True for a test that passed for a task of the run: its final tree must not fail it, whatever the base
        did.
        """
        return case_id in self._passed.get(run, {})

    def knows_passed(self, run: str) -> bool:
        return bool(self._passed.get(run))


def _key(tree: str, path: str, owner: str = "") -> str:
    return f"{owner}/{tree}/{path}"
