"""What the program asks for: which resources another setting makes anew, and which it leaves as they are."""

import copy
from pathlib import Path
from typing import Any

import pytest

from policy.resource import Resource
from tests.components.test_components_clouds import loop  # noqa: F401 - a fixture
from tests.policy.program import registered, settings_of

ROOT = Path(__file__).resolve().parents[2]
OWN = "pulumi-python:dynamic/azureml:"

pytestmark = pytest.mark.usefixtures("loop")


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def stack(**changes: Any) -> dict[str, Resource]:
    """Kind -> the resource, of the lab's stack with other settings; `smoke_job__max_files=1` reaches inside."""
    settings = copy.deepcopy(settings_of("lab", ROOT))
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = settings
        for each in parents:
            target = target[each]
        target[last] = value
    return {each.type.removeprefix(OWN): each for each in registered("lab", settings, ROOT)}


@pytest.mark.parametrize("kind", ["BatchEndpoint", "BatchDeployment", "ScoringJob", "DefaultDeployment"])
def test_under_another_endpoint_name_all_of_it_is_another_resource(kind: str) -> None:
    """A replacement would delete what serves before the new one is there."""
    before, after = stack()[kind], stack(endpoint__name="digits-for-all")[kind]

    assert before.name != after.name
    assert "digits-for-all" in after.name


def test_each_endpoint_has_a_place_of_its_own_for_smoke_jobs() -> None:
    before, after = stack(), stack(endpoint__name="digits-for-all")

    assert before["ScoringJob"].at("output_uri") != after["ScoringJob"].at("output_uri")
    for found in (before, after):
        root = found["ScoringJob"].at("output_uri")
        assert found["BatchEndpoint"].at("jobs_uri") == root
        deployed = found["BatchDeployment"].at("deployment_name")
        assert found["BatchDeployment"].at("jobs_uri") == f"{root}/{deployed}"


@pytest.mark.parametrize(
    "changes",
    [
        {"deployments__digits__mini_batch_size": 5},
        {"deployments__digits__error_threshold": 3},
        {"deployments__digits__environment_variables": {"A": "1"}},
        {"smoke_job__instance_count": 2},
        {"smoke_job__allowed_failures": 2},
        {"smoke_job__input": "examples/digits/images/0000-label-0.png"},
        {"deployments__digits__scoring_script": "train.py", "deployments__digits__code": "examples/digits"},
    ],
    ids=lambda changes: next(iter(changes)).rpartition("__")[2],
)
def test_what_a_job_runs_is_in_its_key(changes: dict[str, Any]) -> None:
    assert stack()["ScoringJob"].at("key") != stack(**changes)["ScoringJob"].at("key")


@pytest.mark.parametrize(
    "changes",
    [
        {"deployments__digits__description": "other"},
        {"deployments__digits__tags": {"team": "red"}},
        {"deployments__digits__drain": "0s"},
        {"smoke_job__expected_rows": 180},
        {"smoke_job__expected_columns": ["file", "label", "score"]},
        {"smoke_job__check_script": None},
        {"smoke_job__deadline": "3h"},
        {"smoke_job__max_files": 500},
        {"smoke_job__on_rollback": "skip"},
        {"tags": {"team": "red"}},
    ],
    ids=lambda changes: next(iter(changes)).rpartition("__")[2],
)
def test_what_a_job_does_not_run_is_not(changes: dict[str, Any]) -> None:
    assert stack()["ScoringJob"].at("key") == stack(**changes)["ScoringJob"].at("key")


def test_under_a_fixed_name_other_content_is_another_job() -> None:
    """The deployment's name says nothing of its content then."""
    fixed = {"deployments__digits__fixed_name": True}
    other = {**fixed, "deployments__digits__model": "examples/digits/code"}

    one, two = stack(**fixed)["ScoringJob"], stack(**other)["ScoringJob"]

    assert one.at("deployment_name") == two.at("deployment_name") == "digits"
    assert one.at("key") != two.at("key")
    assert one.at("subject") != two.at("subject")


def test_a_job_is_bounded_and_told_what_it_reads() -> None:
    job = stack(deployments__digits__resources={"instance_count": 20})["ScoringJob"]

    assert {name: job.at(name) for name in ("files", "max_files", "instance_count", "allowed_failures")} == {
        "files": 180,
        "max_files": 1000,
        "instance_count": 1,
        "allowed_failures": 0,
    }


def test_a_single_local_file_is_read_as_one() -> None:
    assert stack(smoke_job__input="examples/digits/images/0000-label-0.png")["ScoringJob"].at("input_type") == "UriFile"
