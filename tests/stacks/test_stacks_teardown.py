"""What a destroy says that did not delete everything, and where the places of a stack are read."""

from pathlib import Path

import pytest

from providers import schema
from stacks import teardown
from stacks.engine import CannotRun
from stacks.settings import Settings
from stacks.state import State
from stacks.where import where


def resource(name: str, kind: str = "pulumi-python:dynamic/azureml:BatchEndpoint") -> dict[str, object]:
    return {"urn": f"urn::{name}", "type": kind, "custom": True, "id": f"/subscriptions/s/{name}"}


def test_what_is_left_is_named_by_id_with_what_failed_and_the_next_command() -> None:
    state = State({"resources": [resource("e"), resource("m"), resource("o", "pulumi-python:dynamic/azureml:Owner")]})

    said = list(teardown.still_there("dev", state, ["urn::e"]))

    assert said[0] == "of stack dev this is left, 2 of the state's resources:"
    assert said[1:3] == ["  /subscriptions/s/e  (failed, see above)", "  /subscriptions/s/m"]
    assert said[-1].startswith("next: mend what the errors name, then make destroy STACK=dev")


def test_many_are_counted_beyond_the_first() -> None:
    said = list(teardown.still_there("dev", State({"resources": [resource(f"r{i}") for i in range(25)]}), []))

    assert said[21] == "  and 5 more: .venv/bin/python -m stacks export dev --file PATH names them"


def test_a_state_without_anything_in_the_cloud_says_so() -> None:
    said = list(teardown.still_there("dev", State({"resources": [resource("s", "pulumi:pulumi:Stack")]}), []))

    assert said[0] == "of stack dev its state is left, and nothing in the cloud"
    assert list(teardown.still_there("dev", State({}), [])) == []


def test_what_is_protected_is_named_with_the_way_to_end_it() -> None:
    state = State({"resources": [resource("m"), {**resource("e"), "protect": True}]})

    said = teardown.about_protection("dev", state.protected)

    assert said.startswith("/subscriptions/s/e is protected; nothing was deleted.")
    assert "make up STACK=dev, then make destroy STACK=dev" in said
    assert "without its program, `pulumi state unprotect <urn>`" in said


def test_places_are_read_though_another_setting_is_wrong_and_have_the_defaults_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(
        "config:\n  batch-scoring:subscription_id: s\n  batch-scoring:resource_group: g\n  batch-scoring:workspace: w\n"
        "  batch-scoring:deployments: nonsense\n  batch-scoring:foundation: {tenant_id: t}\n",
        encoding="utf-8",
    )

    found = where("dev", file)

    assert found.workspace_id.endswith("/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w")
    assert (found.prefix, found.foundation) == ("batch-scoring/dev/", True)
    declared = schema.properties(Settings)
    for name in ("cloud", "datastore", "api_version", "shared_key", "keep_assets"):
        assert getattr(found, name) == declared[name].default


@pytest.mark.parametrize(
    ("text", "said"), [("config: {}\n", "has no subscription_id, "), ("config: [", "cannot be read")]
)
def test_a_file_that_does_not_say_where_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(CannotRun, match=said):
        where("dev", file)
