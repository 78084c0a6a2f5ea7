"""The number of requests at a time finds what is best, gives way to a busy service, and bounds memory."""

import threading
from types import SimpleNamespace

import pytest

from providers.blob.pace import IN_FLIGHT, Climb, Pace


def settled(rate_at: dict[int, float], most: int = 64, windows: int = 15) -> int:
    """Where a climb is after some windows, with a store that brings these rates (the largest known one beyond)."""
    climb = Climb(most)
    for _ in range(windows):
        known = [limit for limit in rate_at if limit <= climb.limit]
        climb.window(rate_at[max(known)])
    return climb.limit


@pytest.mark.parametrize(
    ("rates", "most", "best"),
    [
        ({1: 1, 4: 4, 8: 8, 16: 16, 32: 32, 64: 64}, 64, 64),
        ({1: 1, 4: 4, 8: 8, 16: 16, 32: 32, 64: 64}, 32, 32),
        ({1: 1, 8: 8, 16: 14, 32: 14}, 64, 16),
        ({1: 1, 8: 8, 16: 8}, 64, 8),
        ({1: 1, 8: 8, 16: 2}, 64, 8),
        ({1: 1}, 1, 1),
    ],
)
def test_it_grows_while_that_brings_more(rates: dict[int, float], most: int, best: int) -> None:
    assert settled(rates, most) == best


def test_it_tries_again_later() -> None:
    climb = Climb(64)
    seen: set[int] = set()
    for _ in range(40):
        climb.window(float(climb.limit) if len(seen) > 1 else 8.0)
        seen.add(climb.limit)

    assert climb.limit > 16


def test_a_busy_service_is_asked_half_as_much_and_at_least_once() -> None:
    climb = Climb(64)
    for expected in (4, 2, 1, 1):
        climb.refused()
        assert climb.limit == expected


@pytest.mark.parametrize(("status", "halved"), [(503, True), (429, True), (500, False), (None, False)])
def test_only_a_busy_answer_counts_as_busy(status: int | None, halved: bool) -> None:
    pace = Pace(8)
    pace.retried(response=SimpleNamespace(status_code=status) if status else None, retry_count=1)

    assert pace.limit == (4 if halved else 8)


def test_content_in_memory_is_bounded_and_one_request_always_goes() -> None:
    pace = Pace(64)
    size = IN_FLIGHT // 2
    pace.enter(size)
    pace.enter(size)
    entered = threading.Event()

    def third() -> None:
        with pace.request(1):
            entered.set()

    thread = threading.Thread(target=third)
    thread.start()
    assert not entered.wait(0.05)
    pace.leave(size)
    assert entered.wait(10)
    pace.leave(size)
    thread.join(10)
    with pace.request(10 * IN_FLIGHT):
        assert pace.most_bytes == 10 * IN_FLIGHT


def test_rates_are_taken_in_windows_of_time() -> None:
    now = [0.0]
    pace = Pace(64, lambda: now[0])
    for _ in range(16):
        with pace.request(100):
            now[0] += 0.1

    assert pace.limit == 16
