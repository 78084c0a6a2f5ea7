"""Microsoft's azure-ai-ml, unmodified, against a running lab: every step of tests/clients/ai_ml_client.py."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import identity
from lab.testing import LabUnderTest
from tests.clients.calls import refusals, steps, template, templates
from tests.clients.conftest import Recorded

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parents[1] / "examples" / "digits"
TABLE = HERE / "ai_ml_calls.txt"
TRACE = HERE.parents[2] / "shared" / "azureml-rest" / "sdk_trace_azure-ai-ml-1.35.2.txt"
WORKSPACE_ID = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}"
)


@dataclass(frozen=True)
class Run:
    steps: dict[str, Mapping[str, Any]]
    code: int
    errors: str
    requests: list[dict[str, Any]]
    work: Path

    def __getitem__(self, step: str) -> Mapping[str, Any]:
        assert step in self.steps, f"exit code {self.code} before {step}:\n{self.errors[-4000:]}"
        return self.steps[step]


@pytest.fixture(scope="module")
def run(
    lab: LabUnderTest,
    recorded: Recorded,
    installed: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    python = installed("ai-ml", "python")
    work = tmp_path_factory.mktemp("ai-ml")
    account = f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net"
    arguments = [str(work), str(DIGITS), identity.RESOURCE_GROUP, identity.WORKSPACE, account]
    with recorded("azure-ai-ml 1.35.2") as requests:
        done = lab.run([str(python), str(HERE / "ai_ml_client.py"), *arguments], cwd=work, timeout=500)
    return Run(steps(done.stdout), done.returncode, done.stderr, requests, work)


def accuracy(predictions: Path) -> str:
    """The last line of the example's own check of a predictions file."""
    judged = subprocess.run(
        [sys.executable, "-I", str(DIGITS / "check.py"), str(predictions)], capture_output=True, text=True, check=False
    )
    assert judged.returncode == 0, judged.stderr
    return judged.stdout.splitlines()[-1]


def test_the_program_runs_to_its_end(run: Run) -> None:
    assert run.code == 0, run.errors[-4000:]


def test_a_compute_is_made_and_listed(run: Run) -> None:
    made = run["compute"]

    assert (made["size"], made["state"]) == ("STANDARD_DS3_V2", "Succeeded")
    assert made["name"] in made["listed"]


def test_an_endpoint_is_made(run: Run) -> None:
    made = run["endpoint"]

    assert made["scoring_uri"] == "https://sdk-digits.eastus.inference.ml.azure.com/jobs"
    assert (made["auth_mode"], made["tags"]) == ("aad_token", {"client": "azure-ai-ml"})


def test_a_deployment_is_made_of_local_code_a_local_model_and_a_conda_file(run: Run) -> None:
    made = run["deployment"]

    assert (made["state"], made["mini_batch_size"], made["listed"]) == ("Succeeded", 30, ["digits"])
    assert made["model"] == f"{WORKSPACE_ID}/models/sdk-digits/versions/1"
    assert f"{WORKSPACE_ID}/environments/CliV2AnonymousEnvironment/versions/" in made["environment"]
    assert re.fullmatch(rf"{re.escape(WORKSPACE_ID)}/codes/[0-9a-f-]{{36}}/versions/1", made["code"])


def test_the_default_deployment_is_set(run: Run) -> None:
    assert run["default"]["default"] == "digits"
    assert "sdk-digits" in run["default"]["listed"]


def test_the_default_datastore_is_found(run: Run) -> None:
    found = run["datastores"]

    assert (found["default"], found["container"]) == (identity.DEFAULT_DATASTORE, identity.DEFAULT_CONTAINER)
    assert found["default"] in found["listed"]


def test_a_local_folder_becomes_a_data_asset(run: Run) -> None:
    made = run["data_asset"]

    assert (made["id"], made["type"]) == (f"{WORKSPACE_ID}/data/sdk-images/versions/1", "uri_folder")


@pytest.mark.parametrize("form", ["data_asset", "datastore_path", "https", "everything"])
def test_each_form_of_invocation_begins_a_job_that_completes(run: Run, form: str) -> None:
    begun = run[f"invoke_{form}"]

    assert begun["job"].startswith("batchjob-")
    assert begun["status"] == "Preparing"
    assert run["wait"][form] == "Completed"


def test_streaming_shows_the_pipelines_log_and_ends_with_the_job(run: Run) -> None:
    streamed = run["stream"]

    assert (streamed["status"], streamed["type"], streamed["experiment"]) == ("Completed", "pipeline", "sdk-digits")
    assert "Streaming logs/azureml/executionlogs.txt" in streamed["printed"]
    assert "Submitting 1 runs, first five are" in streamed["printed"]
    assert "Execution Summary" in streamed["printed"]


def test_a_job_has_the_one_step_batchscoring(run: Run) -> None:
    assert len(run["children"]["names"]) == 1
    assert run["children"]["display"] == ["batchscoring"]


@pytest.mark.parametrize("form", ["data_asset", "datastore_path", "https"])
def test_the_downloaded_results_are_real_predictions(run: Run, form: str) -> None:
    assert f"{form}/predictions.csv" in run["download"]["files"]

    assert accuracy(run.work / "downloaded" / form / "predictions.csv") == "digits: 175 of 180 correct (97.2 %)"


def test_overrides_and_an_output_of_ones_own_reach_the_job(run: Run) -> None:
    assert "everything/mine.csv" in run["download"]["files"]

    assert " of 10 correct (" in accuracy(run.work / "downloaded" / "everything" / "mine.csv")


def test_everything_of_a_job_can_be_downloaded(run: Run) -> None:
    assert run["download_all"]["files"] == ["predictions.csv"]


def test_a_job_is_cancelled_and_an_ended_one_stays_as_it_is(run: Run) -> None:
    assert (run["cancel"]["status"], run["cancel"]["ended"]) == ("Canceled", "Completed")


@pytest.mark.parametrize("where", ["endpoint", "deployment", "workspace"])
def test_jobs_are_listed(run: Run, where: str) -> None:
    assert set(run["list_jobs"]["mine"]) <= set(run["list_jobs"][where])


def test_a_job_is_archived_restored_tagged_and_named(run: Run) -> None:
    seen = run["job_changes"]

    assert seen["archived"] == {"ActiveOnly": False, "ArchivedOnly": True, "All": True}
    assert (seen["restored"], seen["name"], seen["tags"]["looked"]) == (True, "renamed", "at")
    assert len(seen["tagged"]) == 1


def test_a_data_version_is_archived_and_restored(run: Run) -> None:
    seen = run["data_archive"]

    assert (seen["active"], seen["archived"], seen["restored"]) == (["1"], [], ["1"])


def test_model_versions_count_up_and_one_is_archived_and_restored(run: Run) -> None:
    seen = run["models"]

    assert (seen["versions"], seen["latest"]) == (["1", "2"], "2")
    assert (seen["active"], seen["archived"], seen["restored"]) == (["2", "1"], ["2"], ["2", "1"])


def test_an_environment_version_is_archived_and_restored(run: Run) -> None:
    seen = run["environments"]

    assert (seen["id"], seen["conda"]) == (f"{WORKSPACE_ID}/environments/sdk-env/versions/3", "digits")
    assert (seen["active"], seen["archived"], seen["restored"]) == (["3"], [], ["3"])


def test_a_whole_model_is_archived_and_restored(run: Run) -> None:
    seen = run["container_archive"]

    assert "sdk-file" in seen["active"]
    assert "sdk-file" not in seen["archived"]
    assert seen["restored"] == seen["active"]


def test_a_deployment_and_an_endpoint_are_updated_and_the_default_stays(run: Run) -> None:
    changed = run["update"]

    assert (changed["mini_batch_size"], changed["description"], changed["default"]) == (7, "changed", "digits")
    assert changed["tags"] == {"client": "azure-ai-ml", "changed": "yes"}


def test_deployment_endpoint_and_compute_are_deleted(run: Run) -> None:
    assert (run["delete"]["left"], run["delete"]["endpoint"]) == (["digits"], "gone")


def test_nothing_that_the_sdk_asked_was_refused(run: Run) -> None:
    assert refusals(run.requests) == {}


def test_every_call_of_the_table_was_served(run: Run) -> None:
    served = templates(run.requests)

    assert [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line not in served] == []


@pytest.mark.skipif(not TRACE.is_file(), reason="the recorded trace of the SDK is not part of the checkout")
def test_the_table_holds_every_call_of_the_trace() -> None:
    assert sorted(traced(TRACE.read_text(encoding="utf-8"))) == TABLE.read_text(encoding="utf-8").splitlines()


def traced(trace: str) -> set[str]:
    """Templates of a trace's numbered lines; its far side was one server, whose scoring and blob URLs were made up."""
    found = set()
    for method, target in re.findall(r"^ +\d+ ([A-Z]+) +(\S+)", trace, re.MULTILINE):
        path, _, query = target.partition("?")
        if not path.startswith(("/", "{WS}")) or path.startswith("/blob/"):
            continue
        if method == "POST" and path.endswith("/jobs"):
            path = "{scoring}/jobs"
        version = re.search(r"(?:^|&)api-version=([^&]*)", query)
        found.add(template(method, path, version[1] if version else ""))
    return found
