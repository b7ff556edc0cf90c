"""The words of a plan: what a task is. Validation and ordering are in `graph.py`."""

from typing import Literal

import msgspec

TaskKind = Literal["planned", "delegated", "conflict", "repair"]
PLAN_TASK = "plan"
"""Whose turns are the planner's, beside the tasks of a plan."""

REVIEW_OF = "review:"
"""Before a task's id: the conversation in which its result is reviewed. No task's own id holds a colon."""


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A node of the task graph. `tests` are test files or node ids that must pass for the task;
    `paths` says where it is expected to work (a hint for people and for finding tests, no right).
    """

    id: str
    title: str
    instructions: str
    role: str = "coder"
    depends_on: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    model: str | None = None
    kind: TaskKind = "planned"
    parent: str | None = None
