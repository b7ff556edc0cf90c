"""Commit ancestry: who descends from whom, and best common ancestors. Pure, over a parents lookup.

Generation numbers (one more than the highest parent's) let a search stop early; they and the parents
are cached, since commits never change.
"""

import heapq
import threading
from collections.abc import Callable, Iterable


class Ancestry:
    def __init__(self, parents_of: Callable[[str], tuple[str, ...]]) -> None:
        self._parents_of = parents_of
        self._parents: dict[str, tuple[str, ...]] = {}
        self._generation: dict[str, int] = {}
        self._lock = threading.RLock()

    def parents(self, commit: str) -> tuple[str, ...]:
        known = self._parents.get(commit)
        if known is None:
            known = self._parents[commit] = self._parents_of(commit)
        return known

    def generation(self, commit: str) -> int:
        """1 for a root. Not recursive: histories may be thousands deep."""
        with self._lock:
            stack = [commit]
            while stack:
                top = stack[-1]
                if top in self._generation:
                    stack.pop()
                    continue
                parents = self.parents(top)
                missing = [parent for parent in parents if parent not in self._generation]
                if missing:
                    stack.extend(missing)
                    continue
                self._generation[top] = 1 + max((self._generation[p] for p in parents), default=0)
                stack.pop()
            return self._generation[commit]

    def is_ancestor(self, ancestor: str, of: str) -> bool:
        floor = self.generation(ancestor)
        self.generation(of)
        seen, stack = {of}, [of]
        while stack:
            commit = stack.pop()
            if commit == ancestor:
                return True
            for parent in self.parents(commit):
                if parent not in seen and self._generation[parent] >= floor:
                    seen.add(parent)
                    stack.append(parent)
        return False

    def merge_bases(self, one: str, others: Iterable[str]) -> list[str]:
        """The best common ancestors of `one` and of a merge of `others`, sorted by id."""
        ours, theirs, stale = 1, 2, 4
        flags: dict[str, int] = {one: ours}
        for other in others:
            flags[other] = flags.get(other, 0) | theirs
        queue = [(-self.generation(commit), commit) for commit in flags]
        heapq.heapify(queue)
        lively = len(queue)
        bases: set[str] = set()
        while queue and lively:
            _, commit = heapq.heappop(queue)
            mine = flags[commit]
            if not mine & stale:
                lively -= 1
            if mine & (ours | theirs) == ours | theirs:
                if not mine & stale:
                    bases.add(commit)
                mine |= stale
            for parent in self.parents(commit):
                before = flags.get(parent, 0)
                after = before | mine
                if after == before:
                    continue
                flags[parent] = after
                if not before:
                    heapq.heappush(queue, (-self.generation(parent), parent))
                    lively += not after & stale
                elif not before & stale and after & stale:
                    lively -= 1
        return sorted(bases)  # by generation order a commit's flags are final when it is taken

    def independent(self, commits: Iterable[str]) -> list[str]:
        """Without doubles and without ancestors of others; in the order given."""
        unique = list(dict.fromkeys(commits))
        if len(unique) < 2:
            return unique
        floor = min(self.generation(commit) for commit in unique)
        wanted = set(unique)
        below: set[str] = set()
        seen: set[str] = set()
        stack = [parent for commit in unique for parent in self.parents(commit)]
        while stack:
            commit = stack.pop()
            if commit in seen or self.generation(commit) < floor:
                continue
            seen.add(commit)
            if commit in wanted:
                below.add(commit)
            stack.extend(self.parents(commit))
        return [commit for commit in unique if commit not in below]
