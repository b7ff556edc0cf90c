"""The contract of analyzers: tools that find defects in files without running them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestration.quality.finding import Finding
from orchestration.quality.processes import Processes
from orchestration.quality.runners.contract import Bench
from orchestration.quality.settings import QualitySettings


@dataclass(frozen=True, slots=True)
class Analysis:
    """`note` says, in one line, why the analyzer found nothing it could have found."""

    findings: tuple[Finding, ...] = ()
    note: str = ""


class Analyzer(Protocol):
    @property
    def name(self) -> str: ...

    def concerns(self, path: str) -> bool: ...

    def is_installed(self, root: Path, settings: QualitySettings, processes: Processes) -> bool:
        """For the user's workspace at `root`: what it has, checkouts have, too. Starts nothing."""

    async def analyze(self, bench: Bench, paths: Sequence[str]) -> Analysis:
        """All findings in these files of the checkout, with columns in code points from 0 and without ids."""


def evidence_of(text: str, start_line: int, end_line: int) -> str:
    """The source lines of a finding, without indentation, at most 300 characters."""
    lines = text.splitlines()[start_line : end_line + 1]
    return "\n".join(line.strip() for line in lines)[:300]
