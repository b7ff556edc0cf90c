"""Python projects of all shapes: interpreters, unittest, folders, editable installs, hanging tests."""

import sys
from dataclasses import replace

import anyio
import pytest

from tests.python_environments import bare_environment
from tests.quality.setting import Setting

pytestmark = pytest.mark.anyio

CASES = """\
import unittest
from half import half


class Half(unittest.TestCase):
    def test_even(self):
        print("halving four")
        self.assertEqual(half(4), 2)

    def test_odd(self):
        for number in (3, 5):
            with self.subTest(number=number):
                with self.assertRaises(ValueError):
                    half(number)

    @unittest.skip("not today")
    def test_later(self):
        pass
"""
RIGHT = "def half(n):\n    if n % 2:\n        raise ValueError(n)\n    return n // 2\n"


async def test_unittest_where_the_environment_has_no_pytest(setting: Setting) -> None:
    setting.settings = replace(setting.settings, interpreter="")
    bare_environment(setting.root / ".venv")
    await setting.start({"half it/half.py": "", "half it/test_half.py": CASES})
    report = await setting.change({"half it/half.py": RIGHT})
    assert (report.outcome, report.detail) == ("passed", "2 own tests passed")
    report = await setting.change({"half it/half.py": "def half(n):\n    return n + 1\n"})
    assert report.outcome == "blocked"
    assert "FAILED half it/test_half.py::Half::test_even" in report.feedback
    assert "AssertionError: 5 != 2" in report.feedback
    assert "halving four" in report.feedback
    assert "(number=5)" in report.feedback


async def test_tests_for_pytest_in_an_environment_without_it_are_not_run(setting: Setting) -> None:
    setting.settings = replace(setting.settings, interpreter="")
    bare_environment(setting.root / ".venv")
    await setting.start({"m.py": "", "test_m.py": "import m\n\ndef test_m():\n    assert m\n"})
    report = await setting.change({"m.py": "x = 1\n"})
    assert report.outcome == "not_run"
    assert "test_m.py needs pytest" in report.detail
    assert ".venv/bin/python" in report.detail


async def test_a_file_that_imports_an_absent_pytest_has_not_failed(setting: Setting) -> None:
    setting.settings = replace(setting.settings, interpreter=str(bare_environment(setting.data / "bare")))
    test = "import pytest, m\n\ndef test_m():\n    assert m.x\n"
    await setting.start({"m.py": "", "test_m.py": test})
    report = await setting.change({"m.py": "x = 1\n"}, "test_m.py")
    assert report.outcome == "not_run"
    assert "test_m.py needs pytest" in report.detail


async def test_an_interpreter_that_is_missing_is_named(setting: Setting) -> None:
    await setting.start({"m.py": "", "test_m.py": "def test_m():\n    pass\n"})
    setting.settings = replace(setting.settings, interpreter="tools/python")
    report = await setting.change({"m.py": "x = 1\n"})
    assert report.outcome == "not_run"
    assert "tools/python (a setting) is missing" in report.detail
    setting.settings = replace(setting.settings, interpreter="")
    setting.environ = {"PATH": "/nowhere", "VIRTUAL_ENV": sys.prefix}
    report = await setting.change({"m.py": "x = 1\n"})
    assert report.outcome == "not_run"


async def test_files_of_one_name_in_many_folders(setting: Setting) -> None:
    files = {}
    for name in ("one", "two"):
        files[f"{name}/solution.py"] = f"NAME = '{name}'\n"
        files[f"{name}/test_it.py"] = (
            f"import solution\ndef test_it():\n    assert solution.NAME == '{name}!'\n"
        )
    await setting.start({"pyproject.toml": "[project]\nname='x'\nversion='1'\n", **files})
    report = await setting.change(
        {"one/solution.py": "NAME = 'one!'\n", "two/solution.py": "NAME = 'two!'\n"}
    )
    assert (report.outcome, report.detail) == ("passed", "2 own tests passed"), report.feedback


@pytest.mark.parametrize("marked", [True, False])
async def test_a_package_with_its_tests_below(setting: Setting, *, marked: bool) -> None:
    mark = {"setup.cfg": "[metadata]\nname = x\n"} if marked else {}
    await setting.start(
        {
            **mark,
            "shop/__init__.py": "",
            "shop/price.py": "",
            "shop/tests/__init__.py": "",
            "shop/tests/test_price.py": "from shop.price import P\nfrom ..price import P as Q\ndef test_p():\n    assert P == Q == 3\n",
            "tests/test_root.py": "import shop.price\ndef test_r():\n    assert shop.price.P\n",
        }
    )
    report = await setting.change({"shop/price.py": "P = 3\n"})
    assert report.outcome == "passed", report.feedback
    report = await setting.change({"shop/price.py": "P = 4\n"})
    assert "FAILED shop/tests/test_price.py::test_p" in report.feedback


async def test_a_project_with_a_source_folder_that_is_not_installed(setting: Setting) -> None:
    started = "import subprocess, sys\nfrom shop.price import P\n"
    await setting.start(
        {
            "a b/pyproject.toml": "[project]\nname='shop'\nversion='1'\n",
            "a b/src/shop/__init__.py": "",
            "a b/src/shop/price.py": "P = 0\n",
            "a b/tests/test_price.py": f"{started}def test_p():\n    assert P == 3\n"
            "    subprocess.run([sys.executable, '-c', 'import shop.price'], check=True)\n",
        }
    )
    report = await setting.change({"a b/src/shop/price.py": "P = 3\n"})
    assert (report.outcome, report.detail) == ("passed", "1 own test passed"), report.feedback
    report = await setting.change({"a b/src/shop/price.py": "P = 4\n"})
    assert "FAILED a b/tests/test_price.py::test_p" in report.feedback


async def test_a_folder_that_is_marked_as_a_package_and_tested_from_within(setting: Setting) -> None:
    test = "import json\nfrom core import X\ndef test_x():\n    assert X == 1\n"
    await setting.start({"one/__init__.py": "", "one/core.py": "X = 0\n", "one/test_core.py": test})
    report = await setting.change({"one/core.py": "X = 1\n"})
    assert (report.outcome, report.detail) == ("passed", "1 own test passed"), report.feedback
    report = await setting.change({"one/core.py": "X = 2\n"})
    assert "FAILED one/test_core.py::test_x" in report.feedback


async def test_a_test_file_of_plain_assertions_is_a_script(setting: Setting) -> None:
    await setting.start(
        {"one/m.py": "X = 0\n", "one/test_m.py": "from m import X\nassert X == 1, 'not one'\n"}
    )
    report = await setting.change({"one/m.py": "X = 1\n"})
    assert (report.outcome, report.detail) == ("passed", "1 own test passed"), report.feedback
    report = await setting.change({"one/m.py": "X = 2\n"})
    assert report.outcome == "blocked"
    assert "AssertionError: not one" in report.feedback


async def test_a_test_file_without_a_test_is_not_run(setting: Setting) -> None:
    await setting.start({"m.py": "", "test_m.py": "import m\n"})
    report = await setting.change({"m.py": "x = 1\n"})
    assert (report.outcome, report.detail) == ("not_run", "no test was found in test_m.py")


async def test_a_configuration_of_pytest_is_honoured(setting: Setting) -> None:
    await setting.start(
        {
            "pytest.ini": "[pytest]\npythonpath = lib\n",
            "lib/tool.py": "",
            "checks/unit/test_tool.py": "import tool, pathlib\ndef test_t():\n    assert tool.T and pathlib.Path('pytest.ini').exists()\n",
        }
    )
    report = await setting.change({"lib/tool.py": "T = 1\n"})
    assert report.outcome == "passed", report.feedback or report.detail


async def test_imports_that_lead_back_into_the_workspace_are_turned_to_the_checkout(setting: Setting) -> None:
    """An editable install: a .pth file of the workspace's environment names the workspace."""
    setting.settings = replace(setting.settings, interpreter="")
    bare_environment(setting.root / ".venv")
    (packages,) = (setting.root / ".venv/lib").glob("python3*/site-packages")
    (packages / "shop.pth").write_text(f"{setting.root / 'src'}\n")
    test = "import unittest, shop\nclass T(unittest.TestCase):\n    def test_t(self):\n        self.assertEqual(shop.P, 2)\n"
    await setting.start({"src/shop/__init__.py": "P = 1\n", "tests/test_shop.py": test})
    report = await setting.change({"src/shop/__init__.py": "P = 2\n"})
    assert report.outcome == "passed", report.feedback or report.detail
    report = await setting.change({"src/shop/__init__.py": "P = 3\n"})
    assert "3 != 2" in report.feedback


async def test_tests_that_load_the_workspaces_own_code_are_not_trusted(setting: Setting) -> None:
    await setting.start(
        {
            "shop.py": "P = 2\n",
            "test_shop.py": f"import sys\nsys.path.insert(0, {str(setting.root)!r})\nimport shop\ndef test_t():\n    assert shop.P == 2\n",
        }
    )
    report = await setting.change({"shop.py": "P = 3\n"})
    assert report.outcome == "not_run"
    assert f"loaded shop from {setting.root}/shop.py, not from the checkout" in report.detail


async def test_a_test_that_hangs_has_failed_and_is_named(setting: Setting) -> None:
    setting.settings = replace(setting.settings, timeout_s=6)
    await setting.start(
        {"m.py": "", "test_m.py": "import m\ndef test_a():\n    pass\ndef test_m():\n    m.run()\n"}
    )
    said: dict[str, str] = {}

    async def judge(what: str, text: str) -> None:
        report = await setting.change({"m.py": f"import time\n{text}"})
        assert report.outcome == "blocked", report
        said[what] = report.feedback

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(judge, "test", "def run():\n    time.sleep(60)\n")
        tasks.start_soon(judge, "file", "time.sleep(60)\n")
    assert "FAILED test_m.py::test_m\nIt did not end: stopped after 6 s." in said["test"]
    assert "FAILED test_m.py\nIt did not end" in said["file"]


async def test_a_module_that_fails_to_load_blocks_and_says_why(setting: Setting) -> None:
    await setting.start({"m.py": "x = 1\n", "test_m.py": "from m import x\ndef test_m():\n    assert x\n"})
    report = await setting.change({"m.py": "y = 1\n"})
    assert report.outcome == "blocked"
    assert "FAILED test_m.py" in report.feedback
    assert "cannot import name 'x' from 'm'" in report.feedback


async def test_a_run_that_dies_is_not_run(setting: Setting) -> None:
    await setting.start({"m.py": "", "test_m.py": "import m, os\ndef test_m():\n    os._exit(0)\n"})
    report = await setting.change({"m.py": "x = 1\n"})
    assert report.outcome == "not_run"
    assert "pytest did not come to its end" in report.detail


async def test_a_skipped_test_is_no_passed_test(setting: Setting) -> None:
    skip = "import pytest\nm = pytest.importorskip('m')\ndef test_m():\n    assert m\n"
    await setting.start(
        {
            "m.py": "",
            "test_m.py": skip,
            "test_n.py": "import n\nimport pytest\n\n@pytest.mark.skipif(not n.ON, reason='off')\ndef test_n():\n    pass\n",
            "n.py": "ON = 1\n",
        }
    )
    report = await setting.change({"m.py": "import nothing_like_it\n"}, "test_m.py")
    assert report.outcome in {"not_run", "blocked"}
    report = await setting.change({"n.py": "ON = 0\n"}, "test_m.py")
    assert report.outcome == "blocked"
    assert "test_n.py::test_n" in report.feedback


async def test_nothing_is_written_beside_the_sources(setting: Setting) -> None:
    await setting.start(
        {
            "m.py": "",
            "test_m.py": "import m, tempfile, os\ndef test_m():\n    assert 'antiphon-gate' in tempfile.gettempdir()\n    assert os.environ['HOME']\n",
        }
    )
    report = await setting.change({"m.py": "x = 1\n"})
    assert report.outcome == "passed", report.feedback
    left = {path.name for path in setting.data.glob("checkouts/*/tree/**/*") if path.is_file()}
    assert left == {"m.py", "test_m.py"}
