"""The loop guard on recorded loops: each pattern is warned of once, then stopped."""

from orchestration.agents.guards import LoopGuard, Observation


def seen(*calls: str, result: str = "same", success: bool = True) -> Observation:
    return Observation(tuple((call, "{}") for call in calls), (result,) * len(calls), success)


def verdicts(turns: list[Observation]) -> list[str]:
    guard = LoopGuard()
    return [guard.observe(turn).verdict for turn in turns]


def test_the_same_call_with_the_same_result() -> None:
    assert verdicts([seen("read")] * 5) == ["fine", "fine", "warn", "fine", "stuck"]


def test_the_same_call_with_new_results_is_work() -> None:
    assert set(verdicts([seen("run", result=str(n)) for n in range(20)])) == {"fine"}


def test_two_calls_taking_turns() -> None:
    found = verdicts([seen("a"), seen("b")] * 5)
    assert found.count("warn") == 1
    assert found[-1] == "stuck"
    assert "stuck" not in found[:-1]


def test_nothing_succeeds() -> None:
    turns = [seen(f"edit{n}", result=f"error {n}", success=False) for n in range(10)]
    found = verdicts(turns)
    assert found[4] == "warn"
    assert found[9] == "stuck"


def test_one_success_starts_the_count_anew() -> None:
    failing = [seen(f"edit{n}", result=f"error {n}", success=False) for n in range(9)]
    assert "stuck" not in verdicts([*failing, seen("read", result="text"), *failing])
