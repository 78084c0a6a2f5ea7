"""How many requests are under way at a time: more while that brings more, fewer when the service asks for less.

A store in the next room answers best to eight at a time, one far away on a wide line to many more, a busy one to few.
So the number is found by trying, in windows: it is doubled while the rate grows by a tenth, and taken back where that
brought nothing; now and then one more step is tried. Each 429 or 503 halves it.

Content in memory is bounded too, whatever the number: IN_FLIGHT bytes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MOST = 32
IN_FLIGHT = 64 * 1024 * 1024
"""Bytes of content that are in memory at a time, over all requests under way."""
_FIRST = 8
_WINDOW = 0.25  # seconds, at least
_AGAIN = 16
"""Windows without a change after which one more step is tried."""
_BUSY = (429, 503)
_REQUEST = 64 * 1024
"""Bytes that an empty request counts for, so that many small files and few large blocks are measured alike."""


class Climb:
    """The number of requests at a time, as a function of the rates that it brought. Knows no clock and no thread."""

    def __init__(self, most: int) -> None:
        self.limit = min(_FIRST, most)
        self._most = most
        self._before: tuple[int, float] | None = None
        """The number before the last step up, and its rate."""
        self._quiet = 0

    def window(self, rate: float) -> None:
        """A window has passed at the present number; `rate` is in any unit, as long as it stays the same."""
        if self._before is None:
            self._quiet += 1
            if self._quiet == 1 or self._quiet > _AGAIN:
                self._step_up(rate)
            return
        former, former_rate = self._before
        if rate >= 1.1 * former_rate:
            self._step_up(rate)
        else:
            self.limit, self._before, self._quiet = former, None, 1

    def refused(self) -> None:
        """The service asked for less."""
        self.limit, self._before, self._quiet = max(1, self.limit // 2), None, 1

    def _step_up(self, rate: float) -> None:
        if self.limit >= self._most:
            self._before, self._quiet = None, 1
            return
        self._before = (self.limit, rate)
        self.limit = min(self._most, self.limit * 2)


class Pace:
    """The gate that every request goes through. Safe between threads."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._climb = Climb(most)
        self._clock = clock
        self._free = threading.Condition()
        self._running = 0
        self._bytes = 0
        self.most_bytes = 0
        """The most that was in memory at a time."""
        self._done = 0
        self._since = clock()
        self._count = 0

    @contextmanager
    def request(self, size: int) -> Iterator[None]:
        """Around a request that carries `size` bytes, from before they are read to after they are sent."""
        self.enter(size)
        try:
            yield
        finally:
            self.leave(size)

    def enter(self, size: int) -> None:
        with self._free:
            while not self._admits(size):
                self._free.wait()
            self._running += 1
            self._bytes += size
            self.most_bytes = max(self.most_bytes, self._bytes)

    def leave(self, size: int) -> None:
        with self._free:
            self._running -= 1
            self._bytes -= size
            self._done += size + _REQUEST
            self._count += 1
            now = self._clock()
            if now - self._since >= _WINDOW and self._count >= 2 * self._climb.limit:
                self._climb.window(self._done / (now - self._since))
                self._done, self._count, self._since = 0, 0, now
            # No more than may go: to wake 32 waiting threads for each request costs more than the request.
            self._free.notify(max(1, self._climb.limit - self._running))

    def retried(self, **given: Any) -> None:
        """For azure-storage-blob's `retry_hook`: halves the number where the service was too busy."""
        if getattr(given.get("response"), "status_code", None) in _BUSY:
            self.refused()

    def refused(self) -> None:
        """The service answered that it is too busy."""
        with self._free:
            self._climb.refused()
            self._done, self._count, self._since = 0, 0, self._clock()

    @property
    def limit(self) -> int:
        return self._climb.limit

    def _admits(self, size: int) -> bool:
        """One request is always admitted, however large: else nothing would ever move."""
        return self._running == 0 or (self._running < self._climb.limit and self._bytes + size <= IN_FLIGHT)
