"""What came back, and how long we may still ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One HTTP answer with its JSON read. `body` is None when there was none; header names are in any case."""

    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)


class Deadline:
    """A moment after which nothing is begun. `seconds` counts from now, on `clock` (seconds, monotonic)."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._start = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self.seconds - self.elapsed)
