"""The tests gate on Python projects, with real runs of pytest."""

from dataclasses import replace

import pytest

from tests.quality.setting import Setting

pytestmark = pytest.mark.anyio

STUB = "def double(number):\n    raise NotImplementedError\n"
RIGHT = "def double(number):\n    return number * 2\n"
WRONG = "def double(number):\n    return number + 2\n"
TESTS = """\
from double import double


def test_two():
    assert double(2) == 4


def test_five():
    assert double(5) == 10, "five doubled is ten"
"""


async def test_a_right_solution_passes(setting: Setting) -> None:
    await setting.start({"double.py": STUB, "test_double.py": TESTS})
    report = await setting.change({"double.py": RIGHT})
    assert (report.outcome, report.detail) == ("passed", "2 own tests passed")
    assert report.seconds > 0


async def test_a_wrong_solution_is_blocked_with_the_failing_test_and_its_output(setting: Setting) -> None:
    await setting.start({"double.py": STUB, "test_double.py": TESTS})
    report = await setting.change({"double.py": WRONG}, "test_double.py")
    assert report.outcome == "blocked"
    assert "FAILED test_double.py::test_five" in report.feedback
    assert "five doubled is ten" in report.feedback
    assert "test_two" not in report.feedback.replace("test_two():", "")
    assert "checkouts" not in report.feedback


async def test_a_named_test_alone_decides(setting: Setting) -> None:
    await setting.start({"double.py": STUB, "test_double.py": TESTS})
    report = await setting.change({"double.py": WRONG}, "test_double.py::test_two")
    assert report.outcome == "passed"
    assert "1 failed before, too" in report.detail


async def test_a_named_test_that_does_not_exist_is_asked_for(setting: Setting) -> None:
    await setting.start({"double.py": STUB, "test_double.py": TESTS})
    report = await setting.change({"double.py": RIGHT}, "tests/test_more.py")
    assert report.outcome == "blocked"
    assert "tests/test_more.py" in report.feedback
    report = await setting.change({"double.py": RIGHT}, "test_double.py::test_six")
    assert report.outcome == "blocked"
    assert "test_double.py::test_six" in report.feedback


async def test_many_failures_elsewhere_neither_block_nor_hide(setting: Setting) -> None:
    others = {f"other{number}.py": "" for number in range(3)}
    failing = {
        f"test_other{number}.py": f"import other{number}\ndef test_it():\n    assert 0\n"
        for number in range(3)
    }
    mixed = "import double\ndef test_good():\n    assert double.LIMIT == 3\ndef test_bad():\n    assert 0\n"
    start = {"double.py": STUB + "LIMIT = 3\n", "test_double.py": TESTS, "test_limit.py": mixed}
    await setting.start({**others, **failing, **start})
    good = await setting.change({"double.py": RIGHT + "LIMIT = 3\n"})
    assert good.outcome == "passed", good.feedback
    bad = await setting.change({"double.py": RIGHT + "LIMIT = 4\n"})
    assert bad.outcome == "blocked"
    assert "test_limit.py::test_good" in bad.feedback
    assert "test_bad" not in bad.detail


async def test_a_test_reached_through_another_module_is_kept_green(setting: Setting) -> None:
    await setting.start(
        {
            "pyproject.toml": "[project]\nname='x'\nversion='1'\n",
            "app/__init__.py": "",
            "app/core.py": "RATE = 2\n",
            "app/price.py": "from app.core import RATE\n\ndef price(n):\n    return n * RATE\n",
            "tests/test_core.py": "from app.core import RATE\n\ndef test_rate():\n    assert RATE > 1\n",
            "tests/test_price.py": "from app.price import price\n\ndef test_price():\n    assert price(2) == 4\n",
        }
    )
    report = await setting.change({"app/core.py": "RATE = 3\n"})
    assert report.outcome == "blocked"
    assert "FAILED tests/test_price.py::test_price" in report.feedback


async def test_a_file_that_can_no_longer_be_loaded_breaks_its_tests(setting: Setting) -> None:
    await setting.start(
        {
            "double.py": RIGHT,
            "test_double.py": TESTS,
            "use.py": "",
            "test_use.py": "import double\nimport use\ndef test_it():\n    pass\n",
        }
    )
    report = await setting.change({"double.py": "import nothing_of_this_name\n" + RIGHT})
    assert report.outcome == "blocked"
    assert "nothing_of_this_name" in report.feedback


async def test_a_failure_that_does_not_repeat_does_not_count(setting: Setting) -> None:
    flaky = (
        "import pathlib\nfrom double import double\n\n"
        "def test_flaky():\n"
        "    mark = pathlib.Path(__file__).with_name('ran')\n"
        "    if not mark.exists():\n"
        "        mark.touch()\n"
        "        assert 0\n"
        "    assert double(1) == 2\n"
    )
    await setting.start({"double.py": STUB, "test_double.py": flaky})
    report = await setting.change({"double.py": RIGHT})
    assert (report.outcome, report.detail) == (
        "passed",
        "1 own test passed; 1 passed only when run once more",
    )


async def test_new_tests_of_the_task_are_its_own(setting: Setting) -> None:
    await setting.start({"double.py": RIGHT, "test_double.py": TESTS})
    report = await setting.change({"test_more.py": "def test_more():\n    assert 0\n"})
    assert report.outcome == "blocked"
    assert "test_more.py::test_more" in report.feedback
    assert not setting.asked


async def test_nothing_applicable(setting: Setting) -> None:
    await setting.start({"notes.md": "a\n", "double.py": STUB})
    assert (await setting.change({"notes.md": "b\n"})).outcome == "not_applicable"
    assert (await setting.change({"double.py": RIGHT})).outcome == "not_applicable"
    setting.cannot_run = "the workspace is not trusted"
    assert (await setting.change({"double.py": RIGHT})).outcome == "not_applicable"
    assert not setting.pool.acquired


async def test_without_rights_it_is_not_run_and_makes_no_checkout(setting: Setting) -> None:
    await setting.start({"double.py": STUB, "test_double.py": TESTS})
    setting.cannot_run = "the workspace is not trusted"
    report = await setting.change({"double.py": RIGHT})
    assert (report.outcome, report.detail) == ("not_run", "the workspace is not trusted")
    assert not setting.pool.acquired


async def test_the_start_is_only_run_when_something_fails_and_only_once(setting: Setting) -> None:
    await setting.start(
        {
            "double.py": RIGHT,
            "test_double.py": TESTS,
            "test_use.py": "import double\ndef test_it():\n    assert 0\n",
        }
    )
    report = await setting.change({"double.py": RIGHT + "\n"})
    assert report.outcome == "passed", report.feedback
    assert len(setting.pool.acquired) == 2
    await setting.change({"double.py": RIGHT + "\n\n"})
    assert len(setting.pool.acquired) == 3


async def test_the_final_tree_must_pass_what_its_tasks_passed(setting: Setting) -> None:
    await setting.start(
        {
            "double.py": STUB,
            "test_double.py": TESTS,
            "test_other.py": "import double\ndef test_x():\n    assert 0\n",
        }
    )
    assert (await setting.change({"double.py": RIGHT})).outcome == "passed"
    checkouts = len(setting.pool.acquired)
    final = await setting.tests.check(setting.context({"double.py": RIGHT}, final=True))
    assert final.outcome == "passed", final.feedback
    assert "1 file known from an equal tree" in final.detail
    assert len(setting.pool.acquired) == checkouts + 1, "what failed is run again, what passed is not"
    setting.settings = replace(setting.settings, setup_command=("true",))
    final = await setting.tests.check(setting.context({"double.py": RIGHT}, final=True))
    assert "known" not in final.detail, "in another way of running tests nothing is known"
    final = await setting.tests.check(setting.context({"double.py": WRONG}, final=True))
    assert final.outcome == "blocked"
    assert "test_double.py::test_five" in final.feedback
