"""examples/rest/score.sh, curl and jq, in both forms of the invocation."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import identity
from lab.testing import LabUnderTest
from tests.clients.calls import refusals, templates
from tests.clients.conftest import Recorded

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DIGITS = EXAMPLES / "digits"
SCRIPT = EXAMPLES / "rest" / "score.sh"
MISSING = [program for program in ("bash", "curl", "jq") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not on PATH: {', '.join(MISSING)}")

INPUTS = {
    "AZURE_SUBSCRIPTION_ID": identity.SUBSCRIPTION_ID,
    "RESOURCE_GROUP": identity.RESOURCE_GROUP,
    "WORKSPACE": identity.WORKSPACE,
    "MODEL": str(DIGITS / "model"),
    "CODE": str(DIGITS / "code"),
    "SCORING_SCRIPT": "score.py",
    "CONDA_FILE": str(DIGITS / "conda.yml"),
    "INPUT": str(DIGITS / "images"),
    "POLL_SECONDS": "0.3",
}


@dataclass(frozen=True)
class Run:
    code: int
    said: str
    requests: list[dict[str, Any]]
    results: Path


@pytest.fixture(scope="module", params=["2021", "2022"])
def run(
    request: pytest.FixtureRequest,
    lab: LabUnderTest,
    recorded: Recorded,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    results = tmp_path_factory.mktemp("rest") / "results"
    with recorded(f"curl and jq, form of {request.param}") as requests:
        done = lab.run(["bash", str(SCRIPT), request.param, str(results)], env=INPUTS, timeout=300)
    return Run(done.returncode, done.stdout + done.stderr, requests, results)


def test_the_script_runs_to_its_end(run: Run) -> None:
    assert run.code == 0, run.said


@pytest.mark.parametrize("way", ["asset", "url", "path"])
def test_each_way_to_name_the_input_gives_real_predictions(run: Run, way: str) -> None:
    check = [sys.executable, "-I", str(DIGITS / "check.py"), str(run.results / f"{way}.csv")]
    judged = subprocess.run(check, capture_output=True, text=True, check=False)

    assert judged.stdout.splitlines()[-1:] == ["digits: 175 of 180 correct (97.2 %)"], judged.stderr + run.said


def test_operations_and_jobs_were_polled_where_such_scripts_poll(run: Run) -> None:
    assert {"GET operation", "GET {scoring}/jobs/*"} <= templates(run.requests)


def test_nothing_was_refused(run: Run) -> None:
    assert refusals(run.requests) == {}


def test_nothing_that_costs_money_is_left(run: Run, lab: LabUnderTest) -> None:
    status = lab.status()

    assert [each for each in status["endpoints"] if "/rest-" in each] == []
    assert [each for each in status["computes"] if "/cpu-" in each] == []


def test_what_is_not_set_is_named(lab: LabUnderTest, tmp_path: Path) -> None:
    done = lab.run(["bash", str(SCRIPT), "2022", str(tmp_path)], env={**INPUTS, "WORKSPACE": ""})

    assert (done.returncode, done.stderr) == (2, "set WORKSPACE\n")


def test_what_the_service_refuses_is_shown(lab: LabUnderTest, tmp_path: Path) -> None:
    done = lab.run(["bash", str(SCRIPT), "2022", str(tmp_path)], env={**INPUTS, "WORKSPACE": "another"})

    assert done.returncode != 0
    assert "workspaces/another' under resource group 'lab' was not found" in done.stderr
