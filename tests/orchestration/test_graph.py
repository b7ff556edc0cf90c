"""The task graph: what is refused and why, what is ready when, what is lost with a dead task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.graph import TaskGraph, critical_path, find_cycle, leaves, problems
from orchestration.graph_model import TaskSpec

ROLES = {"coder", "tester"}


def task(name: str, *needs: str, role: str = "coder") -> TaskSpec:
    return TaskSpec(id=name, title=f"do {name}", instructions="text", role=role, depends_on=needs)


@pytest.mark.parametrize("test", ["/etc/passwd", "../x.py", "tests/../../x.py::test_a"])
def test_tests_of_a_plan_are_inside(test: str) -> None:
    spec = TaskSpec(id="a", title="A", instructions="x", role="coder", tests=("tests/a..b.py::T::t", test))
    [reason] = problems([spec], roles=["coder"])
    assert repr(test) in reason
    assert "outside the workspace" in reason


def test_a_valid_plan_has_no_problems() -> None:
    assert problems([task("a"), task("b", "a"), task("c", "a", "b")], roles=ROLES) == ()


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([], "no tasks"),
        ([task("a"), task("a")], "two tasks have the id 'a'"),
        ([task("a", "x")], "'x', which is no task"),
        ([task("a", "b"), task("b", "a")], "in a circle: a -> b -> a"),
        ([task("a", "a")], "in a circle: a -> a"),
        ([task("a", role="chef")], "'chef'; the roles are coder, tester"),
        ([task("a b")], "not usable"),
        ([task(f"t{number}") for number in range(201)], "at most 200"),
        ([TaskSpec(id="a", title=" ", instructions="x")], "no title"),
        ([TaskSpec(id="a", title="x", instructions="")], "no instructions"),
    ],
)
def test_each_fault_of_a_plan_is_named(tasks: list[TaskSpec], words: str) -> None:
    assert words in "\n".join(problems(tasks, roles=ROLES))


def test_a_given_plan_may_have_thousands_of_tasks_in_a_row() -> None:
    chain = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 5_000))]
    assert problems(chain, roles=ROLES, limit=None) == ()
    assert critical_path(chain, lambda _: 1.0) == 5_000


def test_a_long_cycle_is_found_without_recursion() -> None:
    ring = [task(f"t{n}", f"t{(n + 1) % 3_000}") for n in range(3_000)]
    assert len(find_cycle(ring)) == 3_001


def test_ready_tasks_come_in_plan_order_and_only_after_their_needs() -> None:
    graph = TaskGraph([task("b", "a"), task("a"), task("c")])
    assert [graph.take(), graph.take(), graph.take()] == ["a", "c", None]
    graph.done("a")
    assert graph.take() == "b"
    assert graph.open_tasks == 2


def test_a_dead_task_takes_what_needs_it_and_nothing_else() -> None:
    graph = TaskGraph([task("a"), task("b", "a"), task("c", "b"), task("d")])
    assert graph.take() == "a"
    assert graph.abandon("a") == ("b", "c")
    assert [graph.take(), graph.take()] == ["d", None]


def test_a_task_put_back_waits_for_what_it_needs_first() -> None:
    graph = TaskGraph([task("a")])
    assert graph.take() == "a"
    graph.add(task("join"))
    graph.put_back("a", ["join"])
    assert [graph.take(), graph.take()] == ["join", None]
    graph.done("join")
    assert graph.take() == "a"


def test_leaves_are_what_nothing_depends_on() -> None:
    specs = [task("a"), task("b", "a"), task("c")]
    assert leaves({spec.id: spec for spec in specs}) == ("b", "c")


@given(st.data())
def test_any_acyclic_graph_is_carried_out_whole_and_in_order(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 20))
    specs = []
    for number in range(size):
        needs = data.draw(st.sets(st.integers(0, number - 1))) if number else set()
        specs.append(task(f"t{number}", *(f"t{need}" for need in sorted(needs))))
    shuffled = data.draw(st.permutations(specs))
    assert problems(shuffled, roles=ROLES) == ()
    graph = TaskGraph(shuffled)
    done: list[str] = []
    while (name := graph.take()) is not None:
        assert set(next(spec for spec in specs if spec.id == name).depends_on) <= set(done)
        done.append(name)
        graph.done(name)
    assert sorted(done) == sorted(spec.id for spec in specs)
    assert graph.open_tasks == 0


def test_a_task_may_need_more_than_its_plan_says() -> None:
    graph = TaskGraph()
    graph.add(task("a"), also=["join"])
    graph.add(task("join"))
    assert [graph.take(), graph.take()] == ["join", None]
    graph.done("join")
    assert graph.take() == "a"
