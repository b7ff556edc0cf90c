"""Files still parse, in the languages that are known."""

import shutil
import sys

import pytest

from orchestration.quality.gates import GateReport
from orchestration.quality.parsing import Fault, parse_json, parse_python, parser_for
from tests.quality.setting import Setting


async def said(setting: Setting, edit: dict[str, str | bytes | None]) -> GateReport:
    return await setting.syntax.check(setting.context(edit))


@pytest.mark.parametrize(
    ("path", "good", "bad", "line"),
    [
        ("a.py", "x = 1\n", "x = 1\ny = (\n", 1),
        ("a.py", "def f():\n    return 1\n", "return 1\n", 0),
        ("a.pyi", "x: int\n", "x: = int\n", 0),
        ("a.json", '{"a": [1, 2]}', '{"a": [1,\n 2,]}', 1),
        ("tsconfig.json", '{\n // why\n "a": "http://x", /* c */ "b": [1,],\n}', '{"a": }', 0),
        ("a.jsonc", '{"a": 1, // b\n}', '{"a"\n 1}', 1),
        ("a.toml", "[a]\nb = 1\n", "[a]\nb = \n", 1),
        ("a.yaml", "a:\n  - b\n  - {c: d}\n---\ne: f\n", "a: b\n  c: d\n", 1),
        ("a.yml", "a: {{ b }}: [\n", "a: [1\n", 1),
        ("a.xml", "<a>&lt;<b/></a>", "<a>\n<b></a>", 1),
        ("a.svg", '<svg xmlns="http://www.w3.org/2000/svg"/>', "<svg", 0),
    ],
)
def test_parsers(path: str, good: str, bad: str, line: int) -> None:
    found = parser_for(path)
    assert found is not None
    _, parse = found
    assert parse(good.encode()) is None
    fault = parse(bad.encode())
    assert isinstance(fault, Fault)
    assert fault.line == line, fault


def test_encodings_and_depth() -> None:
    python, json = parse_python, parse_json
    assert python("# coding: latin-1\nx = 'é'\n".encode("latin-1")) is None
    assert python(b"\xef\xbb\xbfx = 1\r\n") is None
    assert python(b"x = '\\d'\nassert (x, 1)\n") is None
    assert isinstance(python(b"x = 1\0"), Fault)
    assert python(b"x = " + b"-" * 100_000 + b"1") is None
    assert json(b"\xef\xbb\xbf{}") is None
    assert json("{}".encode("utf-16")) is None
    assert isinstance(json(b'{"a": "\xff"}'), Fault)
    assert json(b"[" * 100_000) is None


@pytest.mark.anyio
async def test_a_broken_file_is_blocked_with_its_place(setting: Setting) -> None:
    await setting.start({"a.py": "x = 1\n", "b.txt": ""})
    report = await said(setting, {"a.py": "x = 1\nprint('😀' 'b' c)\n", "b.txt": "x"})
    assert report.outcome == "blocked"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert report.feedback.splitlines()[0] == "This file does not parse:"
    assert f"(Python {version})" in report.feedback
    assert "a.py:2:7" in report.feedback
    (finding,) = report.findings
    assert (finding.rule, finding.path, finding.start_line, finding.start_column) == (
        "syntax-error",
        "a.py",
        1,
        6,
    )
    assert finding.evidence == "print('😀' 'b' c)"


@pytest.mark.anyio
async def test_outcomes(setting: Setting) -> None:
    await setting.start({"a.py": "x = 1\n", "old.py": "print 'python two'\n", "b.txt": ""})
    assert (await said(setting, {"a.py": "x = 2\n"})).outcome == "passed"
    assert (await said(setting, {"old.py": "print 'still python two'\n"})).outcome == "not_applicable"
    assert (await said(setting, {"old.py": "print('three')\n"})).outcome == "passed"
    assert (await said(setting, {"b.txt": "{{"})).outcome == "not_applicable"
    assert (await said(setting, {"a.py": None})).outcome == "not_applicable"
    assert (await said(setting, {"new.py": "print 'python two'\n"})).outcome == "blocked"
    setting.cannot_run = "the workspace is not trusted"
    assert (await said(setting, {"new.py": "x = (\n"})).outcome == "blocked"
    assert not setting.pool.acquired


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("tool", "path", "good", "bad"),
    [
        ("node", "a.mjs", "import x from './x.mjs'; await x;\n", "const a = ;\n"),
        ("node", "a.cjs", "const x = require('x'); return;\n", "import x from 'x';\n"),
        ("node", "a.js", "import x from 'x';\n", "const a = {;\n"),
        ("node", "a.js", "const x = require('x');\nif (1) return;\n", "function (\n"),
        ("node", "View.js", "export const View = () => <Row a={1} />;\n", "const a = {;\n"),
        ("bash", "a.sh", "if [[ a == b ]]; then echo; fi\n", "#!/bin/bash\nif true; then\n"),
        ("sh", "run", "#!/bin/sh\necho\n", "#!/bin/sh\nfor x in; do\n"),
        ("gofmt", "a.go", "package a\n", "package a\n\nfunc A( {\n"),
    ],
)
async def test_with_the_languages_own_tool(
    setting: Setting, tool: str, path: str, good: str, bad: str
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    await setting.start({"x": ""})
    report = await said(setting, {path: good})
    assert report.outcome == "passed", report
    report = await said(setting, {path: bad})
    assert report.outcome == "blocked", report
    assert report.feedback.count(path) == 1, report.feedback
    assert "file." not in report.feedback
    setting.cannot_run = "the workspace is not trusted"
    report = await said(setting, {path: good})
    assert (report.outcome, report.detail) == (
        "not_run",
        f"{path} could not be checked: the workspace is not trusted",
    )


@pytest.mark.anyio
async def test_an_absent_tool_leaves_its_language_unchecked(setting: Setting) -> None:
    setting.environ = {"PATH": "/nowhere"}
    await setting.start({"x": ""})
    report = await said(setting, {"a.mjs": "const a = ;\n"})
    assert report.outcome == "not_applicable"
    assert report.detail == "JavaScript not checked, since node is not on PATH"
    report = await said(setting, {"a.mjs": "const a = ;\n", "b.json": "1"})
    assert report.outcome == "passed"
    assert report.detail == "1 file parsed; JavaScript not checked, since node is not on PATH"
