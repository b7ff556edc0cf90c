"""What a benchmark hands back: tables for people, targets with their verdict, raw samples for machines."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Target:
    """`value` against `limit`, both in `unit`. `value` None: it could not be measured, and `why` says why."""

    name: str
    value: float | None
    limit: float
    unit: str
    at_least: bool = False
    why: str = ""

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` name the cells of each row, units included; None is shown as a dash."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`purpose` is the benchmark's docstring; `notes` are honest words beside the figures; `samples` holds
    what the medians were taken of, by a key that names program, size and unit.
    """

    name: str
    title: str
    purpose: str
    tables: tuple[Table, ...]
    targets: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()
    samples: dict[str, list[Any]] = field(default_factory=dict)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios taken round by round: neighbours in time, so that drift of the machine cancels."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` % of all do not exceed."""
    ordered = sorted(values)
    place = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(int(place), 1) - 1]


def shown(cell: Cell) -> str:
    """A number with three digits that matter; None as a dash."""
    if cell is None:
        return "—"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    if abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.3g}" if abs(cell) < 1 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"


def spread(values: Sequence[float]) -> str:
    """`min to max`, for the reader who wants to know how far the rounds lay apart."""
    return f"{shown(float(min(values)))} to {shown(float(max(values)))}"
