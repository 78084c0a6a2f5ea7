"""The workflows give nothing to those who must not have it, pin what they use, and end after our own deadlines."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.endpoint import StackDeployment
from components.smoke_job import SmokeJobSettings
from providers import checks, schema
from providers.kind import AzureArgs
from stacks.short_lived import main, short_lived
from stacks.stack_file import document, stack_files

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
PINNED = re.compile(r"uses: (\./\S+|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def read(file: Path) -> dict[str, Any]:
    found: dict[Any, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    found["on"] = found.pop(True)  # YAML 1.1 takes `on` for true
    return found


def jobs(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from read(file)["jobs"].items()


def reached_by_forks(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Jobs that a pull request of a fork starts."""
    if "pull_request" in read(file)["on"]:
        yield from ((name, job) for name, job in jobs(file) if SAME_REPOSITORY not in str(job.get("if", "")))


def test_there_are_workflows_for_each_of_the_daily_uses() -> None:
    assert [file.stem for file in FILES] == ["checks", "deploy", "drift", "preview", "stack", "try"]


@every_file
def test_a_fork_gets_no_secret_no_identity_and_no_right_to_write(file: Path) -> None:
    for name, job in reached_by_forks(file):
        granted = job.get("permissions", read(file).get("permissions"))
        assert granted == {"contents": "read"}, name
        assert "secrets" not in str(job), name
        assert "environment" not in job, name
        assert "uses" not in job, name


def test_forks_do_get_a_preview_on_the_lab() -> None:
    preview = ROOT / ".github" / "workflows" / "preview.yml"

    assert [name for name, _ in reached_by_forks(preview)] == ["lab"]


@every_file
def test_nothing_runs_the_code_of_a_fork_with_the_rights_of_this_repository(file: Path) -> None:
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(read(file)["on"])


@every_file
def test_no_secret_is_stored(file: Path) -> None:
    assert not re.search(r"\bsecrets\s*[.\[]|secrets:\s*inherit", file.read_text(encoding="utf-8"))


@every_file
def test_every_action_is_pinned_to_a_commit_whose_version_stands_beside_it(file: Path) -> None:
    lines = [line.strip().removeprefix("- ") for line in file.read_text(encoding="utf-8").splitlines()]
    used = [line for line in lines if line.startswith("uses:")]

    assert [line for line in used if not PINNED.fullmatch(line)] == []
    assert len({line for line in used if "/checkout@" in line}) <= 1


@every_file
def test_rights_are_given_job_by_job_and_are_few(file: Path) -> None:
    assert read(file)["permissions"] in ({}, {"contents": "read"})
    for name, job in jobs(file):
        allowed = {"contents": "read", "id-token": "write"}
        granted = job.get("permissions", {})
        writes = {right for right, level in granted.items() if allowed.get(right) != level}
        assert writes <= ({"pull-requests"} if name == "comment" else set()), name


@every_file
def test_every_job_ends_and_leaves_no_token_in_the_checkout(file: Path) -> None:
    for name, job in jobs(file):
        assert "uses" in job or job["timeout-minutes"] <= 360, name
        for step in job.get("steps", []):
            if "checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False, name


@every_file
def test_no_script_is_made_of_what_others_wrote(file: Path) -> None:
    """A branch's name with a semicolon in it must stay a name: scripts get values by the environment."""
    scripts = [step["run"] for _, job in jobs(file) for step in job.get("steps", []) if "run" in step]

    assert [script for script in scripts if "${{" in script] == []


def test_what_posts_comments_runs_no_code_of_the_pull_request() -> None:
    job = dict(jobs(ROOT / ".github" / "workflows" / "preview.yml"))["comment"]

    assert not [step for step in job["steps"] if "checkout@" in step.get("uses", "")]
    assert job["permissions"] == {"pull-requests": "write"}


def test_a_run_ends_by_its_own_deadlines_before_the_runner_ends_it() -> None:
    """Endpoint, deployment and default one after the other, before them compute and environment, and the smoke job.

    After them the retired deployment, which waits for the jobs that still run on it.
    """
    operation = checks.seconds(str(schema.properties(AzureArgs)["deadline"].default))
    smoke = checks.seconds(str(schema.properties(SmokeJobSettings)["deadline"].default))
    drain = checks.seconds(str(schema.properties(StackDeployment)["drain"].default))
    job = dict(jobs(ROOT / ".github" / "workflows" / "stack.yml"))["run"]

    assert 4 * operation + smoke + drain < job["timeout-minutes"] * 60


def test_runs_on_one_stack_wait_for_each_other_and_are_never_cut_off() -> None:
    job = dict(jobs(ROOT / ".github" / "workflows" / "stack.yml"))["run"]

    assert job["concurrency"] == {"group": "stack-${{ inputs.stack }}", "cancel-in-progress": False}


def test_what_is_merged_goes_to_dev_then_staging_then_prod_each_behind_its_environment() -> None:
    order = [(name, job.get("needs"), job["with"]) for name, job in jobs(ROOT / ".github" / "workflows" / "deploy.yml")]

    assert order == [
        (stack, before, {"stack": stack, "verb": "up", "environment": stack})
        for stack, before in (("dev", None), ("staging", "dev"), ("prod", "staging"))
    ]


def test_the_drift_check_can_change_nothing() -> None:
    drift = dict(jobs(ROOT / ".github" / "workflows" / "drift.yml"))["drift"]
    steps = dict(jobs(ROOT / ".github" / "workflows" / "stack.yml"))["run"]["steps"]

    assert (drift["with"]["verb"], drift["with"]["environment"]) == ("drift", "preview")
    assert [step["run"].split()[:2] for step in steps if step.get("if") == "inputs.verb == 'drift'"] == [
        ["make", "drift"]
    ]


def test_the_end_of_a_pull_request_looks_for_what_no_state_knows_whether_there_is_a_stack_or_not() -> None:
    steps = dict(jobs(ROOT / ".github" / "workflows" / "stack.yml"))["run"]["steps"]
    (script,) = [step["run"] for step in steps if step.get("if") == "inputs.verb == 'end'"]

    assert script.rstrip().splitlines()[-1] == '.venv/bin/python -m stacks leftovers "$STACK"'


def test_actionlint_has_nothing_to_say() -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go, with which actionlint comes")
    built = subprocess.run([go, "run", ACTIONLINT, "-version"], cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        pytest.skip(f"actionlint cannot be had here: {built.stderr.strip().splitlines()[-1:]}")
    ran = subprocess.run([go, "run", ACTIONLINT], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


def test_a_short_lived_stack_has_names_of_its_own_and_all_else_of_dev() -> None:
    dev = document(stack_files()["dev"])
    dev["encryptedkey"] = "k"
    dev["config"]["batch-scoring:endpoint"].update(name="scores-of-everybody", protect=True)

    made = short_lived(dev, "pr-12")

    assert made["config"]["batch-scoring:compute"]["name"] == "cpu-dev-pr-12"
    assert made["config"]["batch-scoring:endpoint"]["name"] == "scores-of-everybody-pr-12"
    assert "protect" not in made["config"]["batch-scoring:endpoint"]
    assert "batch-scoring:keep_assets" in dev["config"]
    assert "batch-scoring:keep_assets" not in made["config"], "what it keeps nobody would delete"
    assert made["encryptedkey"] == "k", "its secrets are encrypted with dev's key"
    assert made["config"]["batch-scoring:deployments"] == dev["config"]["batch-scoring:deployments"]
    assert dev["config"]["batch-scoring:compute"]["name"] == "cpu-dev"


def test_a_short_lived_stack_of_several_has_names_of_its_own_for_each_that_has_one() -> None:
    theirs = {"id": "/subscriptions/s/computes/theirs"}
    long = {"name": "a-cluster-of-many"}
    config = {
        "batch-scoring:computes": {"cpu": {}, "one": long, "two": {"name": "a-cluster-of-more"}, "x": theirs},
        "batch-scoring:endpoints": {
            "daily": {"endpoint": {"name": "daily-of-everybody", "protect": True}, "deployments": {"blue": {}}},
            "nightly": {"deployments": {"blue": {"compute": "cpu"}}},
        },
    }

    made = short_lived({"config": config}, "pr-12")["config"]

    computes = {key: each.get("name") for key, each in made["batch-scoring:computes"].items()}
    assert computes == {
        "cpu": "cpu-pr-12",
        "one": "a-cluster-pr-12",
        "two": "a-cluster2-pr-12",
        "x": None,
    }
    assert made["batch-scoring:endpoints"] == {
        "daily": {"endpoint": {"name": "daily-of-everybody-pr-12"}, "deployments": {"blue": {}}},
        "nightly": {"deployments": {"blue": {"compute": "cpu"}}},
    }


def test_a_short_lived_stack_is_refused_with_the_stacks_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere", "pr-1"]) == 2
    assert "there is no stack nowhere; stacks here: dev, " in capsys.readouterr().err
    assert main(["dev", "lab"]) == 0, "a stack that has a file keeps it"
