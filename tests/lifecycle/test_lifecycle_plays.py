"""The product under every play of what is not known of the real service (docs/emulation.md).

Either the stack goes up, changes, and goes away as it does elsewhere, or it says in one sentence why it does not, and
what serves goes on serving. Plays that a stack of one deployment cannot tell apart are played together: each world has
one play of every question. No job is run here: how jobs fare is asked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from lab.emulator.plays import Plays
from tests.lifecycle.checkout import Checkout, Ran

pytestmark = pytest.mark.xdist_group("plays")  # one lab for all
SCRIPT = "examples/digits/code/score.py"
KINDS = ("endpoints", "deployments", "codes", "models", "environments", "data", "computes")
FAST = {"operation_seconds": 0.05, "compute_seconds": 0.05}

WORLDS: dict[str, dict[str, object]] = {
    "what is doubtful is refused": {
        "delete_default_deployment": "refuse",
        "default_names_nothing": "refuse",
        "invoke_without_default": "bad_request",
        "update_while_updating": "refuse",
        "duplicate_name": "bad_request",
        "changed_asset": "bad_request",
        "create_only_property": "refuse",
        "parent_error": "generic",
        "step_error": "exit_code",
        "azureml_core": "needed",
        "max_retries_counts": "tries",
        "row_order": "arrival",
        "delayed_listing": 3600.0,
        "retry_after": 1,
    },
    "what is doubtful is taken": {
        "delete_default_deployment": "keep",
        "default_names_nothing": "accept",
        "invoke_without_default": "not_found",
        "update_while_updating": "accept",
        "duplicate_name": "conflict",
        "changed_asset": "accept",
        "create_only_property": "accept",
        "parent_error": "child",
        "step_error": "reason",
        "azureml_core": "not_needed",
        "max_retries_counts": "retries",
        "row_order": "input",
    },
    "what is doubtful is silently otherwise": {
        "delete_default_deployment": "clear",
        "changed_asset": "conflict",
        "create_only_property": "ignore",
        "delayed_listing": 3600.0,
    },
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """One checkout and one lab for all plays; no smoke job."""
    checkout = Checkout(tmp_path_factory.mktemp("plays"), "embedded")
    checkout.configure(smoke_job=None)
    try:
        checkout.lab.start()
        yield checkout
    finally:
        checkout.lab.stop()


@pytest.fixture
def checkout(shared: Checkout) -> Iterator[Checkout]:
    """The lab with its usual plays, fast; whatever a test leaves is destroyed after it."""
    usual = {name: value for name, value in Plays().as_json().items() if name != "request_log"} | FAST
    script = (shared.folder / SCRIPT).read_text(encoding="utf-8")
    shared.control("PUT", "settings", usual)
    yield shared
    shared.control("PUT", "settings", usual)
    (shared.folder / SCRIPT).write_text(script, encoding="utf-8")
    if left(shared):
        shared.succeed("destroy")
    assert left(shared) == {}


def left(checkout: Checkout) -> dict[str, Any]:
    """What is in the lab, by kind, without kinds of which there is nothing."""
    status = checkout.status()
    return {kind: status[kind] for kind in KINDS if status[kind]}


def change_content(checkout: Checkout) -> None:
    checkout.edit(SCRIPT, "def run(", "# a comment\ndef run(")


def default_of(said: str) -> str:
    """The default deployment, as `up` says it last."""
    found = re.search(r"^default +(\S+)$", said, re.MULTILINE)
    assert found is not None, said
    return found[1]


def deployments(checkout: Checkout) -> list[str]:
    return [each.rpartition("/")[2] for each in checkout.status()["deployments"]]


def errors(ran: Ran) -> list[str]:
    """What a failed run says: for each resource that failed one sentence, and one that explains it."""
    assert ran.code != 0, ran
    assert "Traceback" not in ran.said, ran
    # Of what broke off in the midst and is recorded, the engine says so on a line before.
    return re.findall(r"^ *(?:error: resource init failed:\n *\* |error: )(.+\n *-> .+)$", ran.said, re.MULTILINE)


@pytest.mark.parametrize("world", WORLDS)
def test_content_changes_and_everything_goes_away(checkout: Checkout, world: str) -> None:
    checkout.control("PUT", "settings", WORLDS[world])

    old = default_of(checkout.succeed("up"))
    change_content(checkout)
    new = default_of(checkout.succeed("up"))
    served = deployments(checkout)
    checkout.succeed("destroy")

    assert old != new
    assert served == [new]
    assert left(checkout) == {}


def test_every_play_of_every_question_is_in_a_world() -> None:
    questions = {name: set(get_args(hint)) for name, hint in get_type_hints(Plays).items() if get_origin(hint)}

    played = {name: {world[name] for world in WORLDS.values() if name in world} for name in questions}

    assert played == {name: plays if name != "taken_names" else set() for name, plays in questions.items()} | {
        "taken_names": set()
    }


def test_an_endpoint_name_that_another_workspace_holds_is_said_with_what_to_do(checkout: Checkout) -> None:
    checkout.configure(endpoint__name="taken-elsewhere")
    said = []
    try:
        for play in ("conflict", "bad_request"):
            checkout.control("PUT", "settings", {"duplicate_name": play, "taken_names": ["taken-elsewhere"]})
            said.append(errors(checkout.run("up")))
        checkout.succeed("destroy")
    finally:
        checkout.configure(endpoint__name=None)

    for (each,) in said:
        assert "There is already an endpoint with this name" in each
        assert "endpoint.name" in each or "set another name" in each
    assert left(checkout) == {}


def test_a_workspace_that_is_not_there_is_said_and_nothing_is_touched(checkout: Checkout) -> None:
    """No play, but a mistake in the stack file that would replace whatever lies in the workspace, old one first."""
    default = default_of(checkout.succeed("up"))
    checkout.control("DELETE", "requests")
    checkout.configure(workspace="lap")
    try:
        said = checkout.run("up")
    finally:
        checkout.configure(workspace="lab")

    assert said.code != 0
    assert said.said.count("error:") == 2, said  # the one, and "update failed"
    assert "there is no workspace" in said.said
    assert "/workspaces/lap; nothing was changed" in said.said
    assert [each["url"] for each in checkout.requests() if each["method"] in ("PUT", "DELETE", "PATCH")] == []
    assert checkout.preview() == {}
    assert deployments(checkout) == [default]


def test_a_role_that_does_not_work_yet_is_said_with_what_to_do_and_the_next_up_heals(checkout: Checkout) -> None:
    checkout.control("PUT", "settings", {"role_assignment_seconds": 3600.0})

    said = errors(checkout.run("up"))
    checkout.control("PUT", "settings", {"role_assignment_seconds": 0.0})
    default = default_of(checkout.succeed("up"))

    assert said
    for each in said:
        assert "not authorized to perform this operation using this permission" in each
        assert "Storage Blob Data Contributor" in each
    assert deployments(checkout) == [default]


def test_the_name_of_a_deleted_asset_that_is_still_held_is_said_and_what_serves_is_untouched(
    checkout: Checkout,
) -> None:
    checkout.control("PUT", "settings", {"soft_delete_seconds": 3600.0})
    checkout.succeed("up")
    change_content(checkout)
    serving = default_of(checkout.succeed("up"))

    checkout.edit(SCRIPT, "# a comment\ndef run(", "def run(")
    said = errors(checkout.run("up"))

    assert len(said) == 1
    assert "its name is soft-deleted" in said[0]
    assert "wait until it is purged" in said[0]
    assert deployments(checkout) == [serving]
    checkout.succeed("destroy")
    assert left(checkout) == {}
