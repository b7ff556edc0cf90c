"""What a check of tests found out, in the form that a run keeps: a resumed run knows it without running again.

Results hold for whole test files in one tree run in one way; passes hold for the run, whatever the tree.
Which of it counts is the baseline's business.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from orchestration.quality.runners.contract import Case, CaseOutcome

ByOutcome = dict[CaseOutcome, list[str]]
"""The ids of tests by what they did, without the path of their file."""


class Learned(msgspec.Struct, frozen=True, omit_defaults=True):
    """`results`: by tree and way (`judging.same_runs`), then by whole test file. What passed in the tree
    `counts` passed for a task of the run, and so did `passed` (by file), of which the rest is not known.
    """

    results: dict[str, dict[str, ByOutcome]] = {}
    counts: str = ""
    passed: dict[str, list[str]] = {}

    def encode(self) -> bytes:
        """Empty when nothing was learned."""
        return msgspec.json.encode(self) if self.results or self.passed else b""

    def outcomes(self) -> Iterator[tuple[str, str, dict[str, CaseOutcome]]]:
        """By tree and way, and file: what each test did, by id."""
        for runs, files in self.results.items():
            for path, found in files.items():
                yield runs, path, {path + rest: outcome for outcome, ids in found.items() for rest in ids}

    def passed_ids(self) -> Iterator[str]:
        for path, found in self.results.get(self.counts, {}).items():
            yield from (path + rest for rest in found.get("passed", ()))
        for path, ids in self.passed.items():
            yield from (path + rest for rest in ids)


def decode(body: bytes) -> Learned:
    """Raises msgspec.DecodeError for what `encode` did not make."""
    return msgspec.json.decode(body, type=Learned)


def by_outcome(path: str, outcomes: Mapping[str, CaseOutcome]) -> ByOutcome:
    found: ByOutcome = {}
    for case_id, outcome in outcomes.items():
        found.setdefault(outcome, []).append(case_id.removeprefix(path))
    return found


def passes(cases: Iterable[Case]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for case in cases:
        if case.outcome == "passed":
            found.setdefault(case.path, []).append(case.id.removeprefix(case.path))
    return found
