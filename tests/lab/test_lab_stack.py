"""A lab stack is told by its subscription; every other one is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab import identity
from lab.errors import LabError
from lab.stack import check_stack, is_lab_stack, refuse_other_stack, stack_of

OTHER = "6f1b2a3c-0000-4000-8000-00000000abcd"


def _stack(folder: Path, name: str, config: dict[str, object]) -> Path:
    file = folder / "stacks" / f"Pulumi.{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"config": {"batch-scoring:subscription_id": identity.SUBSCRIPTION_ID}}, True),
        ({"config": {"x:subscription_id": identity.SUBSCRIPTION_ID.upper()}}, True),
        ({"config": {"x:subscription_id": OTHER}}, False),
        ({"config": {"x:subscription_id": identity.SUBSCRIPTION_ID, "y:subscription_id": OTHER}}, False),
        ({"config": {"x:subscription_id": {"secure": "v1:abc"}}}, False),
        ({"config": {"x:subscription_ids": identity.SUBSCRIPTION_ID}}, False),
        ({"config": None}, False),
        (None, False),
        (["config"], False),
    ],
)
def test_a_stack_is_the_labs_when_all_its_subscriptions_are(settings: object, expected: bool) -> None:
    assert is_lab_stack(settings) is expected


@pytest.mark.parametrize(
    ("command", "environ", "expected"),
    [
        (["pulumi", "up", "--stack", "dev"], {}, "dev"),
        (["pulumi", "up", "--stack=dev"], {}, "dev"),
        (["pulumi", "-s", "org/project/dev", "up"], {}, "dev"),
        (["pulumi", "up"], {"PULUMI_STACK": "prod"}, "prod"),
        (["pulumi", "up", "-s", "dev"], {"PULUMI_STACK": "prod"}, "dev"),
        (["pulumi", "up", "--stack"], {}, None),
        (["pulumi", "up"], {"PULUMI_STACK": ""}, None),
        (["make"], {}, None),
    ],
)
def test_a_commands_stack_is_what_it_says_else_the_environments(
    command: list[str], environ: dict[str, str], expected: str | None
) -> None:
    assert stack_of(command, environ) == expected


def test_a_command_about_another_stack_is_refused_in_one_sentence(tmp_path: Path) -> None:
    _stack(tmp_path, "prod", {"x:subscription_id": OTHER})
    with pytest.raises(LabError) as refused:
        refuse_other_stack(["pulumi", "up", "--stack", "prod"], {}, tmp_path)
    assert refused.value.exit_code == 4
    for word in ("stack prod", "stacks/Pulumi.prod.yaml", OTHER, identity.SUBSCRIPTION_ID):
        assert word in str(refused.value)


@pytest.mark.parametrize("name", ["lab", "missing", "unsaid"])
def test_a_lab_stack_or_one_without_subscription_passes(tmp_path: Path, name: str) -> None:
    _stack(tmp_path, "lab", {"x:subscription_id": identity.SUBSCRIPTION_ID})
    _stack(tmp_path, "unsaid", {"x:location": "eastus"})
    refuse_other_stack(["pulumi", "up", "--stack", name], {}, tmp_path)


def test_check_stack_says_yes_to_the_labs(tmp_path: Path) -> None:
    file = _stack(tmp_path, "lab", {"x:subscription_id": identity.SUBSCRIPTION_ID})
    assert check_stack(file) == "Pulumi.lab.yaml is a stack of the lab"


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"x:subscription_id": OTHER}, OTHER),
        ({"x:location": "a"}, "no subscription"),
        ({"x:subscription_id": {"secure": "v1:abc"}}, "an encrypted one"),
    ],
)
def test_check_stack_says_no_with_exit_4_and_what_it_found(
    tmp_path: Path, config: dict[str, object], names: str
) -> None:
    with pytest.raises(LabError, match=names) as refused:
        check_stack(_stack(tmp_path, "dev", config))
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("text", [None, "config: [", "\tx: 1"])
def test_a_missing_or_broken_stack_file_is_named_with_exit_2(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=r"Pulumi\.dev\.yaml") as refused:
        check_stack(file)
    assert refused.value.exit_code == 2


def test_a_key_that_stands_twice_is_refused_as_pulumi_does(tmp_path: Path) -> None:
    """The last one would be taken, and what the first one deployed be deleted without a word."""
    file = _stack(tmp_path, "lab", {"x:subscription_id": identity.SUBSCRIPTION_ID})
    file.write_text(file.read_text() + "  x:endpoints:\n    one: {}\n    two: {}\n    one: {}\n", encoding="utf-8")

    with pytest.raises(LabError, match="line 6, column 5: the key 'one' stands there already in line 4") as refused:
        check_stack(file)

    assert refused.value.exit_code == 2
