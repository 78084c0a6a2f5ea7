"""Processes that are killed for real; `make test-jobs` does 200."""

from __future__ import annotations

from tests.jobs.interrupted import interrupted


def test_interrupted_submits_make_as_many_jobs_as_were_asked_for() -> None:
    outcome = interrupted(submits=6, seed=1)

    assert outcome.wrong(6) == []
    assert outcome.interruptions.total() > 0
