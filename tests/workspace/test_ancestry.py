"""Best common ancestors against a plain definition, over random histories."""

import random

import pytest

from orchestration.workspace.ancestry import Ancestry


def _history(seed: int) -> dict[str, tuple[str, ...]]:
    chance = random.Random(seed)
    parents: dict[str, tuple[str, ...]] = {"c00": ()}
    for number in range(1, 25):
        known = sorted(parents)
        picked = chance.sample(known[-6:], k=min(len(known[-6:]), chance.choice([0, 1, 1, 2, 2, 3])))
        parents[f"c{number:02}"] = tuple(picked)
    return parents


def _ancestors(parents: dict[str, tuple[str, ...]], commit: str) -> set[str]:
    found, stack = {commit}, [commit]
    while stack:
        for parent in parents[stack.pop()]:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return found


@pytest.mark.parametrize("seed", range(30))
def test_merge_bases_are_the_common_ancestors_that_no_other_descends_from(seed: int) -> None:
    parents = _history(seed)
    ancestry = Ancestry(parents.__getitem__)
    chance = random.Random(seed)
    for _ in range(60):
        one, *others = chance.sample(sorted(parents), k=chance.choice([2, 2, 3]))
        common = _ancestors(parents, one) & {c for other in others for c in _ancestors(parents, other)}
        best = {c for c in common if not any(c in _ancestors(parents, d) for d in common - {c})}
        assert ancestry.merge_bases(one, others) == sorted(best)
        assert ancestry.is_ancestor(one, others[0]) == (one in _ancestors(parents, others[0]))
        given = [one, *others, one]
        assert ancestry.independent(given) == [
            c for c in dict.fromkeys(given) if not any(c in _ancestors(parents, d) for d in set(given) - {c})
        ]


def test_a_history_of_thousands_needs_no_recursion() -> None:
    parents = {"0": ()} | {str(n): (str(n - 1),) for n in range(1, 20_000)}
    assert Ancestry(lambda commit: parents[commit]).is_ancestor("0", "19999")
