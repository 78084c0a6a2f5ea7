"""What one stack has tested is written into the file of another one, and nothing else of that file changes."""

from typing import Any

import pytest
import yaml

from stacks.promotion import CannotPromote, Passed, passed, promoted, refuse_elsewhere, refuse_what_would_vanish
from stacks.state import State

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ENDPOINT = f"{WS}/batchEndpoints/e"
CODE, MODEL = f"{WS}/codes/staging-digits-1/versions/1", f"{WS}/models/digits-2/versions/1"
ENVIRONMENT = f"{WS}/environments/digits/versions/3"
FOUND = Passed("batch-scoring", "digits", "digits-abc", "batchjob-1", CODE, "score.py", MODEL, ENVIRONMENT)
FILE = """# What everybody calls.
config:
  batch-scoring:workspace: w  # shared
  batch-scoring:deployments:
    other:
      model: somewhere
    # The one that counts.
    digits:
      code: examples/digits/code  # the script
      scoring_script: score.py
      # Trained in May.
      model: examples/digits/model
      environment:
        image: an/image  # base
        conda_file: examples/digits/conda.yml

      # Small ones: images are large.
      mini_batch_size: 25
  batch-scoring:default: digits
"""
PROMOTED = f"""# What everybody calls.
config:
  batch-scoring:workspace: w  # shared
  batch-scoring:deployments:
    other:
      model: somewhere
    # The one that counts.
    digits:
      code: {CODE}  # the script
      scoring_script: score.py
      # Trained in May.
      model: {MODEL}
      environment:
        id: {ENVIRONMENT}

      # Small ones: images are large.
      mini_batch_size: 25
  batch-scoring:default: digits
"""


def own(kind: str, id_: str = "", **outputs: Any) -> dict[str, Any]:
    return {"type": f"pulumi-python:dynamic/azureml:{kind}", "id": id_, "outputs": outputs}


def state(**changes: Any) -> dict[str, Any]:
    """A stack that was tested; `ScoringJob={...}` changes outputs of a kind, `ScoringJob=None` takes it away."""
    made_of = {
        "code_configuration": {"code_id": CODE, "scoring_script": "score.py"},
        "model": {"reference_type": "Id", "asset_id": MODEL},
        "environment_id": ENVIRONMENT,
    }
    kinds: dict[str, dict[str, Any]] = {
        "BatchDeployment": {"deployment_name": "digits-abc", "endpoint_id": ENDPOINT, **made_of},
        "DefaultDeployment": {"deployment_name": "digits-abc", "endpoint_id": ENDPOINT},
        "ScoringJob": {
            "deployment_name": "digits-abc",
            "endpoint_id": ENDPOINT,
            "verdict": "passed",
            "job_name": "batchjob-1",
        },
    }
    stack = {
        "type": "pulumi:pulumi:Stack",
        "outputs": {"deployments": {"digits": f"{ENDPOINT}/deployments/digits-abc"}},
    }
    resources = [stack, {"type": "azure-native:x:EnvironmentVersion", "id": ENVIRONMENT, "retainOnDelete": True}]
    for kind, told in kinds.items():
        change = changes.get(kind, {})
        if change is not None:
            resources.append(own(kind, **{**told, **change}))
    return {"deployment": {"resources": resources}}


def test_only_what_names_an_asset_changes() -> None:
    once = promoted(FILE, "digits", FOUND)

    assert once == PROMOTED
    assert promoted(once, "digits", FOUND) == once, "the second time changes nothing"


def test_what_a_deployment_lacked_comes_and_what_was_not_tested_goes() -> None:
    text = "config:\n  batch-scoring:deployments:\n    digits:\n      model_reference: {path: x}\n      code: here\n"

    after = promoted(text, "digits", Passed("batch-scoring", "digits", "d", "j", None, None, MODEL, None))

    assert yaml.safe_load(after)["config"]["batch-scoring:deployments"] == {"digits": {"model": MODEL}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: {}\n", "no deployment 'digits'"),
        ("config:\n  batch-scoring:deployments:\n    other:\n      model: x\n", "no deployment 'digits'"),
        ("config:\n  batch-scoring:deployments:\n    digits: {model: x}\n", "must be written line by line"),
    ],
)
def test_a_file_that_cannot_be_promoted_to_is_refused(text: str, said: str) -> None:
    with pytest.raises(CannotPromote, match=said):
        promoted(text, "digits", FOUND)


def test_what_was_tested_is_read_from_the_state() -> None:
    assert passed("staging", State(state()["deployment"])) == [FOUND]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DefaultDeployment": None}, "has no default deployment"),
        ({"BatchDeployment": None}, "not one of its deployments"),
        ({"ScoringJob": None}, "stack staging: no smoke job has passed"),
        ({"ScoringJob": {"verdict": "failed"}}, "stack staging: no smoke job has passed"),
        ({"ScoringJob": {"deployment_name": "digits-old"}}, "stack staging: no smoke job has passed"),
        ({"ScoringJob": {"endpoint_id": f"{WS}/batchEndpoints/other"}}, "stack staging: no smoke job has passed"),
        ({"BatchDeployment": {"unfinished": "operation-failed"}}, "did not end well"),
    ],
    ids=["nothing", "a stranger's default", "no job", "failed", "on an older one", "on another endpoint", "broken off"],
)
def test_what_no_job_has_passed_on_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CannotPromote, match=said):
        passed("staging", State(state(**changes)["deployment"]))


def test_a_job_that_is_on_its_way_out_counts_no_more() -> None:
    document = state()
    document["deployment"]["resources"][-1]["delete"] = True

    with pytest.raises(CannotPromote, match="no smoke job"):
        passed("staging", State(document["deployment"]))


def test_an_asset_that_its_stack_would_delete_is_refused() -> None:
    document = state()
    refuse_what_would_vanish("staging", State(document["deployment"]), FOUND)
    document["deployment"]["resources"].append(own("CodeVersion", CODE.replace("resourceGroups", "resourcegroups")))

    with pytest.raises(CannotPromote, match=r"Set `batch-scoring:keep_assets: true`"):
        refuse_what_would_vanish("staging", State(document["deployment"]), FOUND)


@pytest.mark.parametrize(
    ("environment", "workspace", "fits"),
    [
        (ENVIRONMENT, WS, True),
        (ENVIRONMENT, WS.upper(), True),
        ("azureml://registries/r/environments/e/versions/1", WS, True),
        (ENVIRONMENT, f"{WS}2", False),
    ],
    ids=["the same workspace", "in capitals", "a registry", "another workspace"],
)
def test_a_workspace_takes_its_own_assets_and_a_registrys(environment: str, workspace: str, fits: bool) -> None:
    found = Passed("batch-scoring", "digits", "d", "j", None, None, None, environment)

    if fits:
        refuse_elsewhere(found, workspace, "prod")
    else:
        with pytest.raises(CannotPromote, match="lies in another workspace than stack prod's"):
            refuse_elsewhere(found, workspace, "prod")


def two_endpoints() -> dict[str, Any]:
    """State of a stack with a second endpoint, whose deployment has the same name."""
    document = state()
    stack, *resources = document["deployment"]["resources"]
    other = [
        {**each, "outputs": {**each["outputs"], "endpoint_id": f"{WS}/batchEndpoints/n", "job_name": "batchjob-2"}}
        for each in resources
        if "endpoint_id" in each.get("outputs", {})
    ]
    told = {
        "batch-scoring": {"endpoint_id": ENDPOINT, **stack["outputs"]},
        "nightly": {"endpoint_id": f"{WS}/batchEndpoints/n", "deployments": {"blue": "x/deployments/digits-abc"}},
    }
    outputs = {**stack["outputs"], "endpoints": told}
    return {"deployment": {"resources": [{**stack, "outputs": outputs}, *resources, *other]}}


NIGHTLY = Passed("nightly", "blue", "digits-abc", "batchjob-2", CODE, "score.py", MODEL, ENVIRONMENT)


def test_of_several_endpoints_all_are_promoted_or_the_one_that_is_named() -> None:
    assert passed("staging", State(two_endpoints()["deployment"])) == [FOUND, NIGHTLY]
    assert passed("staging", State(two_endpoints()["deployment"]), "nightly") == [NIGHTLY]
    with pytest.raises(CannotPromote, match="has no endpoint 'daily'; it has batch-scoring, nightly"):
        passed("staging", State(two_endpoints()["deployment"]), "daily")


def test_an_endpoint_on_which_no_job_has_passed_keeps_all_from_being_promoted() -> None:
    document = two_endpoints()
    document["deployment"]["resources"][-1]["outputs"]["verdict"] = "failed"

    with pytest.raises(CannotPromote, match="stack staging, endpoint nightly: no smoke job has passed on its default"):
        passed("staging", State(document["deployment"]))
    assert passed("staging", State(document["deployment"]), "batch-scoring") == [FOUND]


SEVERAL = """config:
  batch-scoring:endpoints:
    batch-scoring:
      deployments:
        digits:
          model: here  # ours
    nightly:
      deployments:
        # By night.
        blue:
          model: there
          compute: spare
"""


def test_each_is_promoted_to_the_endpoint_of_the_same_name() -> None:
    after = promoted(promoted(SEVERAL, "digits", Passed(*FOUND_MODEL)), "blue", Passed("nightly", *FOUND_MODEL[1:]))

    assert after == SEVERAL.replace(" here", f" {MODEL}").replace(" there", f" {MODEL}")
    with pytest.raises(CannotPromote, match="has no endpoint 'daily' to promote to"):
        promoted(SEVERAL, "blue", Passed("daily", *FOUND_MODEL[1:]))


FOUND_MODEL = ("batch-scoring", "digits", "digits-abc", "batchjob-1", None, None, MODEL, None)


def test_the_only_endpoint_of_one_file_is_the_one_of_the_projects_name_in_another() -> None:
    found = Passed(*FOUND_MODEL)

    assert promoted(SEVERAL, "digits", found) == SEVERAL.replace(" here", f" {MODEL}")
    assert f"model: {MODEL}" in promoted(FILE, "digits", found)
