"""Tests of other languages, with their real tools; a test names the tool it lacks."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.quality.runners.javascript import jest_cases
from orchestration.quality.runners.rust import read_cargo
from orchestration.quality.runners.shell import tap_cases
from tests.quality.setting import Setting

pytestmark = pytest.mark.anyio


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


NODE_TEST = """\
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { area } from "./area.mjs";

describe("area", () => {
  it("of a square", () => assert.equal(area(2, 2), 4));
  it("of a strip", () => assert.equal(area(1, 5), 5, "a strip is as large as it is long"));
});
test("nothing", () => {});
"""


@needs("node")
async def test_node(setting: Setting) -> None:
    await setting.start(
        {"the area/area.mjs": "export const area = () => 0;\n", "the area/area.test.mjs": NODE_TEST}
    )
    good = await setting.change({"the area/area.mjs": "export const area = (a, b) => a * b;\n"})
    assert (good.outcome, good.detail) == ("passed", "3 own tests passed"), good.feedback
    bad = await setting.change({"the area/area.mjs": "export const area = (a, b) => a + b;\n"})
    assert bad.outcome == "blocked"
    assert "FAILED the area/area.test.mjs::area > of a strip\n" in bad.feedback
    assert "a strip is as large as it is long" in bad.feedback
    assert "of a square\n" not in bad.feedback
    broken = await setting.change({"the area/area.mjs": "export const size = 0;\n"})
    assert broken.outcome == "blocked"
    assert "does not provide an export named 'area'" in broken.feedback


@needs("node")
async def test_a_node_test_that_hangs(setting: Setting) -> None:
    setting.settings = replace(setting.settings, timeout_s=4)
    await setting.start({"area.mjs": "", "area.test.mjs": NODE_TEST})
    report = await setting.change({"area.mjs": "export const area = () => { for (;;); };\n"})
    assert report.outcome in {"blocked", "not_run"}
    assert "4 s" in report.detail + report.feedback


@needs("node")
async def test_tests_for_a_runner_that_is_not_installed_are_not_run(setting: Setting) -> None:
    package = json.dumps({"devDependencies": {"jest": "*"}, "scripts": {"test": "jest"}})
    await setting.start(
        {
            "package.json": package,
            "a.js": "",
            "a.spec.js": "const a = require('./a');\ntest('x', () => {});\n",
        }
    )
    report = await setting.change({"a.js": "module.exports = 1;\n"})
    assert report.outcome == "not_run"
    assert "jest is not installed" in report.detail


@needs("npm")
async def test_a_projects_own_script(setting: Setting) -> None:
    package = json.dumps({"scripts": {"test": "node check.js"}})
    check = "if (require('./a') !== 1) { console.log('a is not one'); process.exit(3); }\n"
    await setting.start(
        {"package.json": package, "a.js": "", "check.js": check, "a.test.js": "require('./a');\n"}
    )
    assert (await setting.change({"a.js": "module.exports = 1;\n"})).outcome == "passed"
    report = await setting.change({"a.js": "module.exports = 2;\n"})
    assert report.outcome == "blocked"
    assert "a is not one" in report.feedback


async def test_node_modules_that_lead_into_the_workspace_are_not_trusted(setting: Setting) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    other_name = setting.root.with_name("alias")
    other_name.symlink_to(setting.root)
    (setting.root / "node_modules").mkdir()
    (setting.root / "node_modules/money").symlink_to(other_name / "libs/money")
    await setting.start({"libs/money/index.js": "", "a.mjs": "", "a.test.mjs": NODE_TEST})
    report = await setting.change({"a.mjs": "export const area = 0\n"})
    assert report.outcome == "not_run"
    assert "node_modules/money leads to" in report.detail


GO_TEST = """\
package area

import "testing"

func TestSquare(t *testing.T) {
	if Area(2, 2) != 4 {
		t.Fatal("square")
	}
}

func TestStrips(t *testing.T) {
	for _, n := range []int{1, 5} {
		t.Run("strip", func(t *testing.T) {
			if got := Area(1, n); got != n {
				t.Errorf("a strip of %d has area %d", n, got)
			}
		})
	}
}
"""


@needs("go")
@pytest.mark.parametrize("module", [True, False])
async def test_go(setting: Setting, *, module: bool) -> None:
    mod = {"go.mod": "module example.org/area\n\ngo 1.18\n"} if module else {}
    await setting.start({**mod, "area/area.go": "package area\n", "area/area_test.go": GO_TEST})
    head = "package area\n\nfunc Area(a, b int) int { return "
    good = await setting.change({"area/area.go": head + "a * b }\n"})
    assert good.outcome == "passed", good.feedback or good.detail
    bad = await setting.change({"area/area.go": head + "a + b }\n"})
    assert bad.outcome == "blocked"
    assert "FAILED area/area_test.go::TestStrips/strip" in bad.feedback
    assert "a strip of 5 has area 6" in bad.feedback
    broken = await setting.change({"area/area.go": "package area\n\nfunc Size() {}\n"})
    assert broken.outcome == "blocked"
    assert "undefined: Area" in broken.feedback


@needs("cargo")
async def test_rust(setting: Setting) -> None:
    await setting.start(
        {
            "Cargo.toml": '[package]\nname = "area"\nversion = "0.1.0"\nedition = "2021"\n',
            "src/lib.rs": "",
            "tests/area.rs": 'use area::area;\n#[test]\nfn strip() { assert_eq!(area(1, 5), 5, "a strip"); }\n',
        }
    )
    good = await setting.change({"src/lib.rs": "pub fn area(a: i32, b: i32) -> i32 { a * b }\n"})
    assert good.outcome == "passed", good.feedback or good.detail
    bad = await setting.change({"src/lib.rs": "pub fn area(a: i32, b: i32) -> i32 { a + b }\n"})
    assert bad.outcome == "blocked"
    assert "FAILED tests/area.rs::strip" in bad.feedback
    assert "a strip" in bad.feedback


SHELL_TEST = '#!/bin/sh\nout=$(sh ./greet.sh Ada)\nif [ "$out" != \'Hello, Ada\' ]; then\n  echo "got: $out"\n  exit 1\nfi\n'


async def test_shell(setting: Setting) -> None:
    await setting.start({"g/greet.sh": "", "g/tests/test_greet.sh": SHELL_TEST})
    good = await setting.change({"g/greet.sh": 'echo "Hello, $1"\n'})
    assert (good.outcome, good.detail) == ("passed", "1 own test passed"), good.feedback
    bad = await setting.change({"g/greet.sh": 'echo "Hi, $1"\n'})
    assert "FAILED g/tests/test_greet.sh\ngot: Hi, Ada" in bad.feedback


async def test_a_configured_command_judges_everything(setting: Setting) -> None:
    setting.settings = replace(setting.settings, test_command=("sh", "check.sh"))
    await setting.start(
        {"check.sh": "grep -q good state || { echo state is $(cat state); exit 1; }\n", "state": "good\n"}
    )
    assert (await setting.change({"state": "good and more\n"})).outcome == "passed"
    bad = await setting.change({"state": "bad\n"})
    assert bad.outcome == "blocked"
    assert "state is bad" in bad.feedback
    red = setting.write({"state": "red\n"})
    report = await setting.tests.check(setting.context({"state": "blue\n"}, start=red))
    assert report.outcome == "not_run"
    assert "fails on the base, too" in report.detail
    setting.settings = replace(setting.settings, test_command=("no-such-program",))
    assert (await setting.change({"state": "bad\n"})).outcome == "not_run"


async def test_a_configured_command_that_takes_tests(setting: Setting) -> None:
    setting.settings = replace(setting.settings, test_command=("sh", "{tests}"))
    await setting.start({"a.sh": "", "test_a.sh": "grep -q good a.sh\n", "test_b.sh": ". ./a.sh\nexit 1\n"})
    assert (await setting.change({"a.sh": "echo good\n"})).outcome == "passed"
    bad = await setting.change({"a.sh": "echo bad\n"})
    assert bad.outcome == "blocked"
    assert "test_a.sh" in bad.detail


async def test_the_setup_command_runs_first_and_its_failure_is_not_run(setting: Setting) -> None:
    await setting.start({"a.sh": "", "test_a.sh": "test -f made\n"})
    setting.settings = replace(setting.settings, setup_command=("touch", "made"))
    assert (await setting.change({"a.sh": "echo\n"})).outcome == "passed"
    setting.settings = replace(setting.settings, setup_command=("sh", "-c", "echo no network; exit 4"))
    report = await setting.change({"a.sh": "echo\n"})
    assert (report.outcome, report.detail) == ("not_run", "the setup command failed (4): no network")


async def test_a_program_planted_in_the_workspace_is_never_found(setting: Setting) -> None:
    planted = setting.root / "bin"
    planted.mkdir()
    for name in ("bash", "sh", "node", "python3"):
        (planted / name).write_text("#!/bin/sh\nexit 0\n")
        (planted / name).chmod(0o755)
    setting.environ = {"PATH": os.pathsep.join([str(planted), ".", os.environ["PATH"]])}
    await setting.start({"a.sh": "", "test_a.sh": "#!/bin/bash\nexit 1\n"})
    assert (await setting.change({"a.sh": "echo\n"})).outcome == "blocked"


def test_tap_output() -> None:
    output = "1..3\nok 1 - starts\nnot ok 2 - stops\n# (in test file)\n#  `[ 1 = 2 ]' failed\nok 3 - rests # skip later\n"
    assert [(case.id, case.outcome) for case in tap_cases(output, "t.bats")] == [
        ("t.bats::starts", "passed"),
        ("t.bats::stops", "failed"),
        ("t.bats::rests", "skipped"),
    ]
    assert "`[ 1 = 2 ]' failed" in tap_cases(output, "t.bats")[1].output
    assert tap_cases("ok, done\n", "t.sh") == []


def test_output_of_cargo() -> None:
    output = (
        "   Compiling area v0.1.0\n"
        "     Running unittests src/lib.rs (target/debug/deps/area-1)\n"
        "test inner::a ... ok\n"
        "     Running tests/strip.rs (target/debug/deps/strip-1)\n"
        "test b ... FAILED\ntest c ... ignored\n\nfailures:\n\n---- b stdout ----\nthread 'b' panicked\nleft: 1\n\n"
        "failures:\n    b\n\ntest result: FAILED.\n"
    )
    assert [(case.id, case.outcome) for case in read_cargo(output, "area")] == [
        ("area/src/lib.rs::inner::a", "passed"),
        ("area/tests/strip.rs::b", "failed"),
        ("area/tests/strip.rs::c", "skipped"),
    ]
    assert read_cargo(output, "area")[1].output == "thread 'b' panicked\nleft: 1"


def test_jests_report(tmp_path: Path) -> None:
    report = {
        "testResults": [
            {
                "name": f"{tmp_path}/a.test.js",
                "status": "failed",
                "assertionResults": [
                    {"ancestorTitles": ["a"], "title": "adds", "status": "passed", "failureMessages": []},
                    {
                        "ancestorTitles": [],
                        "title": "x",
                        "status": "failed",
                        "failureMessages": ["\x1b[31mno\x1b[0m"],
                    },
                    {"ancestorTitles": [], "title": "y", "status": "pending"},
                ],
            },
            {
                "name": f"{tmp_path}/b.test.js",
                "status": "failed",
                "message": "SyntaxError",
                "assertionResults": [],
            },
        ]
    }
    cases = jest_cases(json.dumps(report), str(tmp_path))
    assert cases is not None
    assert [(case.id, case.outcome, case.output) for case in cases] == [
        ("a.test.js::a > adds", "passed", ""),
        ("a.test.js::x", "failed", "no"),
        ("a.test.js::y", "skipped", ""),
        ("b.test.js", "failed", "SyntaxError"),
    ]
    assert jest_cases("not json", "") is None
