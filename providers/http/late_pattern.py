"""A regular expression that is compiled when it is first used: those of faults seldom are, and each costs 0.3 ms."""

import re
from functools import cached_property


class LatePattern:
    """As `re.compile(pattern, flags)` of a text."""

    def __init__(self, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._pattern = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self._pattern, self._flags)

    def search(self, text: str) -> re.Match[str] | None:
        return self._compiled.search(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        return self._compiled.fullmatch(text)

    def findall(self, text: str) -> list[tuple[str, ...]]:
        """Of a pattern with several groups."""
        return self._compiled.findall(text)
