"""Which tests concern a change: by name, by import, by exercise folder."""

from pathlib import Path

import pytest

from orchestration.quality.references import References
from orchestration.quality.runners import standard_runners
from orchestration.quality.runners.contract import Target, find_tests
from orchestration.quality.selection import Selection, select
from orchestration.quality.tree_view import TreeView
from orchestration.workspace.memory_objects import MemoryObjects
from orchestration.workspace.objects import Change
from orchestration.workspace.tree_codec import EMPTY_TREE

FIXTURES = Path(__file__).parent.parent / "fixtures"
RUNNERS = standard_runners()


def view_of(files: dict[str, str]) -> TreeView:
    store = MemoryObjects()
    return TreeView(
        store, store.write(EMPTY_TREE, {path: Change(text.encode()) for path, text in files.items()})
    )


def chosen(
    view: TreeView, changed: list[str], named: tuple[str, ...] = (), new: tuple[str, ...] = ()
) -> Selection:
    return select(
        view,
        changed,
        named,
        tests=find_tests(view, RUNNERS),
        is_new=lambda path: path in new,
        references=References(),
    )


def own(selection: Selection) -> list[str]:
    return [target.path for target in selection.own]


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ("price.py", "test_price.py"),
        ("price.py", "tests/test_price.py"),
        ("shop/price.py", "tests/test_price.py"),
        ("shop/price.py", "tests/shop/test_price.py"),
        ("src/shop/price.py", "tests/unit/shop/price_test.py"),
        ("a b/price.py", "a b/test_price.py"),
        ("src/price.js", "src/price.test.js"),
        ("src/price.ts", "src/__tests__/price.ts"),
        ("src/price.ts", "test/price.spec.ts"),
        ("price.go", "price_test.go"),
        ("price.sh", "test_price.sh"),
        ("price-list.sql", "test_price_list.py"),
        ("price/__init__.py", "tests/test_price.py"),
        ("packages/price/index.js", "packages/price/price.test.js"),
    ],
)
def test_named_after_the_changed_file(changed: str, test: str) -> None:
    view = view_of({changed: "", test: "", "other/test_other.py": "", "test_unrelated.py": ""})
    assert own(chosen(view, [changed])) == [test]


def test_of_two_tests_of_one_name_the_nearer_path_is_taken() -> None:
    view = view_of(
        {
            "shop/tools.py": "",
            "bank/tools.py": "",
            "shop/__init__.py": "",
            "bank/__init__.py": "",
            "tests/shop/test_tools.py": "",
            "tests/bank/test_tools.py": "",
        }
    )
    assert own(chosen(view, ["bank/tools.py"])) == ["tests/bank/test_tools.py"]


def test_an_exercise_is_judged_by_its_own_folder() -> None:
    view = view_of(
        {
            "one/main.py": "import part\n",
            "one/part.py": "",
            "one/test_main.py": "from main import run\n",
            "two/part.py": "",
            "two/test_part.py": "import part\n",
        }
    )
    selection = chosen(view, ["one/part.py"])
    assert own(selection) == ["one/test_main.py"]
    assert selection.affected == ()


def test_data_that_a_test_or_its_module_names() -> None:
    view = view_of(
        {
            "one/schema.sql": "",
            "one/store.py": "SCHEMA = open('schema.sql')\n",
            "one/test_desk.py": "import store\n",
            "two/list.csv": "",
            "two/test_it.py": "open('list.csv')\n",
        }
    )
    assert own(chosen(view, ["one/schema.sql"])) == ["one/test_desk.py"]
    assert own(chosen(view, ["two/list.csv"])) == ["two/test_it.py"]


def test_a_package_is_named_by_its_test_through_its_folder() -> None:
    view = view_of(
        {
            "ex/harbour/__init__.py": "",
            "ex/harbour/rates/berth.py": "",
            "ex/harbour/rates/__init__.py": "",
            "ex/test_fees.py": "from harbour import rates\n",
        }
    )
    assert own(chosen(view, ["ex/harbour/rates/berth.py"])) == ["ex/test_fees.py"]


def test_many_speakers_are_affected_and_not_own() -> None:
    tests = {f"tests/test_{letter}.py": "from app.core import x\n" for letter in "abcdefgh"}
    view = view_of({"app/__init__.py": "", "app/core.py": "", **tests})
    selection = chosen(view, ["app/core.py"])
    assert own(selection) == []
    assert list(selection.affected) == sorted(tests)


def test_other_projects_that_import_the_change_are_affected() -> None:
    view = view_of(
        {
            "libs/money/money/core.py": "",
            "libs/money/tests/test_core.py": "",
            "apps/shop/shop.py": "from money.core import x\n",
            "apps/shop/tests/test_shop.py": "import shop\nfrom money.core import x\n",
        }
    )
    selection = chosen(view, ["libs/money/money/core.py"])
    assert own(selection) == ["libs/money/tests/test_core.py"]
    assert selection.affected == ("apps/shop/tests/test_shop.py",)


def test_another_projects_test_that_means_its_own_file_of_that_name_is_no_own_test() -> None:
    view = view_of(
        {
            "one/index.js": "",
            "one/check.js": "require('./index')\n",
            "two/lib/index.js": "",
            "two/test/five.test.js": "import f from '../lib/index.js';\n",
            "src/tool.py": "",
            "checks/test_all.py": "import tool\n",
        }
    )
    assert own(chosen(view, ["one/index.js"])) == []
    assert own(chosen(view, ["two/lib/index.js"])) == ["two/test/five.test.js"]
    assert own(chosen(view, ["src/tool.py"])) == ["checks/test_all.py"]


def test_go_packages_that_import_the_changed_one() -> None:
    view = view_of(
        {
            "go.mod": "module example.org/shop\n",
            "money/money.go": "package money\n",
            "money/other_test.go": "package money\n",
            "till/till.go": 'package till\nimport "example.org/shop/money"\n',
            "till/till_test.go": "package till\n",
        }
    )
    selection = chosen(view, ["money/money.go"])
    assert own(selection) == ["money/other_test.go"]
    assert "till/till_test.go" in selection.affected


def test_named_tests_come_as_files_nodes_folders_and_modules() -> None:
    view = view_of(
        {"a/test_x.py": "", "tests/test_y.py": "", "tests/deep/test_z.py": "", "pkg/test_m.py": ""}
    )
    selection = chosen(view, [], ("./a/test_x.py::TestY::test_z", "tests", "pkg.test_m", "gone/test_q.py"))
    assert selection.own == (
        Target("a/test_x.py", ("TestY::test_z",)),
        Target("pkg/test_m.py"),
        Target("tests/deep/test_z.py"),
        Target("tests/test_y.py"),
    )
    assert selection.missing == ("gone/test_q.py",)


def test_named_tests_leave_the_rest_of_the_folder_affected() -> None:
    view = view_of({"m.py": "", "test_m.py": "", "test_n.py": "import m\n", "test_o.py": ""})
    selection = chosen(view, ["m.py", "test_o.py"], ("test_n.py::test_1",), new=("test_o.py",))
    assert selection.own == (Target("test_n.py", ("test_1",)), Target("test_o.py"))
    assert selection.affected == ("test_m.py",)


def test_prose_concerns_no_test() -> None:
    view = view_of({"notes.md": "", "m.py": "", "test_m.py": "import m\n"})
    assert chosen(view, ["notes.md"]).empty


def test_where_the_task_was_expected_to_work_and_did_not() -> None:
    files = {"one/a.py": "", "one/test_a.py": "", "two/b.py": "", "two/test_b.py": "", "root.py": ""}
    view = view_of(files)

    def hinted(changed: list[str], *hints: str) -> list[str]:
        tests = find_tests(view, RUNNERS)
        return own(
            select(
                view, changed, (), tests=tests, is_new=lambda _: False, references=References(), hints=hints
            )
        )

    assert hinted(["two/b.py"], "one/") == ["one/test_a.py", "two/test_b.py"]
    assert hinted(["two/b.py"], "./one/a.py") == ["one/test_a.py", "two/test_b.py"]
    assert hinted(["two/b.py"], "two", "two/b.py") == ["two/test_b.py"]
    assert hinted(["root.py"], "nowhere/x.py") == []


def exercises() -> list[str]:
    return sorted(folder.name for folder in (FIXTURES / "exercises").iterdir() if folder.is_dir())


@pytest.mark.parametrize("name", exercises())
def test_every_exercise_finds_its_own_tests(name: str) -> None:
    files = {
        path.relative_to(FIXTURES / "exercises").as_posix(): path.read_text("utf-8")
        for path in (FIXTURES / "exercises").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    solution = {
        path.relative_to(FIXTURES / "solutions").as_posix(): path.read_text("utf-8")
        for path in (FIXTURES / "solutions" / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert solution
    view = view_of({**files, **solution})
    tests = [
        path for path in files if path.startswith(name + "/") and any(r.is_test(path, view) for r in RUNNERS)
    ]
    selection = chosen(view, sorted(solution))
    assert own(selection) == sorted(tests)
    assert selection.affected == ()
