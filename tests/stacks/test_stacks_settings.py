"""A stack file becomes one typed object, or one message that names everything that is wrong in it."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.schema import InvalidSettings
from stacks.normal_form import normal_form
from stacks.settings import Settings, from_config, gather

ROOT = Path(__file__).resolve().parents[2]
LAB: dict[str, Any] = yaml.safe_load((ROOT / "stacks" / "Pulumi.lab.yaml").read_text(encoding="utf-8"))["config"]


def config(**changes: Any) -> dict[str, str]:
    """The lab's configuration as Pulumi hands it over, with some settings changed: `a__b=1` reaches inside."""
    values = copy.deepcopy(LAB)
    for path, value in changes.items():
        first, *rest = path.split("__")
        keys = [f"batch-scoring:{first}", *rest]
        target = values
        for key in keys[:-1]:
            target = target[key]
        if value is None:
            target.pop(keys[-1])
        else:
            target[keys[-1]] = value
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def settings(**changes: Any) -> Settings:
    return from_config("batch-scoring", config(**changes))


def failures(**changes: Any) -> list[str]:
    with pytest.raises(InvalidSettings) as refused:
        settings(**changes)
    return [str(failure) for failure in refused.value.failures]


def test_the_lab_stack_is_valid() -> None:
    found = normal_form(settings(), "batch-scoring")

    digits = found.endpoints["batch-scoring"].deployments["digits"]
    assert digits.mini_batch_size == 25
    assert digits.retry_settings.timeout == "PT30S"  # type: ignore[union-attr]
    assert found.computes["cpu"].name == "cpu"


def test_text_stays_text() -> None:
    assert settings(workspace=42).workspace == "42"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subscription_id": None}, "subscription_id: is required: Azure subscription."),
        ({"workspce": "x"}, "workspce: is not a setting; did you mean 'workspace'?"),
        ({"compute__vm_sise": "x"}, "compute.vm_sise: is not a setting; did you mean 'vm_size'?"),
        ({"compute__name": None}, "compute: must have `id` (an existing compute) or `name`"),
        ({"compute__max_node_count": 0}, "compute.max_node_count: must be at least 1, got 0"),
        ({"compute__min_node_count": 9}, "compute.min_node_count: must not be above `max_node_count`"),
        (
            {"deployments__digits__mini_batch_size": 2.5},
            "deployments.digits.mini_batch_size: must be a whole number, got 2.5",
        ),
        (
            {"deployments__digits__retry_settings": {"timeout": "soon"}},
            "deployments.digits.retry_settings.timeout: must be a duration such as PT30S or 30s, got 'soon'",
        ),
        (
            {"deployments__digits__environment__image": None},
            "deployments.digits.environment: must have `id` or `image`",
        ),
        ({"deployments__digits__model": None}, "deployments.digits.model: is required"),
        ({"deployments__digits__scoring_script": None}, "deployments.digits.scoring_script: goes with `code`"),
        ({"deployments__digits__environment": None}, "deployments.digits.environment: is required with `code`"),
        ({"deployments": {}}, "deployments: must not be empty"),
        (
            {"deployments__Digits": LAB["batch-scoring:deployments"]["digits"]},
            "deployments.Digits: cannot be told from deployments.digits: to Azure Digits is the same",
        ),
        ({"deployments": None}, "deployments: is required"),
        ({"default": "numbers"}, "default: must name one of the deployments (digits), got 'numbers'"),
        ({"default": None}, "smoke_job: gates the default deployment, so `default` must be set"),
        (
            {"smoke_job__input": "azureml:images:3"},
            "smoke_job.input: must be the ARM id of a data asset's version, /subscriptions/...",
        ),
        ({"smoke_job__input": "https://a.blob.core.windows.net/c/f?sig=abc"}, "smoke_job.input: must have no query"),
        (
            {"smoke_job__expected_columns": 2.5},
            "smoke_job.expected_columns: must be a whole number, or a list of names",
        ),
        ({"smoke_job__expected_columns": ["a", "a"]}, "smoke_job.expected_columns: must be a whole number, or a list"),
        ({"smoke_job__on_rollback": "maybe"}, "smoke_job.on_rollback: must be one of run, skip, got 'maybe'"),
        ({"smoke_job__instance_count": 0}, "smoke_job.instance_count: must be at least 1, got 0"),
        ({"deployments__digits__drain": "soon"}, "deployments.digits.drain: must be a duration such as PT30S or 30s"),
        ({"endpoint__name": "9to5"}, "endpoint.name: must have 3 to 32 characters"),
        ({"tags": {"team": ""}}, "tags: tag 'team' must have a value"),
        ({"cloud": "mars"}, "cloud: must be one of public, usgovernment, china, got 'mars'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_wrong_setting_is_named_by_its_full_path(changes: dict[str, Any], expected: str) -> None:
    found = failures(**changes)

    assert len(found) == 1
    assert found[0].startswith(expected)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = failures(workspace=None, compute__max_node_count=0, deployments__digits__logging_level="loud")

    assert sorted(failure.split(":")[0] for failure in found) == [
        "compute.max_node_count",
        "deployments.digits.logging_level",
        "workspace",
    ]


def test_a_deployments_name_leaves_room_for_its_hash() -> None:
    deployments = {"a-name-of-twenty-four-ch": LAB["batch-scoring:deployments"]["digits"]}

    found = failures(deployments=deployments, default="a-name-of-twenty-four-ch")

    assert found == [
        "deployments.a-name-of-twenty-four-ch: its name must have at most 23 characters (its hash follows)"
    ]


def test_local_folders_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    sources = gather(settings())

    assert sources.folders["examples/digits/images"].files == 180
    assert sources.folders["examples/digits/check.py"].is_file
    assert "numpy" in sources.texts["examples/digits/conda.yml"]


def test_missing_folders_and_broken_files_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    broken = tmp_path / "conda.yml"
    broken.write_text("- just\n- a list\n", encoding="utf-8")
    changes = {
        "deployments__digits__model": "examples/digits/modle",
        "deployments__digits__environment__conda_file": str(broken),
        "deployments__digits__scoring_script": "scoer.py",
    }

    with pytest.raises(InvalidSettings) as refused:
        gather(settings(**changes))

    found = [str(failure) for failure in refused.value.failures]
    assert found[0].startswith("deployments.digits.model: examples/digits/modle: no such folder or file")
    assert "must be a conda file" in found[1]
    assert found[2] == "deployments.digits.scoring_script: 'scoer.py' is not in examples/digits/code"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_files": 179}, "smoke_job.input: examples/digits/images has 180 files, more than `smoke_job.max_files`"),
        ({"input_type": "UriFile"}, "smoke_job.input_type: must be UriFolder: examples/digits/images is a folder"),
        ({"input": "examples/none"}, "smoke_job.input: examples/none: no such folder or file"),
        ({"check_script": "examples/none.py"}, "smoke_job.check_script: examples/none.py: no such folder or file"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_smoke_jobs_input_is_looked_at_before_anything_runs(
    changes: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)

    with pytest.raises(InvalidSettings) as refused:
        gather(settings(**{f"smoke_job__{name}": value for name, value in changes.items()}))

    assert str(refused.value.failures[0]).startswith(said)


@pytest.mark.parametrize("changes", [{"max_files": 0}, {"max_files": 180}, {"expected_columns": 3.0}])
def test_a_smoke_job_within_its_bounds_is_taken(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    gather(settings(**{f"smoke_job__{name}": value for name, value in changes.items()}))


def test_environment_variables_of_an_encrypted_setting_stay_secret() -> None:
    given = config(deployments__digits__environment_variables={"TOKEN": "s3cret"})

    async def read() -> Settings:  # outputs belong to an event loop, as programs have one
        return from_config("batch-scoring", given, frozenset({"batch-scoring:deployments"}))

    found = asyncio.run(read())

    assert "s3cret" not in repr(found)


def mlflow_failures(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    """Of the lab's stack with the model of this folder and no script, unless `changes` say otherwise."""
    monkeypatch.chdir(folder)
    (folder / "images").mkdir()
    (folder / "images" / "1.png").touch()
    deployment = {"model": "model", "model_type": "mlflow_model", **changes}
    try:
        gather(settings(deployments={"digits": deployment}, smoke_job={"input": "images"}))
    except InvalidSettings as refused:
        return [str(failure) for failure in refused.failures]
    return []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"MLmodel": "flavors: {python_function: {env: conda.yaml}}", "conda.yaml": "dependencies: []"}, []),
        ({"MLmodel": "flavors: {python_function: {}}"}, []),
        (
            {"weights.npz": ""},
            [
                "deployments.digits.model: model/MLmodel: no such file: an MLflow model is a folder with one, as "
                "MLflow's save_model writes it"
            ],
        ),
        (
            {"MLmodel": "flavors: {sklearn: {}, keras: {}}"},
            [
                "deployments.digits.model: model/MLmodel has no flavor python_function (it has sklearn, keras), the "
                "only one that is scored without a scoring script: save it with that one, or set `code`, "
                "`scoring_script` and `environment`"
            ],
        ),
        (
            {"MLmodel": "flavors: {python_function: {env: {conda: c.yaml, virtualenv: p.yaml}}}", "c.yaml": ""},
            [
                "deployments.digits.model: model/MLmodel names p.yaml as its environment, which is not in the folder",
            ],
        ),
        ({"MLmodel": "[]"}, ["deployments.digits.model: model/MLmodel has no `flavors`, so it describes no model"]),
        (
            {"MLmodel": "{"},
            [
                "deployments.digits.model: model/MLmodel cannot be read: while parsing a flow node expected the node "
                "content, but found '<stream end>' in \"<unicode string>\", line 1, column 2: { ^"
            ],
        ),
    ],
    ids=["whole", "without environment", "no MLmodel", "other flavors", "a file is missing", "a list", "no YAML"],
)
def test_an_mlflow_models_folder_must_be_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: list[str]
) -> None:
    (tmp_path / "model").mkdir()
    for name, text in files.items():
        (tmp_path / "model" / name).write_text(text, encoding="utf-8")

    assert mlflow_failures(tmp_path, monkeypatch) == expected


def test_an_mlflow_model_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").touch()

    assert mlflow_failures(tmp_path, monkeypatch) == [
        "deployments.digits.model: model is a file: an MLflow model is a folder, with a file MLmodel in it"
    ]


@pytest.mark.parametrize("mlmodel", [True, False])
def test_a_custom_model_needs_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlmodel: bool) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / ("MLmodel" if mlmodel else "weights")).touch()

    (found,) = mlflow_failures(tmp_path, monkeypatch, model_type="custom_model")

    assert found.startswith("deployments.digits.code: is required: a custom_model needs a scoring script, only")
    assert found.endswith("model has an MLmodel file: set `model_type: mlflow_model`") == mlmodel
