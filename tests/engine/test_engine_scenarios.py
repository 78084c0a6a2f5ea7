"""The same table on the embedded engine and, where a pulumi CLI is on PATH, on that too, with equal results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import engines
from tests.engine.project_under_test import calls, cloud, make_project, wish
from tests.engine.scenarios import SCENARIOS, Run

with_pulumi = pytest.mark.skipif(engines.pulumi_path() is None, reason="no pulumi CLI 3.260 on PATH to compare with")


def _prepare(directory: Path, run: Run) -> None:
    if run.wish is not None:
        wish(directory, *run.wish, **run.rest)
    run.first(directory)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_embedded_engine_plays_the_table(tmp_path: Path, scenario: list[Run]) -> None:
    directory = make_project(tmp_path / "trial")
    for run in scenario:
        _prepare(directory, run)
        result = engines.embedded(directory, run.verb, *run.options)
        assert result.status == run.status, result.output
        for line in (*run.says, *run.shows):
            assert line in result.output
        if run.verb != "preview":
            engines.verify(directory)


@with_pulumi
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_both_engines_leave_the_same(tmp_path: Path, scenario: list[Run]) -> None:
    """In the middle each goes on with the other's state."""
    ours, theirs = make_project(tmp_path / "ours"), make_project(tmp_path / "theirs")
    for number, run in enumerate(scenario):
        if number == len(scenario) // 2:
            engines.swap(ours, theirs)
        _prepare(ours, run)
        _prepare(theirs, run)
        mine = engines.embedded(ours, run.verb, *run.options)
        other = engines.pulumi(theirs, run.verb, *run.options)
        what = f"run {number}\n{mine.output}\n{other.output}"
        assert mine.status == other.status, what
        assert engines.multiset(calls(ours)) == engines.multiset(calls(theirs)), what
        assert cloud(ours) == cloud(theirs), what
        if (ours / "state" / ".pulumi").exists():
            assert engines.resources(ours) == engines.resources(theirs), what
