"""Analyzers, one file each."""

from orchestration.quality.analyzers.contract import Analyzer
from orchestration.quality.analyzers.ruff import Ruff


def standard_analyzers() -> tuple[Analyzer, ...]:
    return (Ruff(),)
