"""The syntax gate: what parsed before still parses, and new files parse.

Python, JSON, TOML, YAML and XML are parsed here, in a worker thread. JavaScript, shell and Go need their
own tools. A language whose tool is absent is not checked, which changes no outcome; a tool that is there
and may not be started (no trust) makes the gate `not_run`. A file that did not parse before either
blocks nothing: it may be written for another version of its language. Where our Python is older than
the workspace's, the workspace's decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import anyio

from orchestration.quality.checkers import Checker, check_file, checker_for
from orchestration.quality.feedback import LIMIT, counted, named, trimmed
from orchestration.quality.finding import Finding
from orchestration.quality.findings import base_hash, identify
from orchestration.quality.gates import GateContext, GateReport
from orchestration.quality.parsing import LARGEST, Fault, Parser, parser_for
from orchestration.quality.processes import Processes, scratch_folder
from orchestration.quality.runners.interpreter import find_python
from orchestration.quality.tree_view import folder_of

NAME = "syntax"
_PYTHON_CHECK = "import sys; compile(open(sys.argv[1], 'rb').read(), 'file', 'exec', dont_inherit=True)"


@dataclass(frozen=True, slots=True)
class _Broken:
    path: str
    language: str
    fault: Fault
    data: bytes


class SyntaxGate:
    name = NAME

    def __init__(self) -> None:
        self._parsing = anyio.Lock()

    async def check(self, context: GateContext) -> GateReport:
        if not context.changed:
            return GateReport(gate=NAME, outcome="not_applicable", detail="nothing has changed")
        began = context.clock.monotonic()
        async with self._parsing:
            parsing = await context.executor.run(_parse, context)
        report = await _judge(context, *parsing)
        return replace(report, seconds=context.clock.monotonic() - began)


async def _judge(
    context: GateContext, parsed: int, broken: list[_Broken], others: list[tuple[str, Checker, str]]
) -> GateReport:
    unchecked: list[str] = []
    if others:
        checked, faults, unchecked, refused = await _with_tools(context, others)
        parsed += checked
        broken += faults
        if refused and not broken:
            why = f"{named(list(refused))} could not be checked: {next(iter(refused.values()))}"
            return GateReport(gate=NAME, outcome="not_run", detail=why)
    broken = [fault for fault in broken if not await _newer_python(context, fault)]
    if broken:
        return _blocked(broken)
    if not parsed:
        detail = "; ".join(unchecked) or "no file of a language that is checked"
        return GateReport(gate=NAME, outcome="not_applicable", detail=detail)
    detail = f"{counted(parsed, 'file')} parsed"
    return GateReport(gate=NAME, outcome="passed", detail="; ".join([detail, *unchecked]))


def _parse(context: GateContext) -> tuple[int, list[_Broken], list[tuple[str, Checker, str]]]:
    """How many parsed, which did not, and which need a tool."""
    parsed, broken, others = 0, [], []
    for path in context.changed:
        data = context.store.read(context.tree, path)
        if data is None or len(data) > LARGEST or not data:
            continue
        found = parser_for(path)
        if found is None:
            text = data.decode("utf-8", "replace")
            if checker := checker_for(path, text):
                others.append((path, checker, text))
            continue
        language, parser = found
        fault = parser(data)
        if fault is None:
            parsed += 1
        elif not _was_broken(context, path, parser):
            broken.append(_Broken(path, language, fault, data))
    return parsed, broken, others


def _was_broken(context: GateContext, path: str, parser: Parser) -> bool:
    before = context.store.read(context.start, path)
    return before is not None and parser(before) is not None


async def _with_tools(
    context: GateContext, files: Iterable[tuple[str, Checker, str]]
) -> tuple[int, list[_Broken], list[str], dict[str, str]]:
    """How many parsed, which did not, what was not checked and why, and what may not be checked and why."""
    processes = _processes(context)
    checked, broken = 0, []
    refused: dict[str, str] = {}
    absent: dict[str, None] = {}
    async with scratch_folder(context.executor) as scratch:
        for path, checker, text in files:
            program = processes.find(checker.tool)
            if program is None:
                absent[f"{checker.language} not checked, since {checker.tool} is not on PATH"] = None
                continue
            if why_not := await context.why_not():
                refused[path] = why_not
                continue
            fault = await check_file(checker, program, text, scratch, processes, context.executor)
            if fault is not None:
                before = context.store.read(context.start, path)
                old = None if before is None else before.decode("utf-8", "replace")
                if old is not None and await check_file(
                    checker, program, old, scratch, processes, context.executor
                ):
                    continue
                broken.append(_Broken(path, checker.language, fault, text.encode("utf-8")))
                continue
            checked += 1
    return checked, broken, list(absent), refused


async def _newer_python(context: GateContext, broken: _Broken) -> bool:
    """True when the workspace's own Python can parse what ours cannot."""
    if broken.language != "Python":
        return False
    processes = _processes(context)
    python = await context.executor.run(
        find_python, (context.root,), folder_of(broken.path), context.settings, context.environ, processes
    )
    if isinstance(python, str) or await context.why_not():
        return False
    async with scratch_folder(context.executor) as scratch:
        file = scratch / "file.py"
        await context.executor.run(file.write_bytes, broken.data)
        done = await processes.run(
            (str(python.program), "-I", "-c", _PYTHON_CHECK, str(file)), cwd=scratch, purpose="check syntax"
        )
    return not done.failure and done.exit_code == 0


def _processes(context: GateContext) -> Processes:
    task = context.spec.id if context.spec is not None else ""
    return Processes(context.launcher, context.environ, context.root, task)


def _blocked(broken: list[_Broken]) -> GateReport:
    lines = [
        f"{item.path}:{item.fault.line + 1}:{item.fault.column + 1}: {item.language}: {item.fault.message}\n"
        f"    {_evidence(item)}"
        for item in broken
    ]
    title = "These files do not parse:" if len(lines) > 1 else "This file does not parse:"
    return GateReport(
        gate=NAME,
        outcome="blocked",
        detail=f"{named([item.path for item in broken])}: {broken[0].fault.message}",
        feedback=trimmed("\n".join([title, *lines]), LIMIT),
        findings=identify(_finding(item) for item in broken),
    )


def _evidence(item: _Broken) -> str:
    lines = item.data.decode("utf-8", "replace").splitlines()
    return lines[item.fault.line].strip()[:200] if item.fault.line < len(lines) else ""


def _finding(item: _Broken) -> Finding:
    fault = item.fault
    return Finding(
        id="",
        tool="antiphon",
        rule="syntax-error",
        severity="error",
        path=item.path,
        start_line=fault.line,
        start_column=fault.column,
        end_line=fault.line,
        end_column=fault.column,
        message=f"{item.language}: {fault.message}",
        evidence=_evidence(item),
        base_hash=base_hash(item.data),
    )
