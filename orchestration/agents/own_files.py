"""The files by which a workspace would configure an external agent: hidden from it, put back into its result.

A checkout of a stranger's tree may hold settings of the very agent that is about to run in it, with another
address for its key, a hook, a tool server. The agent gets a tree without them, and whatever it makes under the
same names is not taken. Pure over the object store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from orchestration.workspace.objects import Entry, ObjectStore
from orchestration.workspace.path_guard import canonical_name


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """`patterns` as in `AgentProvider.own_files`, compared as the laxest file system compares names."""

    patterns: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, patterns: Sequence[str]) -> "OwnFiles":
        return cls(tuple(tuple(map(canonical_name, pattern.split("/"))) for pattern in patterns))

    def holds(self, path: str) -> bool:
        """Whether the path is one of them, or lies in a folder that is."""
        names = [canonical_name(name) for name in path.split("/")]
        return any(_begins(names, pattern) for pattern in self.patterns)

    def hidden(self, objects: ObjectStore, tree: str) -> tuple[str, Mapping[str, Entry]]:
        """The tree without them, and what was taken out."""
        out = {path: entry for path, entry in objects.entries(tree) if self.holds(path)}
        return (objects.write(tree, dict.fromkeys(out)) if out else objects.tree_of(tree)), out

    def restored(
        self, objects: ObjectStore, tree: str, kept: Mapping[str, Entry]
    ) -> tuple[str, tuple[str, ...]]:
        """The tree with `kept` as it was, and the paths that were made under such names and are not taken. A
        file in the way of what was hidden gives way to it.
        """
        made = [path for path, _ in objects.entries(tree) if self.holds(path) or _blocks(path, kept)]
        changes: dict[str, Entry | None] = dict.fromkeys(made)
        changes.update(kept)
        return (objects.write(tree, changes) if changes else tree), tuple(made)


def _begins(names: Sequence[str], pattern: tuple[str, ...]) -> bool:
    """One name matches anywhere; several match from the root."""
    if len(pattern) == 1:
        return any(fnmatchcase(name, pattern[0]) for name in names)
    return len(names) >= len(pattern) and all(map(fnmatchcase, names, pattern))


def _blocks(path: str, kept: Mapping[str, Entry]) -> bool:
    """Whether a file stands where a hidden one needs a folder, or below where one is a file."""
    return any(name.startswith(path + "/") or path.startswith(name + "/") for name in kept)
