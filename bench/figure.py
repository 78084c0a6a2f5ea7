"""One measured figure: several runs of one thing, and of what it is held against."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Runs:
    """The same measurement, several times; at least once."""

    values: tuple[float, ...]
    unit: str

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        """`median unit (least-most)`; one run alone has no range."""
        text = f"{number(self.median)} {self.unit}"
        if len(self.values) == 1:
            return text
        return f"{text} ({number(min(self.values))}-{number(max(self.values))})"


@dataclass(frozen=True)
class Figure:
    """`what` took `ours`; `instead` took `theirs`."""

    what: str
    ours: Runs
    instead: str
    theirs: Runs

    @property
    def ratio(self) -> float:
        """Median by median: of times and sizes less is better, of rates more."""
        return self.ours.median / self.theirs.median


def number(value: float) -> str:
    """Three digits that mean something, never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
