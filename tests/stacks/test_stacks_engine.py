"""Which engine runs a stack; the tests put a pretended `pulumi` on PATH."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import engine
from stacks.engine import CannotRun, choose
from stacks.summary import summary, table


@pytest.fixture
def with_pulumi(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "pulumi"
    program.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    program.chmod(0o755)
    return {"PATH": str(program.parent), "LAB_HOME": str(tmp_path / "lab")}


@pytest.fixture
def without_pulumi(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path), "LAB_HOME": str(tmp_path / "lab")}


@pytest.fixture
def prod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A stack whose subscription is not the lab's."""
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(
        "config:\n  batch-scoring:subscription_id: 11111111-2222-4333-8444-555555555555\n", encoding="utf-8"
    )
    monkeypatch.setattr(engine, "stack_file", lambda _: file)
    return "prod"


def test_a_pulumi_on_path_is_used(with_pulumi: dict[str, str]) -> None:
    chosen = choose("lab", with_pulumi)

    assert not chosen.embedded
    assert chosen.line.startswith("engine: pulumi (")


def test_without_one_a_lab_stack_runs_on_the_embedded_engine(without_pulumi: dict[str, str]) -> None:
    chosen = choose("lab", without_pulumi)

    assert chosen.embedded
    assert chosen.line.startswith("engine: embedded (no pulumi on PATH)")


def test_the_embedded_engine_can_be_forced(with_pulumi: dict[str, str]) -> None:
    assert choose("lab", {**with_pulumi, "ENGINE": "embedded"}).embedded


@pytest.mark.parametrize(
    ("forced", "reason"), [("pulumi", "there is no `pulumi` on PATH"), ("terraform", "must be pulumi or embedded")]
)
def test_what_cannot_be_forced_is_refused(without_pulumi: dict[str, str], forced: str, reason: str) -> None:
    with pytest.raises(CannotRun, match=reason):
        choose("lab", {**without_pulumi, "ENGINE": forced})


@pytest.mark.parametrize("forced", ["", "embedded"])
def test_another_stack_than_the_labs_needs_the_cli(without_pulumi: dict[str, str], prod: str, forced: str) -> None:
    with pytest.raises(CannotRun, match="embedded engine serves lab stacks only") as refused:
        choose(prod, {**without_pulumi, "ENGINE": forced})

    assert "it names 11111111-2222-4333-8444-555555555555, the lab's subscription is 1ab0" in str(refused.value)
    assert "batch-scoring:subscription_id" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it names no subscription"),
        ("config: [\n", "is no YAML, line 2, column 1: expected the node content"),
    ],
    ids=["empty", "no YAML"],
)
def test_a_stack_file_that_says_nothing_is_named_with_what_it_lacks(
    without_pulumi: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "Pulumi.lab.yaml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(engine, "stack_file", lambda _: file)

    with pytest.raises(CannotRun, match=said) as refused:
        choose("lab", without_pulumi)

    assert "Pulumi.lab.yaml" in str(refused.value)


def test_another_stack_runs_outside_the_lab(with_pulumi: dict[str, str], prod: str) -> None:
    chosen = choose(prod, with_pulumi)

    assert "lab" not in chosen.command
    assert dict(chosen.environment) == {**with_pulumi, "PULUMI_DEBUG_COMMANDS": "true"}


def test_a_lab_stack_keeps_passphrase_and_state_in_its_home(with_pulumi: dict[str, str]) -> None:
    chosen = choose("lab", {**with_pulumi, "PULUMI_ACCESS_TOKEN": "of another backend"})

    home = Path(with_pulumi["LAB_HOME"])
    assert (home / "passphrase").stat().st_mode & 0o777 == 0o600
    assert chosen.environment["PULUMI_BACKEND_URL"] == f"file://{home / 'pulumi'}"
    assert "PULUMI_ACCESS_TOKEN" not in chosen.environment


def test_the_salt_of_an_earlier_run_is_kept_beside_the_stack_file(with_pulumi: dict[str, str]) -> None:
    copy = Path(choose("lab", with_pulumi).options[1])
    copy.write_text(copy.read_text(encoding="utf-8") + "encryptionsalt: v1:salt\n", encoding="utf-8")

    choose("lab", with_pulumi)

    assert "encryptionsalt: v1:salt" in copy.read_text(encoding="utf-8")


@pytest.mark.parametrize(("holder", "left"), [("a process that ended", 0), ("this process", 1), ("another machine", 1)])
def test_only_locks_of_ended_runs_on_this_machine_are_released(
    with_pulumi: dict[str, str], holder: str, left: int
) -> None:
    chosen = choose("lab", with_pulumi)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    locks = Path(with_pulumi["LAB_HOME"], "pulumi", ".pulumi", "locks", "organization", "batch-scoring", "lab")
    locks.mkdir(parents=True)
    host = "elsewhere" if holder == "another machine" else socket.gethostname()
    pid = os.getpid() if holder == "this process" else ended.pid
    (locks / "1.json").write_text(json.dumps({"pid": pid, "hostname": host}), encoding="utf-8")

    released = engine.release_dead_locks(chosen, "lab")

    assert len(list(locks.iterdir())) == left
    assert len(released) == 1 - left


@pytest.mark.parametrize("text", [None, "config: [\n"], ids=["gone", "no YAML"])
def test_to_end_a_stack_what_the_last_run_kept_of_its_file_suffices(
    with_pulumi: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    choose("lab", with_pulumi)
    file = tmp_path / "stacks" / "Pulumi.lab.yaml"
    if text is not None:
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")

    def stack_file(stack: str) -> Path:
        if text is None:
            raise CannotRun(f"there is no {stack}")
        return file

    monkeypatch.setattr(engine, "stack_file", stack_file)

    with pytest.raises(CannotRun):
        choose("lab", with_pulumi)
    assert choose("lab", with_pulumi, ending=True).settings == Path(with_pulumi["LAB_HOME"], "project", file.name)


def test_without_pulumi_yaml_the_command_that_brings_it_back_is_named(
    with_pulumi: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = engine.stack_file("lab")
    monkeypatch.setattr(engine, "stack_file", lambda _: file)
    monkeypatch.setattr(engine, "why_not_lab", lambda _: "")
    monkeypatch.setattr(engine, "ROOT", tmp_path)

    with pytest.raises(CannotRun, match=r"`git checkout -- Pulumi\.yaml`"):
        choose("lab", with_pulumi)


def test_an_unknown_stack_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(CannotRun, match=r"no stacks/Pulumi\.nope\.yaml; stacks here: .*lab"):
        engine.stack_file("nope")


def test_the_summary_ends_with_what_the_check_said() -> None:
    job = {"job_name": "j", "status": "Completed", "rows": 2.0, "predictions": "azureml://p", "sample": "a 1\nb 2"}

    said = summary({"endpoint_name": "e", "smoke_job": {**job, "check": "digits: 2 of 2 correct"}}).splitlines()

    assert said[-1] == "digits: 2 of 2 correct"
    assert "smoke job     j Completed, 2 rows" in said


@pytest.mark.parametrize(
    ("sample", "rows"),
    [
        ("a 1 0.5\nlong 2 1.0", ["a     1  0.5", "long  2  1.0"]),
        ("a,1\nb", ["a,1", "b"]),
        ("a 1\nb", ["a 1", "b"]),
        ("", []),
    ],
)
def test_a_sample_is_set_in_columns_where_it_has_them(sample: str, rows: list[str]) -> None:
    assert table(sample) == rows
