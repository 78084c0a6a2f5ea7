"""`python -m stacks check` and stacks/schema.json: what one learns of a stack file before anything runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stacks.checking import check
from stacks.engine import PROJECT
from stacks.json_schema import json_schema, text
from stacks.stack_file import configuration, document, stack_files

ROOT = Path(__file__).resolve().parents[2]
SCHEMA_LINE = "# yaml-language-server: $schema=schema.json\n"


def written(folder: Path, stack: str, config: dict[str, Any], **top: Any) -> Path:
    path = folder / f"Pulumi.{stack}.yaml"
    path.write_text(
        yaml.safe_dump({"config": {f"{PROJECT}:{key}": value for key, value in config.items()}, **top}),
        encoding="utf-8",
    )
    return path


def lab() -> dict[str, Any]:
    found = document(stack_files()["lab"])["config"]
    return {str(key).partition(":")[2]: value for key, value in found.items()}


def refusals(path: Path) -> list[str]:
    return [str(failure) for failure in check({"here": path})["here"]]


def test_the_schema_is_what_the_declarations_give() -> None:
    assert (ROOT / "stacks" / "schema.json").read_text(encoding="utf-8") == text(), (
        "run: python -m stacks.json_schema > stacks/schema.json"
    )


def test_the_project_is_the_one_that_pulumi_knows() -> None:
    assert yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["name"] == PROJECT


@pytest.mark.parametrize("stack", ["dev", "lab", "mlflow", "prod", "staging"])
def test_every_stack_file_fits_the_schema_and_names_it(stack: str) -> None:
    path = stack_files()[stack]

    jsonschema.validate(document(path), json_schema())
    assert path.read_text(encoding="utf-8").startswith(SCHEMA_LINE)


@pytest.mark.parametrize(
    "change",
    [
        {"workspce": "x"},
        {"compute": {"name": "cpu", "vm_sise": "x"}},
        {"compute": {"name": "cpu", "max_node_count": "many"}},
        {"compute": {"name": "cpu", "vm_priority": "Cheap"}},
        {"deployments": {"digits": {"mini_batch_size": 2.5}}},
        {"tags": {"team": 7}},
    ],
    ids=lambda change: str(next(iter(change.values()))),
)
def test_an_editor_marks_what_cannot_be(change: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path, "here", {**lab(), **change})

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document(path), json_schema())


def test_what_pulumi_itself_writes_fits(tmp_path: Path) -> None:
    config = lab()
    config["deployments"]["digits"]["environment_variables"] = {"TOKEN": {"secure": "v1:abc"}}
    path = written(tmp_path, "here", {**config, "workspace": 42}, encryptionsalt="v1:x", secretsprovider="passphrase")

    jsonschema.validate(document(path), json_schema())
    assert refusals(path) == []
    assert configuration(document(path))[f"{PROJECT}:workspace"] == "42"


def test_a_date_stays_the_text_that_pulumi_takes_it_for(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.here.yaml"
    path.write_text(f"config:\n  {PROJECT}:workspace: 2025-12-01\n", encoding="utf-8")

    assert configuration(document(path)) == {f"{PROJECT}:workspace": "2025-12-01"}


def test_everything_that_is_wrong_in_all_files_is_said_at_once(tmp_path: Path) -> None:
    bad = written(tmp_path, "bad", {**lab(), "compute": {"name": "cpu", "vm_sise": "x"}, "cloud": "mars"})
    broken = tmp_path / "Pulumi.broken.yaml"
    broken.write_text("config: [\n", encoding="utf-8")
    foreign = tmp_path / "Pulumi.foreign.yaml"
    foreign.write_text("confg: {}\nconfig:\n  batch-scorng:workspace: x\n  workspace: x\n", encoding="utf-8")
    missing = written(tmp_path, "missing", {**lab(), "smoke_job": {"input": "no/such/folder"}})

    found = check({path.name.split(".")[1]: path for path in (bad, broken, foreign, missing)})

    assert {stack: sorted(failure.property for failure in failures) for stack, failures in found.items()} == {
        "bad": ["cloud", "compute.vm_sise"],
        "broken": ["Pulumi.broken.yaml"],
        "foreign": ["batch-scorng:workspace", "confg", "workspace"],
        "missing": ["smoke_job.input"],
    }


def test_two_stacks_of_one_workspace_cannot_claim_one_name(tmp_path: Path) -> None:
    one = written(tmp_path, "one", {**lab(), "endpoint": {"name": "digits"}})
    two = written(tmp_path, "two", {**lab(), "endpoint": {"name": "Digits"}})
    other = written(tmp_path, "other", {**lab(), "workspace": "another", "endpoint": {"name": "digits"}})

    found = check({"one": one, "two": two, "other": other})

    assert found["one"] == found["other"] == []
    assert [str(failure) for failure in found["two"]] == [
        "compute.name: is 'cpu', as in stack one, which uses the same workspace",
        "endpoint.name: is 'Digits', as in stack one, which uses the same workspace",
    ]


def test_the_command_needs_neither_engine_nor_lab_nor_cloud() -> None:
    def run(*stacks: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stacks", "check", *stacks],
            cwd=ROOT,
            env={"PATH": "", "HTTPS_PROXY": "http://127.0.0.1:1", "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            check=False,
        )

    whole, unknown = run(), run("lab", "mars")

    assert whole.stdout == "5 stack files, nothing wrong: dev, lab, mlflow, prod, staging\n", whole
    assert whole.returncode == 0
    assert unknown.returncode == 2
    assert "there is no stack mars; stacks here: dev, lab, mlflow, prod, staging" in unknown.stderr
