"""Which tests concern a change: the task's own, which must pass, and others it may affect. Pure.

Own tests are those the plan names; where it names none, those that the conventions of runners give for
the changed paths (`berth.py` -> `test_berth.py`, `berth.test.js`), else tests that speak of a changed
file, directly or through others, if they are few. New test files are always own tests. The search
begins in the changed file's *home* (the nearest folder with tests of its own) and does not leave it
while it finds something there: a folder of an exercise is judged by its own tests.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestration.quality.references import References, answers_to, is_far, packages_of
from orchestration.quality.runners.contract import Target
from orchestration.quality.tree_view import (
    TreeView,
    ancestors,
    folder_of,
    is_within,
    join,
    name_of,
    stem_of,
    suffix_of,
)

TEST_FOLDERS = frozenset({"tests", "test", "__tests__", "spec", "specs", "testing"})
_FEW = 5
_STEPS = 6
_MOST_AFFECTED = 60
_MOST_READ = 4_000
_ALL_OF_A_HOME = 20
_PROSE = frozenset(
    {".md", ".rst", ".adoc", ".txt", ".license", ".png", ".jpg", ".jpeg", ".gif", ".pdf", ".lock"}
)
_AFFIX = re.compile(r"^(?:tests?[_-])|(?:[_.-](?:tests?|spec))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Selection:
    """`missing`: tests that the plan names and the tree does not hold."""

    own: tuple[Target, ...] = ()
    affected: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.own or self.affected or self.missing)


def select(
    view: TreeView,
    changed: Sequence[str],
    named: Sequence[str],
    *,
    tests: Sequence[str],
    is_new: Callable[[str], bool],
    references: References,
    hints: Sequence[str] = (),
    strict: bool = True,
) -> Selection:
    """`tests`: the test files of the tree. `named`: the tests of the plan. `is_new`: whether a path of the
    tree was absent at the start. `hints`: where the task was expected to work; they count where it did not.
    Unless `strict`, only named tests are own tests.
    """
    known = frozenset(tests)
    own, missing = resolve(view, named, tests)
    new = [path for path in changed if path in known and is_new(path)]
    found = _Search(view, tests, references)
    if tests:
        for path in changed:
            found.add(path)
        for hint in hints:
            found.add_hint(_normal(hint), changed)
    by_convention = found.own if strict and not named else {}
    for path in (*(new if strict else ()), *by_convention):
        if not any(target.path == path and not target.nodes for target in own):
            own = [*(target for target in own if target.path != path), Target(path)]
    whole = {target.path for target in own}
    affected = [path for path in (*new, *found.own, *found.affected) if path not in whole]
    return Selection(
        tuple(sorted(own, key=lambda target: target.path)),
        tuple(dict.fromkeys(affected))[:_MOST_AFFECTED],
        tuple(missing),
    )


def resolve(view: TreeView, named: Iterable[str], tests: Sequence[str]) -> tuple[list[Target], list[str]]:
    """Files, folders (`tests/unit`), node ids (`a/test_x.py::TestY::test_z`) and dotted modules."""
    nodes: dict[str, list[str]] = defaultdict(list)
    missing = []
    for name in dict.fromkeys(named):
        place, _, node = name.partition("::")
        path = _normal(place)
        if path in view:
            nodes[path].append(node)
        elif not node and (inside := [test for test in tests if is_within(test, path)]):
            for test in inside:
                nodes[test].append("")
        elif (dotted := join("", path.replace(".", "/")) + ".py") in view:
            nodes[dotted].append(node)
        else:
            missing.append(name)
    targets = [Target(path, () if "" in found else tuple(found)) for path, found in nodes.items()]
    return targets, missing


def _normal(place: str) -> str:
    parts: list[str] = []
    for part in place.strip().split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in {"", ".", ".."}:
            parts.append(part)
    return "/".join(parts)


def is_prose(path: str) -> bool:
    """Text for people, and pictures: no test is looked for, unless it is named after the file."""
    return suffix_of(path) in _PROSE


class _Search:
    """Collects tests for one changed path after another; dictionaries, since order matters."""

    def __init__(self, view: TreeView, tests: Sequence[str], references: References) -> None:
        self.own: dict[str, None] = {}
        self.affected: dict[str, None] = {}
        self._view = view
        self._tests = dict.fromkeys(tests)
        self._references = references
        self._places = {_seat(test) for test in tests}
        self._homes = {test: self.home(_seat(test)) for test in tests}
        self._stems: dict[str, frozenset[str]] = {}

    def home(self, folder: str) -> str:
        """The nearest folder that has tests of its own, in it or in a test folder of it; the root if none.
        Folders that are Python packages are no homes: their tests run from above them.
        """
        for place in ancestors(folder):
            if place in self._places and (not place or join(place, "__init__.py") not in self._view):
                return place
        return ""

    def add(self, path: str) -> None:
        if path in self._tests:
            self.own[path] = None
            return
        home = self.home(folder_of(path))
        mine = [test for test in self._tests if self._homes[test] == home]
        matched = _named_after(path, mine)
        self.own.update(dict.fromkeys(matched))
        if is_prose(path):
            return
        direct, indirect = self._speaking(path, home)
        if not matched:
            near = [test for test in direct if self._is_near(test, path, home)]
            if not direct and home:
                near = [test for test in indirect if self._homes[test] == home]
            if len(near) <= _FEW:
                self.own.update(dict.fromkeys(near))
        self.affected.update(dict.fromkeys([*direct, *indirect]))
        if len(mine) <= _ALL_OF_A_HOME:
            self.affected.update(dict.fromkeys(mine))

    def add_hint(self, hint: str, changed: Sequence[str]) -> None:
        """Tests of the place where a task was expected to work, if it changed nothing there."""
        if self._view.has_folder(hint):
            tests = [test for test in self._tests if is_within(test, hint)]
            if len(tests) <= _FEW and not any(is_within(path, hint) for path in changed):
                self.own.update(dict.fromkeys(tests))
        elif not any(is_within(path, self.home(folder_of(hint))) for path in changed):
            self.add(hint)

    def _is_near(self, test: str, path: str, home: str) -> bool:
        """Whether a test that speaks of a file means it: not so where it gives a bare name, and a file of that
        name lies in the test's own home (`index.js` of another project).
        """
        other = self._homes[test]
        if other == home or home:
            return other == home
        far = frozenset(name for name in answers_to(path) if is_far(name))
        if self._references.speaking_of(self._view, far, [test]):
            return True
        if other not in self._stems:
            inside = (file for file in self._view.under(other) if file not in self._tests)
            self._stems[other] = frozenset(map(stem_of, inside))
        return stem_of(path) not in self._stems[other]

    def _speaking(self, path: str, home: str) -> tuple[list[str], list[str]]:
        """Tests that speak of `path`, and tests that speak of a file that does, over any number of steps."""
        inside = [other for other in self._view.under(home) if other != path][:_MOST_READ]
        outside = [] if not home else [p for p in self._view.paths if not is_within(p, home)][:_MOST_READ]
        direct: list[str] = []
        indirect: list[str] = []
        names, seen = answers_to(path), {path}
        for depth in range(_STEPS):
            # Outside the home a bare name (`utils`) is most likely another file's.
            far = frozenset(name for name in names if is_far(name))
            speakers = [
                *self._references.speaking_of(self._view, names, [p for p in inside if p not in seen]),
                *self._references.speaking_of(self._view, far, [p for p in outside if p not in seen]),
            ]
            if not speakers and depth == 0:
                tests = [other for other in inside if other in self._tests]
                speakers = self._references.speaking_of(self._view, packages_of(path, home), tests)
            seen.update(speakers)
            (direct if depth == 0 else indirect).extend(other for other in speakers if other in self._tests)
            onward = [other for other in speakers if other not in self._tests]
            if not onward:
                break
            names = frozenset[str]().union(*(answers_to(other) for other in onward))
        return direct, indirect


def _seat(test: str) -> str:
    """Whose tests these are: the folder of the test, above its test folders."""
    folder = folder_of(test)
    parts = folder.split("/") if folder else []
    for index, part in enumerate(parts):
        if part in TEST_FOLDERS:
            return "/".join(parts[:index])
    return folder


def _named_after(path: str, tests: Sequence[str]) -> list[str]:
    """Tests named after a file; of several folders, those whose path is most like its own."""
    stems = {_plain(stem_of(path))}
    if stems & {"init", "index", "mod", "main", "lib"} and folder_of(path):
        stems.add(_plain(name_of(folder_of(path))))
    alike = [test for test in tests if _plain(_AFFIX.sub("", stem_of(test))) in stems]
    if not alike:
        return []
    folders = set(folder_of(path).split("/"))
    likeness = {test: len(folders & set(folder_of(test).split("/"))) for test in alike}
    best = max(likeness.values())
    return [test for test in alike if likeness[test] == best]


def _plain(stem: str) -> str:
    return stem.removesuffix(".d").strip("_").replace("-", "_").lower()
