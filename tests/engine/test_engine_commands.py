"""The command line: outputs, the preview's digest, live messages, and refusals by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine import engines
from tests.engine.project_under_test import STACK, make_project, thing, wish


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "trial")


def test_stack_outputs_are_shown_with_secrets_hidden(project: Path) -> None:
    wish(project, exports={"size": 2, "key": {"secret": "hush"}, "text": "word"})
    engines.embedded(project, "up")
    shown = engines.embedded(project, "stack", "output", "--json").output
    assert json.loads(shown) == {"size": 2, "key": "[secret]", "text": "word"}
    assert json.loads(engines.embedded(project, "stack", "output", "--json", "--show-secrets").output)["key"] == "hush"
    assert engines.embedded(project, "stack", "output", "text").output == "word\n"
    assert engines.embedded(project, "stack", "output", "none").status == 1


def test_the_preview_digest_names_each_step_and_its_reasons(project: Path) -> None:
    wish(project, thing("a", fixed=1, size=1), thing("b"))
    engines.embedded(project, "up")
    wish(project, thing("a", fixed=2, size=1), thing("c"), says=["a word"])
    digest = json.loads(engines.embedded(project, "preview", "--json").output)
    assert digest.keys() == {"config", "steps", "diagnostics", "duration", "changeSummary"}
    steps = {step["urn"].rpartition("::")[2]: step for step in digest["steps"]}
    assert {name: step["op"] for name, step in steps.items()} == {
        "trial-lab": "same",
        "a": "replace",
        "c": "create",
        "b": "delete",
    }
    assert steps["a"]["replaceReasons"] == ["fixed"]
    assert (steps["a"]["oldState"]["inputs"]["fixed"], steps["a"]["newState"]["inputs"]["fixed"]) == (1, 2)
    assert digest["changeSummary"] == {"same": 1, "replace": 1, "create": 1, "delete": 1}
    assert any("a word" in item["message"] for item in digest["diagnostics"])


@pytest.mark.skipif(engines.pulumi_path() is None, reason="no pulumi CLI 3.260 on PATH to compare with")
def test_the_preview_digest_has_the_steps_of_the_cli(project: Path) -> None:
    wish(project, thing("a", fixed=1), thing("b", undecided=1, size=1), thing("d", size=1))
    engines.embedded(project, "up")
    wish(project, thing("a", fixed=2), thing("b", undecided=1, size=2), thing("d", size=2), thing("c"))
    mine = json.loads(engines.embedded(project, "preview", "--json").output)
    other = json.loads(engines.pulumi(project, "preview", "--json").output)

    def steps(digest: dict[str, list[dict[str, object]]]) -> list[str]:
        keys = ("urn", "op", "diffReasons", "replaceReasons", "detailedDiff")
        return sorted(json.dumps({key: step.get(key) for key in keys}) for step in digest["steps"])

    assert steps(mine) == steps(other)
    assert mine["config"] == other["config"]
    assert mine["changeSummary"] == other["changeSummary"]


def test_diff_shows_the_properties(project: Path) -> None:
    wish(project, thing("a", size=1, key={"secret": "hush"}))
    engines.embedded(project, "up")
    wish(project, thing("a", size=2, key={"secret": "other"}))
    output = engines.embedded(project, "preview", "--diff").output
    assert "~ size: 1 => 2" in output
    assert "hush" not in output


def test_prints_of_program_and_provider_reach_the_diagnostics(project: Path) -> None:
    wish(project, thing("a"), calls="print('hello from the program')")
    assert "    hello from the program" in engines.embedded(project, "up").output


def test_live_messages_are_shown_once_and_not_kept(project: Path) -> None:
    log = "[pulumi.log.info('phase 1', ephemeral=True) for _ in range(3)]"
    wish(project, calls=log)
    output = engines.embedded(project, "up").output
    assert output.count("phase 1") == 1
    assert "Diagnostics" not in output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["up", "--target", "x"], "--target"),
        (["up", "--policy-pack", "x"], "--policy-pack"),
        (["watch"], "watch"),
        (["stack", "rename"], "rename"),
        (["up", "--paral", "3"], "--paral"),
        (["up", "--parallel", "0"], "--parallel 0"),
    ],
)
def test_unknown_verbs_and_options_are_refused_by_name(project: Path, arguments: list[str], named: str) -> None:
    result = engines.embedded(project, *arguments)
    assert result.status == 2
    assert named in result.output


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("pulumi.StackReference('other')", "ReadResource"),
        ("Thing('t', {'name': 't'}, pulumi.ResourceOptions(import_='x'))", "import_"),
        ("Thing('t', {'name': 't'}, pulumi.ResourceOptions(hide_diffs=['x']))", "hide_diffs"),
        ("Thing('t', {'name': 't', 'file': pulumi.StringAsset('x')}, None)", "assets"),
        ("Thing('t', {'name': 't', 'file': pulumi.AssetArchive({})}, None)", "archives"),
        ("pulumi.runtime.invoke('nobody:index:f', {})", "pulumi-resource-nobody"),
        ("pulumi.runtime.register_stack_transform(lambda args: None)", "transforms"),
        ("Thing('t', {'name': 't'}, pulumi.ResourceOptions(replacement_trigger=1))", "replacement_trigger"),
        (
            "Thing('t', {'name': 't'}, pulumi.ResourceOptions(replace_with=[Thing('s', {'name': 's'}, None)]))",
            "ReplaceWith",
        ),
    ],
)
def test_what_programs_cannot_have_is_refused_by_name(project: Path, code: str, named: str) -> None:
    wish(project, calls=code)
    result = engines.embedded(project, "up")
    assert result.status == 1
    assert named in result.output


def test_other_stacks_than_a_labs_are_refused(project: Path) -> None:
    settings = project / f"Pulumi.{STACK}.yaml"
    settings.write_text(settings.read_text().replace("1ab00000", "2ab00000"))
    result = engines.embedded(project, "up")
    assert result.status == 1
    assert "serves lab stacks only" in result.output
    settings.write_text("config: {}\n")
    assert "it names none" in engines.embedded(project, "preview").output


def test_the_subscription_may_be_nested(project: Path) -> None:
    (project / f"Pulumi.{STACK}.yaml").write_text(
        "config:\n  trial:azure:\n    subscriptionId: 1ab00000-0000-4000-8000-000000000001\n"
    )
    assert engines.embedded(project, "up").status == 0


def test_a_stack_without_state_is_told(project: Path) -> None:
    for arguments in (["destroy"], ["refresh"], ["stack", "output"]):
        result = engines.embedded(project, *arguments)
        assert (result.status, f"no stack named '{STACK}' found" in result.output) == (6, True)


def test_stacks_are_listed(project: Path) -> None:
    assert engines.embedded(project, "stack", "ls").output == ""
    engines.embedded(project, "up")
    assert engines.embedded(project, "stack", "ls").output == f"{STACK}\n"
