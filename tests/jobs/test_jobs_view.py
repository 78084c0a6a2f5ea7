"""How a watched job looks."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from jobs import view
from jobs.view import Look
from providers.aml.progress import Progress

LOOK = Look(
    "batchjob-1",
    "digits-68d209ef",
    "Running",
    "scoring",
    95.0,
    Progress(40, 12, 1, 400, 10, seconds=24.0, remaining=56.0),
    ("one", "two"),
    "user_logs/std_log_0.txt",
)


def drawn(look: Look, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(view.render(look))
    return out.getvalue()


def test_the_live_view_has_phase_counts_rate_times_and_the_end_of_the_log() -> None:
    text = drawn(LOOK)

    for each in (
        *("batchjob-1", "Running", "scoring", "12 of 40 mini-batches, 1 failed", "30.0 a minute", "1:35 elapsed"),
        *("0:56 left", "digits-68d209ef", "user_logs/std_log_0.txt", "two"),
    ):
        assert each in text


def test_a_narrow_terminal_is_not_overflowed() -> None:
    wide = Look(**{**vars(LOOK), "tail": ("x" * 300,), "trouble": "y" * 300})

    assert max(len(line) for line in drawn(wide, 60).splitlines()) <= 60


def test_a_line_says_the_same() -> None:
    assert view.line(LOOK) == (
        "Running, scoring, 12 of 40 mini-batches, 1 failed, 30.0 a minute, 1:35 elapsed, 0:56 left"
    )


def test_before_anything_is_known_nothing_is_claimed() -> None:
    look = Look("batchjob-1", "", "Preparing", "nodes and environment", 3.0)

    assert view.line(look) == "Preparing, nodes and environment, 0:03 elapsed"
    assert "no mini-batch yet" in drawn(look)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "?"), (0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3661, "1:01:01")]
)
def test_times_read_as_a_clock(seconds: float | None, text: str) -> None:
    assert view.span(seconds) == text
