"""A plan that a person wrote, in YAML or JSON:

    goal: Mend the parser                 # optional
    tasks:                                # or the bare list
      - id: parse
        title: Mend the tokenizer
        instructions: The last token is dropped.
        role: coder                       # optional, as all that follows
        depends_on: [survey]
        paths: [src/parse.py]
        tests: [tests/test_parse.py]

Whether the tasks form a graph is judged by `orchestration.graph`; every error names the task and the key.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestration.errors import UsageError
from orchestration.graph_model import TaskSpec

_LARGEST_FILE = 64 << 20
_MOST_REASONS = 8
_TEXTS = ("id", "title", "instructions", "role", "model")
_REQUIRED = ("id", "title", "instructions")
_LISTS = ("depends_on", "paths", "tests")
_KEYS = (*_TEXTS, *_LISTS)
_ALIASES = {"dependsOn": "depends_on"}


class PlanFile(msgspec.Struct, frozen=True):
    """`goal` is empty when the file names none."""

    goal: str
    tasks: tuple[TaskSpec, ...]


def read_plan(file: Path) -> PlanFile:
    """Raises UsageError: a file that cannot be read or parsed, a wrong task, tasks that form no graph."""
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"the plan {file} is larger than 64 MB; split it")
        content = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"the plan {file} does not exist; correct --plan-file") from error
    except OSError as error:
        raise UsageError(f"the plan {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the plan {file} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    return parse_plan(content, source=str(file), as_json=file.suffix.lower() == ".json")


def parse_plan(content: str, *, source: str, as_json: bool = False) -> PlanFile:
    """`source` names the plan in errors. Raises UsageError."""
    from orchestration.agents.roles import packaged_roles
    from orchestration.graph import problems

    goal, entries = _outer(_loaded(content, source, as_json=as_json), source)
    tasks = tuple(_task(entry, number, source) for number, entry in enumerate(entries, 1))
    reasons = problems(tasks, roles=packaged_roles(), limit=None)
    if reasons:
        shown = list(reasons[:_MOST_REASONS])
        if len(reasons) > len(shown):
            shown.append(f"and {len(reasons) - len(shown)} more")
        raise UsageError("\n".join([f"the plan {source} cannot be carried out:", *shown]))
    return PlanFile(goal, tasks)


def written_plan(tasks: Sequence[TaskSpec]) -> str:
    """The tasks as a YAML plan file, for editing."""
    import yaml  # 25 ms, and only who edits a plan pays for it

    plain = [
        {
            key: list(value) if isinstance(value, tuple) else value
            for key in _KEYS
            if (value := getattr(task, key)) or key in _REQUIRED
        }
        for task in tasks
    ]
    return str(yaml.safe_dump({"tasks": plain}, sort_keys=False, allow_unicode=True, width=100))


def _loaded(content: str, source: str, *, as_json: bool) -> Any:
    if as_json or content.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(content)
        except json.JSONDecodeError as error:
            if as_json:
                raise UsageError(f"the plan {source} is not valid JSON: {error}") from error
        except RecursionError as error:
            raise UsageError(f"the plan {source} is nested too deeply") from error
    import yaml

    loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(content, Loader=loader)  # noqa: S506 - both loaders are the safe ones
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-99-99
        raise UsageError(f"the plan {source} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise UsageError(f"the plan {source} is nested too deeply") from error


def _outer(raw: Any, source: str) -> tuple[str, Sequence[Any]]:
    goal = ""
    if isinstance(raw, Mapping):
        for key in raw:
            if key not in {"goal", "tasks"}:
                raise UsageError(f"the plan {source}: {_unknown(key, ('goal', 'tasks'))}")
        goal = raw.get("goal") or ""
        if not isinstance(goal, str):
            raise UsageError(f"the plan {source}: `goal` must be text, not {goal!r:.60}")
        raw = raw.get("tasks")
    if not isinstance(raw, list):
        raise UsageError(f"the plan {source} must be a list of tasks, or `tasks:` with such a list")
    if not raw:
        raise UsageError(f"the plan {source} has no tasks; give at least one")
    return goal.strip(), raw


def _task(raw: Any, number: int, source: str) -> TaskSpec:
    where = f"the plan {source}: task {number}"
    if not isinstance(raw, Mapping):
        raise UsageError(f"{where} must be a mapping with id, title and instructions, not {raw!r:.60}")
    given: dict[str, Any] = {_ALIASES.get(str(key), str(key)): value for key, value in raw.items()}
    task_id = given.get("id")
    if isinstance(task_id, str | int) and not isinstance(task_id, bool):
        where = f"{where} ({task_id})"
    for key in given:
        if key not in _KEYS:
            raise UsageError(f"{where}: {_unknown(key, _KEYS)}")
    for key in _REQUIRED:
        if given.get(key) is None:
            raise UsageError(f"{where} has no `{key}`")
    fields: dict[str, Any] = {}
    for key, value in given.items():
        if value is not None:
            fields[key] = _texts(value, key, where) if key in _LISTS else _text(value, key, where)
    return TaskSpec(**fields)


def _text(value: Any, key: str, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and key in {"id", "title", "depends_on"}:
        return str(value)
    if not isinstance(value, str):
        raise UsageError(f"{where}: `{key}` must be text, not {value!r:.60}; quote it")
    return value


def _texts(value: Any, key: str, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        raise UsageError(f"{where}: `{key}` must be a list; write [{value:.60}]")
    if not isinstance(value, list):
        raise UsageError(f"{where}: `{key}` must be a list of texts, not {value!r:.60}")
    return tuple(_text(item, key, where) for item in value)


def _unknown(key: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    mend = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
    return f"unknown key `{key}`; {mend}"
