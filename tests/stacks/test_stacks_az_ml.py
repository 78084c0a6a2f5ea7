"""The files of `az ml` as a stack file: what is taken over, what is said of the rest."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.batch_deployment import RetrySettings
from providers.schema import Failure
from stacks import checking, from_az_ml
from stacks.az_ml import Conversion, Description, convert
from stacks.normal_form import normal_form
from stacks.settings import Settings, from_config
from stacks.stack_file import configuration

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "az-ml"
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
DEPLOYMENT = {"name": "blue", "endpoint_name": "scores", "model": "azureml:mnist:3", "compute": "azureml:cpu"}


def converted(*files: dict[str, Any]) -> Conversion:
    return convert([Description(f"ml/{number}.yml", says) for number, says in enumerate(files)], WORKSPACE)


def deployment(**says: Any) -> Any:
    """What becomes of one deployment with these properties."""
    found = converted({**DEPLOYMENT, **says})
    assert found.failures == []
    return found.settings["deployments"]["blue"]


def failures(*files: dict[str, Any]) -> list[str]:
    return [str(each) for each in converted(*files).failures]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the example's files and what they name, and no stack yet."""
    for each in ("code", "model"):
        shutil.copytree(ROOT / "examples/digits" / each, tmp_path / "examples/digits" / each)
    shutil.copy(ROOT / "examples/digits/conda.yml", tmp_path / "examples/digits")
    shutil.copytree(EXAMPLE, tmp_path / "examples/az-ml")
    (tmp_path / "stacks").mkdir()
    return tmp_path


def run(project: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.chdir(project)
    files = [str(each) for each in sorted((project / "examples/az-ml").glob("*.yml"))]
    return from_az_ml.main(["trial", *files, *options], project)


def settings(project: Path) -> Settings:
    return checking.settings_of(project / "stacks" / "Pulumi.trial.yaml")


def test_the_example_becomes_a_stack_that_can_be_deployed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(project, monkeypatch, "--lab") == 0

    found = settings(project)
    parts = normal_form(found, "p")
    (endpoint,), (compute,) = parts.endpoints.values(), parts.computes.values()
    assert (found.workspace, endpoint.endpoint.name, endpoint.default) == ("lab", "digits-az-ml", "digits")
    assert (compute.name, compute.vm_priority, compute.max_node_count) == (
        "cpu-cluster",
        "LowPriority",
        2,
    )
    digits = endpoint.deployments["digits"]
    assert (digits.code, digits.model, digits.scoring_script) == (
        "examples/digits/code",
        "examples/digits/model",
        "score.py",
    )
    assert digits.environment
    assert digits.environment.conda_file == "examples/digits/conda.yml"
    assert (digits.mini_batch_size, digits.error_threshold, digits.output_action) == (25, 0, "AppendRow")
    assert isinstance(digits.retry_settings, RetrySettings)
    assert digits.retry_settings.timeout == "PT30S"
    assert digits.environment_variables == {"OMP_NUM_THREADS": "1"}


def test_the_place_is_set_by_options(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = {"--subscription-id": "1" * 8, "--resource-group": "group", "--workspace": "ml", "--location": "westus"}

    assert run(project, monkeypatch, *(word for pair in place.items() for word in pair)) == 0

    found = settings(project)
    assert [found.subscription_id, found.resource_group, found.workspace, found.location] == list(place.values())


def test_a_stack_file_is_never_written_over(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "stacks/Pulumi.trial.yaml").write_text("config: {}\n")

    assert run(project, monkeypatch, "--lab") == 2

    assert "stacks/Pulumi.trial.yaml is there" in capsys.readouterr().err
    assert (project / "stacks/Pulumi.trial.yaml").read_text() == "config: {}\n"


def test_what_cannot_be_taken_over_is_said_and_stands_in_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "examples/az-ml/deployment.yml"
    file.write_text(file.read_text() + "job_definition: azureml:a-job\n")

    assert run(project, monkeypatch, "--lab") == 1

    said = "examples/az-ml/deployment.yml: job_definition: has no counterpart here"
    assert said in capsys.readouterr().err
    assert f"# Not taken over: {said}\n" in (project / "stacks/Pulumi.trial.yaml").read_text()


@pytest.mark.parametrize("content", ["a: [", "- a list", ""], ids=["no YAML", "a list", "nothing"])
def test_a_file_that_cannot_be_read_leaves_everything_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (project / "examples/az-ml/endpoint.yml").write_text(content)

    assert run(project, monkeypatch, "--lab") == 2

    assert "endpoint.yml" in capsys.readouterr().err
    assert list((project / "stacks").iterdir()) == []


def test_registered_assets_get_the_ids_of_their_workspace() -> None:
    found = deployment(environment="azureml:sklearn:12")

    assert found["model"] == f"{WORKSPACE}/models/mnist/versions/3"
    assert found["environment"] == {"id": f"{WORKSPACE}/environments/sklearn/versions/12"}
    assert converted(DEPLOYMENT).settings["compute"] == {"id": f"{WORKSPACE}/computes/cpu"}


@pytest.mark.parametrize("asset", ["azureml://registries/azureml/models/mnist/versions/3", f"{WORKSPACE}/models/m/1"])
def test_whole_ids_stay_as_they_are(asset: str) -> None:
    assert deployment(model=asset)["model"] == asset


@pytest.mark.parametrize("label", ["azureml:mnist@latest", "azureml:mnist", "mnist"])
def test_a_label_is_no_version(label: str) -> None:
    assert failures({**DEPLOYMENT, "model": label}) == [
        f"ml/0.yml: model: must name a version, {label.removeprefix('azureml:')}:<version>: "
        f"what a label means may change, got {label!r}"
    ]


def test_a_model_in_a_datastore_is_a_reference() -> None:
    found = deployment(model={"path": "azureml://datastores/blobs/paths/models/1"})

    assert found["model_reference"] == {
        "reference_type": "DataPath",
        "datastore_id": f"{WORKSPACE}/datastores/blobs",
        "path": "models/1",
    }


def test_paths_are_seen_from_the_project() -> None:
    found = deployment(
        model={"path": "../models/m", "type": "mlflow_model"},
        code_configuration={"code": "src", "scoring_script": "score.py"},
        environment={"image": "i", "conda_file": "./env/conda.yml"},
    )

    assert (found["model"], found["model_type"], found["code"]) == ("models/m", "mlflow_model", "ml/src")
    assert found["environment"]["conda_file"] == "ml/env/conda.yml"


def test_assets_that_other_files_describe_are_found_by_name_and_by_path() -> None:
    environment = {"$schema": ".../environment.schema.json", "name": "sklearn", "version": 2, "image": "i"}
    for named in ("azureml:sklearn:2", "file:1.yml"):
        found = converted({**DEPLOYMENT, "environment": named}, environment)

        assert found.settings["deployments"]["blue"]["environment"] == {"image": "i"}
        assert [each.property for each in found.remarks] == [
            "ml/1.yml: environment.name",
            "ml/1.yml: environment.version",
        ]
    other = converted({**DEPLOYMENT, "environment": "azureml:sklearn:1"}, environment)
    assert other.settings["deployments"]["blue"]["environment"] == {
        "id": f"{WORKSPACE}/environments/sklearn/versions/1"
    }


def test_settings_stand_below_settings_or_beside_them() -> None:
    values = {"mini_batch_size": 7, "logging_level": "debug", "retry_settings": {"max_retries": 1, "timeout": 90}}

    assert deployment(**values) == deployment(settings=values)
    assert deployment(**values)["retry_settings"] == {"max_retries": 1, "timeout": "90s"}


def test_a_cluster_with_everything() -> None:
    found = converted(
        {
            "name": "cpu",
            "type": "amlcompute",
            "size": "STANDARD_DS3_v2",
            "tier": "low_priority",
            "max_instances": 4,
            "idle_time_before_scale_down": 300,
            "network_settings": {"subnet": "/subscriptions/s/subnets/a"},
            "identity": {"type": "user_assigned", "user_assigned_identities": [{"resource_id": "/subscriptions/s/i"}]},
            "ssh_public_access_enabled": False,
        },
        DEPLOYMENT,
    )

    assert found.failures == []
    assert found.settings["compute"] == {
        "name": "cpu",
        "vm_size": "STANDARD_DS3_v2",
        "vm_priority": "LowPriority",
        "max_node_count": 4,
        "node_idle_time_before_scale_down": "300s",
        "subnet_id": "/subscriptions/s/subnets/a",
        "identity_type": "UserAssigned",
        "user_assigned_identities": ["/subscriptions/s/i"],
        "remote_login_port_public_access": "Disabled",
    }
    assert "compute" not in found.settings["deployments"]["blue"], "it is the stack's own"


def test_an_endpoint_names_its_default() -> None:
    endpoint = {
        "$schema": ".../batchEndpoint.schema.json",
        "name": "scores",
        "auth_mode": "aad_token",
        "identity": {"type": "system_assigned"},
        "defaults": {"deployment_name": "green"},
    }
    found = converted(endpoint, DEPLOYMENT, {**DEPLOYMENT, "name": "green"})

    assert found.settings["endpoint"] == {"name": "scores", "identity": {"type": "SystemAssigned"}}
    assert found.settings["default"] == "green"


def test_several_endpoints_and_clusters_are_taken_by_name() -> None:
    scores, nightly = ({"name": name, "auth_mode": "aad_token"} for name in ("scores", "nightly"))
    cpu, spare = ({"name": name, "size": "STANDARD_DS3_v2"} for name in ("cpu", "spare"))
    green = {**DEPLOYMENT, "name": "green", "endpoint_name": "nightly", "compute": "azureml:spare"}

    found = converted(scores, nightly, cpu, spare, DEPLOYMENT, green, {**DEPLOYMENT, "name": "red", "compute": "other"})

    assert found.failures == []
    model = f"{WORKSPACE}/models/mnist/versions/3"
    assert found.settings == {
        "computes": {
            "cpu": {"name": "cpu", "vm_size": "STANDARD_DS3_v2"},
            "spare": {"name": "spare", "vm_size": "STANDARD_DS3_v2"},
        },
        "endpoints": {
            "scores": {
                "endpoint": {"name": "scores"},
                "deployments": {
                    "blue": {"model": model, "compute": "cpu"},
                    "red": {"model": model, "compute": f"{WORKSPACE}/computes/other"},
                },
            },
            "nightly": {
                "endpoint": {"name": "nightly"},
                "default": "green",
                "deployments": {"green": {"model": model, "compute": "spare"}},
            },
        },
    }
    place = {"subscription_id": "s", "resource_group": "g", "workspace": "w", "location": "eastus"}
    document = {"config": {f"batch-scoring:{name}": value for name, value in {**place, **found.settings}.items()}}
    assert set(from_config("batch-scoring", configuration(document)).endpoints or ()) == {"scores", "nightly"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([{"name": "x"}], "ml/0.yml: describes none of"),
        ([{"image": "i"}], "files: name no batch deployment: give at least one"),
        ([DEPLOYMENT, {"name": "b", "auth_mode": "aad_token"}], "files: name no deployment of endpoint b"),
        ([DEPLOYMENT, DEPLOYMENT], "ml/1.yml: name: is 'blue', as another file's of its kind"),
        ([DEPLOYMENT, {"name": "c", "size": "s"}, {"name": "c", "size": "t"}], "ml/2.yml: name: is 'c', as another"),
        ([DEPLOYMENT, {"name": "a", "auth_mode": "key"}], "ml/1.yml: auth_mode: must be aad_token"),
        ([{**DEPLOYMENT, "type": "pipeline"}], "ml/0.yml: type: must be model"),
        ([{**DEPLOYMENT, "settings": "fast"}], "ml/0.yml: settings: must be a mapping"),
        ([{**DEPLOYMENT, "settings": {"speed": 1}}], "ml/0.yml: settings.speed: has no counterpart here"),
        ([{**DEPLOYMENT, "environment": {"build": {"path": "."}}}], "ml/0.yml: environment.build: has no counterpart"),
        ([{**DEPLOYMENT, "environment": {"conda_file": {"name": "x"}}}], "ml/0.yml: environment: has its conda file"),
        ([{**DEPLOYMENT, "environment": "file:other.yml"}], "ml/0.yml: environment: is described in ml/other.yml"),
        ([{**DEPLOYMENT, "model": {"path": "azureml://jobs/j/outputs/o"}}], "ml/0.yml: model: lies at"),
        ([DEPLOYMENT, {"size": "s", "network_settings": {"subnet": "a"}}], "ml/1.yml: network_settings: must name"),
        ([DEPLOYMENT, {"size": "s", "type": "kubernetes"}], "ml/1.yml: type: must be amlcompute, got 'kubernetes'"),
    ],
)
def test_what_cannot_be_is_named_with_its_file_and_property(files: list[dict[str, Any]], said: str) -> None:
    assert [each for each in failures(*files) if each.startswith(said)]


def test_what_show_writes_besides_says_nothing() -> None:
    assert deployment(id="/subscriptions/s", provisioning_state="Succeeded", creation_context={}) == deployment()


def test_a_failure_is_no_remark() -> None:
    found = converted({**DEPLOYMENT, "model": {"path": "m", "name": "mnist"}})

    assert found.failures == []
    assert found.remarks == [Failure("ml/0.yml: model.name", "a model is named by its content here")]


def test_the_example_is_of_the_kinds_that_its_schemas_say() -> None:
    kinds = {each.stem: Description(each.name, yaml.safe_load(each.read_text())).kind for each in EXAMPLE.glob("*.yml")}

    assert kinds == {"compute": "amlCompute", "endpoint": "batchEndpoint", "deployment": "batchDeployment"}
