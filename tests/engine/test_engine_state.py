"""The state file: every save on the way is a valid checkpoint; it moves both ways; secrets stay secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.engine import state
from lab.engine.backend import Backend
from tests.engine import engines
from tests.engine.project_under_test import PROJECT, STACK, cloud, group, make_project, thing, wish


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "trial")


@pytest.fixture
def saves(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every deployment that is written, in order."""
    seen: list[dict[str, Any]] = []
    save = Backend.save

    def record(backend: Backend, stack: str, deployment: Any) -> None:
        seen.append(json.loads(json.dumps(deployment)))
        save(backend, stack, deployment)

    monkeypatch.setattr(Backend, "save", record)
    return seen


def test_every_prefix_of_the_journal_is_a_valid_snapshot(project: Path, saves: list[dict[str, Any]]) -> None:
    first = [thing("a", fixed=1, first=1), thing("b", fixed={"of": "a.made"}), group("g"), thing("c", {"parent": "g"})]
    wish(project, *first, thing("d", {"deleted_with": "b", "depends_on": ["c"]}, size={"of": "b.twice"}))
    engines.embedded(project, "up")
    wish(project, *[thing("a", fixed=2, first=1), *first[1:]], thing("e", fixed={"of": "b.made"}))
    engines.embedded(project, "up")
    (project / "cloud" / "a.json").unlink()
    engines.embedded(project, "refresh")
    engines.embedded(project, "up", "--refresh")
    engines.embedded(project, "destroy")
    assert len(saves) > 40
    for saved in saves:
        state.verify(saved)


def test_every_call_is_announced_before_it_is_made(project: Path, saves: list[dict[str, Any]]) -> None:
    wish(project, thing("a"))
    engines.embedded(project, "up")
    announced = [[item["type"] for item in saved.get("pending_operations", [])] for saved in saves]
    names = [{record["urn"].rpartition("::")[2] for record in saved.get("resources", [])} for saved in saves]
    position = next(index for index, found in enumerate(names) if "a" in found)
    assert announced[position - 1] == ["creating"]
    assert announced[-1] == []


def test_export_and_import_move_a_stack(project: Path, tmp_path: Path) -> None:
    wish(project, thing("a", key={"secret": "hush"}))
    engines.embedded(project, "up")
    before = engines.resources(project)
    engines.embedded(project, "stack", "export", "--file", str(tmp_path / "moved.json"))
    (project / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json").unlink()
    assert engines.embedded(project, "stack", "import", "--file", str(tmp_path / "moved.json")).status == 0
    assert engines.resources(project) == before
    assert "2 unchanged" in engines.embedded(project, "up").output


def test_an_export_shows_secrets_only_when_asked(project: Path) -> None:
    wish(project, thing("a", key={"secret": "hush"}))
    engines.embedded(project, "up")
    assert "hush" not in engines.embedded(project, "stack", "export").output
    shown = engines.embedded(project, "stack", "export", "--show-secrets").output
    assert '"plaintext": "\\"hush\\""' in shown
    (project / "shown.json").write_text(shown)
    engines.embedded(project, "stack", "import", "--file", "shown.json")
    assert "hush" not in (project / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json").read_text()


def test_an_unchanged_secret_keeps_its_ciphertext(project: Path) -> None:
    wish(project, thing("a", key={"secret": "hush"}))
    engines.embedded(project, "up")
    engines.embedded(project, "refresh")
    before = engines.deployment(project)["resources"]
    exported = json.loads(engines.embedded(project, "stack", "export").output)["deployment"]["resources"]
    assert [item.get("inputs") for item in exported] == [item.get("inputs") for item in before]


def test_a_wrong_passphrase_is_refused_before_anything_happens(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wish(project, thing("a", key={"secret": "hush"}))
    engines.embedded(project, "up")
    monkeypatch.setattr(engines, "PHRASE", "another")  # what the environment says from now on
    result = engines.embedded(project, "destroy")
    assert (result.status, "incorrect passphrase" in result.output) == (2, True)
    assert set(cloud(project)) == {"a"}


def test_a_damaged_state_is_refused(project: Path) -> None:
    engines.embedded(project, "up")
    path = project / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json"
    path.write_text(path.read_text().replace('"magic":"', '"magic":"0'))
    result = engines.embedded(project, "up")
    assert (result.status, "snapshot integrity failure" in result.output) == (1, True)


def test_state_with_features_of_others_is_refused_by_name(project: Path) -> None:
    wish(project, thing("a"))
    engines.embedded(project, "up")
    path = project / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json"
    path.write_text(path.read_text().replace('"custom":true,', '"custom":true,"taint":true,', 1))
    result = engines.embedded(project, "up")
    assert "the state uses taint" in result.output


@pytest.mark.parametrize("braces", [False, True])
def test_the_salt_goes_into_a_given_settings_file(tmp_path: Path, braces: bool) -> None:
    project, settings = make_project(tmp_path / "trial", salted=False), tmp_path / "settings.yaml"
    content = (project / f"Pulumi.{STACK}.yaml").read_text()
    settings.write_text(json.dumps(yaml.safe_load(content)) if braces else content)
    wish(project, thing("a"))
    assert engines.embedded(project, "up", "--config-file", str(settings)).status == 0
    salt = engines.deployment(project)["secrets_providers"]["state"]["salt"]
    assert f"encryptionsalt: {salt}" in settings.read_text()
    assert "encryptionsalt" not in (project / f"Pulumi.{STACK}.yaml").read_text()
    assert "2 unchanged" in engines.embedded(project, "up", "--config-file", str(settings)).output


@pytest.mark.skipif(engines.pulumi_path() is None, reason="no pulumi CLI 3.260 on PATH to compare with")
def test_both_engines_take_turns_on_one_state(project: Path) -> None:
    wish(project, thing("a", key={"secret": 1}), thing("b", size={"of": "a.twice"}))
    assert engines.embedded(project, "up").status == 0
    assert "3 unchanged" in engines.pulumi(project, "up").output
    wish(project, thing("a", key={"secret": 2}), thing("b", size={"of": "a.twice"}))
    assert engines.pulumi(project, "up").status == 0
    assert "3 unchanged" in engines.embedded(project, "up").output
    assert "3 unchanged" in engines.embedded(project, "refresh").output
    assert "3 deleted" in engines.pulumi(project, "destroy").output
    assert engines.embedded(project, "up").status == 0
    assert "3 deleted" in engines.embedded(project, "destroy").output


@pytest.mark.skipif(engines.pulumi_path() is None, reason="no pulumi CLI 3.260 on PATH to compare with")
def test_secrets_of_the_cli_in_settings_are_read(project: Path) -> None:
    engines.pulumi(project, "config", "set", "--secret", "token", "hush")
    engines.pulumi(project, "config", "set", "--secret", "--path", "deep.list[0]", "hidden")
    wish(
        project, thing("a", key={"config": "token"}), calls="pulumi.export('deep', pulumi.Config().get_secret('deep'))"
    )
    assert engines.embedded(project, "up").status == 0
    assert cloud(project)["a"]["key"] == "hush"
    assert engines.embedded(project, "stack", "output", "deep").output == '{"list":["hidden"]}\n'
    text = (project / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json").read_text()
    assert "hidden" not in text
