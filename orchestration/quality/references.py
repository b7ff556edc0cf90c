"""Which files speak of which: imports and file names found in the text of a tree, without running it.

Names are paths without their ending (`harbour/rates/berth`); a file answers to every tail of its own
(`rates/berth`, `berth`), and to its file name (`=berth.py`). Only names are compared, so a reference may
be taken for one too many, which costs a test run and never a result.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from orchestration.quality.tree_view import TreeView, folder_of, join, name_of, stem_of, suffix_of

_PYTHON = frozenset({".py", ".pyi"})
_SCRIPT = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte"})
_READ = _PYTHON | _SCRIPT | frozenset({".go", ".rs", ".sh", ".bash", ".bats", ".sql", ".java", ".kt", ".rb"})
_INDEX = ("__init__", "index", "mod", "__main__")
_REMEMBERED = 20_000

_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w., \t]+)", re.MULTILINE)
_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#;]+)", re.MULTILINE)
_QUOTED = re.compile(r"""["'`]([^"'`\n]{1,200})["'`]""")
_RUST = re.compile(r"\b(?:mod|use)[ \t]+([\w:]+)")
_CRATE = re.compile(r"/(?:src|tests|benches|examples)/")
_FILE_NAME = re.compile(r"[\w.+-]+\.[A-Za-z][A-Za-z0-9]{0,7}\b")


def answers_to(path: str) -> frozenset[str]:
    """The names under which other files may speak of this one."""
    stem = join(folder_of(path), stem_of(path))
    stem = stem.removesuffix(".d")  # a declaration file speaks for its module
    names = {f"={name_of(path)}"}
    names.update(_tails(stem))
    if name_of(stem) in _INDEX and folder_of(stem):
        names.update(_tails(folder_of(stem)))
    names.update(_unit(path))
    return frozenset(names)


def _unit(path: str) -> Iterator[str]:
    """Files of one compilation unit speak of each other without an import."""
    if suffix_of(path) == ".go":
        yield f"go:{folder_of(path)}"
    elif suffix_of(path) == ".rs":
        yield f"crate:{_CRATE.split('/' + path)[0].strip('/')}"


def packages_of(path: str, within: str) -> frozenset[str]:
    """The names of the folders of a file, up to and without `within`."""
    names: set[str] = set()
    folder = folder_of(path)
    while folder and folder != within:
        names.update(_tails(folder))
        folder = folder_of(folder)
    return frozenset(names)


def _tails(stem: str) -> Iterator[str]:
    parts = stem.split("/")
    for index in range(len(parts)):
        yield "/".join(parts[index:])


def references(path: str, text: str) -> frozenset[str]:
    """The names that a file's text speaks of."""
    suffix = suffix_of(path)
    found: set[str] = {f"={name}" for name in _FILE_NAME.findall(text)}
    found.update(_unit(path))
    if suffix in _PYTHON:
        found.update(_python(path, text))
    elif suffix in _SCRIPT:
        found.update(_script(path, text))
    elif suffix == ".go":
        for quoted in _QUOTED.findall(text):
            if re.fullmatch(r"[\w./~-]+", quoted):
                found.update(f"go:{tail}" for tail in _tails(quoted))
    elif suffix == ".rs":
        found.update(part for names in _RUST.findall(text) for part in names.split("::"))
    return frozenset(found)


def _python(path: str, text: str) -> Iterator[str]:
    for names in _IMPORT.findall(text):
        for name in names.split(","):
            words = name.split()
            if words:
                yield from _heads(words[0].replace(".", "/"))
    for dots, module, names in _FROM.findall(text):
        base = module.replace(".", "/")
        if dots:
            folder = folder_of(path)
            for _ in dots[1:]:
                folder = folder_of(folder)
            base = join(folder, base) if base else folder
        if base:
            yield from [base] if dots else _heads(base)
        for name in re.findall(r"(\w+)(?:[ \t]+as[ \t]+\w+)?", names):
            yield join(base, name)


def _heads(dotted: str) -> Iterator[str]:
    """`a/b/c` imports a, a/b and a/b/c."""
    parts = dotted.split("/")
    for index in range(len(parts)):
        yield "/".join(parts[: index + 1])


def _script(path: str, text: str) -> Iterator[str]:
    for quoted in _QUOTED.findall(text):
        if not quoted.startswith("."):
            continue
        parts = folder_of(path).split("/") if folder_of(path) else []
        for part in quoted.split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part not in {".", ""}:
                parts.append(part)
        resolved = "/".join(parts)
        if not resolved:
            continue
        yield resolved
        if suffix_of(resolved) in _SCRIPT:
            yield join(folder_of(resolved), stem_of(resolved))


def is_far(name: str) -> bool:
    """True for a name that tells enough to be the same file's in another project of the workspace."""
    return "/" in name or name.startswith(("go:", "crate:"))


class References:
    """References by content, remembered from tree to tree: most files are the same in all of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], frozenset[str]] = OrderedDict()

    def of(self, view: TreeView, path: str) -> frozenset[str]:
        entry = view.entry(path)
        if entry is None or suffix_of(path) not in _READ:
            return frozenset()
        key = (path, entry.oid)
        known = self._known.get(key)
        if known is None:
            known = references(path, view.text(path))
            self._known[key] = known
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def speaking_of(self, view: TreeView, names: frozenset[str], among: Sequence[str]) -> list[str]:
        return [path for path in among if not names.isdisjoint(self.of(view, path))]
