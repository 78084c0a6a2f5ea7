"""A stack ends in every state that people leave one in: with nothing left, or with the names of what is, and why."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from lab.home import home_from
from tests.faults import other_python
from tests.faults.small_checkout import SmallCheckout
from tests.lifecycle.checkout import ROOT
from tests.teardown.ending import BY_HAND, FOUNDATION, LOCKED, MARKER, Ending

NOTHING = "nothing is left that carries the marker of stack lab"
BROKEN = "def broken(:\n"


@pytest.fixture(scope="session")
def another_python() -> Path:
    """A virtual environment of another Python with what the lab needs, kept beside the lab's installations."""
    interpreter = other_python.found(os.environ)
    if interpreter is None:
        pytest.skip("there is no other Python on this machine")
    lock = (ROOT / "requirements" / "lab.txt").stat()
    folder = home_from(os.environ).cache / "another-python" / f"{interpreter.resolve().name}-{lock.st_size}"
    if not (folder / ".whole").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            other_python.prepared(folder, interpreter)
        except AssertionError as without_network:
            pytest.skip(f"nothing can be installed for it: {without_network}")
        (folder / ".whole").touch()
    return folder


def test_a_clean_clone_with_another_python_and_a_broken_program_ends_it(
    stack: Ending, another_python: Path, tmp_path: Path
) -> None:
    """The state is all that the clone shares: no settings of an earlier run, no file that was uploaded."""
    stack.deployed()
    clone = SmallCheckout(tmp_path, stack.engine)
    clone.lab = stack.lab
    clone.use_python(another_python)
    shutil.rmtree(clone.folder / "small")
    shutil.rmtree(stack.lab.home / "project")
    for name in ("__main__.py", "components/batch_scoring.py", "components/assets.py"):
        (clone.folder / name).write_text(BROKEN, encoding="utf-8")

    said = clone.succeed("destroy")

    assert said.rstrip().endswith(NOTHING)
    assert stack.left() == {}


def test_whatever_happens_half_way_the_next_destroy_goes_on(stack: Ending, tmp_path: Path) -> None:
    """The service refuses, the machine goes down, program and stack file are deleted: then it ends."""
    stack.deployed()
    with stack.refusing("DELETE", r"/batchEndpoints/[^/]+\?", 409, LOCKED):
        refused = stack.run("destroy")
    there = stack.left()
    stack.control("PUT", "settings", {"operation_seconds": 3})
    killed = stack.stopped_at("destroy", "BatchEndpoint deleting", signal.SIGKILL)
    stack.control("PUT", "settings", {"operation_seconds": 0.05})
    clone = SmallCheckout(tmp_path, stack.engine)
    clone.lab = stack.lab
    for name in ("components", "examples", "small"):
        shutil.rmtree(clone.folder / name, ignore_errors=True)
    for name in ("__main__.py", "stacks/Pulumi.lab.yaml"):
        (clone.folder / name).unlink()

    ended = clone.succeed("destroy")

    assert refused.code != 0
    assert "docs/errors.md#locked" in refused.said
    assert f"{there['endpoints'][0]}  (failed, see above)" in refused.said
    for each in (*there["codes"], *there["models"], *there["environments"], *there["computes"]):
        assert f"  {each}\n" in refused.said
    assert "next: mend what the errors name, then make destroy STACK=lab" in refused.said
    assert killed.code < 0
    assert "which is no more: going on" in ended
    assert "going on with what the last run kept of it" in ended
    assert ended.rstrip().endswith(NOTHING)
    assert stack.left() == {}


def test_a_lock_of_a_run_elsewhere_is_told_with_the_command_that_releases_it(stack: Ending) -> None:
    """A CI job that timed out leaves its lock, and nobody here can know that it is no more."""
    stack.deployed()
    stack.locks.mkdir(parents=True, exist_ok=True)
    holder = {"pid": 4711, "username": "runner", "hostname": "runner-1", "timestamp": "2026-11-25T04:00:00+00:00"}
    (stack.locks / "4d3a.json").write_text(json.dumps(holder), encoding="utf-8")

    refused = {verb: stack.run(verb) for verb in ("up", "destroy")}
    deleting = stack.run("leftovers", "--delete")
    released = stack.run("cancel")

    for ran in (*refused.values(), deleting):
        assert ran.code != 0
        assert "stack lab is locked by runner on runner-1, process 4711" in ran.said
        assert "make cancel STACK=lab, then the same command again" in ran.said
    assert released.code == 0, released
    assert len(stack.left()["deployments"]) == 1
    assert not list(stack.locks.glob("*.json"))


def test_without_the_code_that_deletes_nothing_is_deleted_and_the_code_is_named(stack: Ending) -> None:
    stack.deployed()
    kind = stack.folder / "providers" / "kind.py"
    text = kind.read_text(encoding="utf-8")
    kind.write_text(BROKEN, encoding="utf-8")
    try:
        ran = stack.run("destroy")
    finally:
        kind.write_text(text, encoding="utf-8")

    assert ran.code != 0
    assert "-> this project's own code cannot be loaded (SyntaxError: invalid syntax)" in ran.said
    assert "git checkout -- providers stacks" in ran.said
    for kind_of, ids in stack.left().items():
        assert all(f"  {each}" in ran.said for each in ids if kind_of != "blobs"), ran
    assert "next: " in ran.said


def test_an_up_that_a_ci_ends_stops_in_order_and_one_that_is_killed_is_told_by_destroy(stack: Ending) -> None:
    """SIGTERM reaches the engine, which finishes what runs; what a kill cuts off is there, and in no state."""
    stack.ended()
    stack.control("PUT", "settings", {"compute_seconds": 2})
    ended = stack.stopped_at("up", "Compute creating", signal.SIGTERM, alone=True)
    in_order, held = stack.resources(), list(stack.locks.glob("*.json"))
    stack.settle()
    stack.succeed("destroy")
    stack.control("PUT", "settings", {"compute_seconds": 5})
    killed = stack.stopped_at("up", "Compute creating", signal.SIGKILL, there="computes")
    stack.control("PUT", "settings", {"compute_seconds": 0.05})

    destroyed = stack.run("destroy")
    said = stack.run("leftovers").said
    deleted = stack.run("leftovers", "--delete")
    stack.succeed("refresh", "--clear-pending-creates")

    assert ended.code not in (0, -signal.SIGTERM)
    assert held == []
    assert any(each["id"].endswith("/computes/cpu") for each in in_order if each.get("id"))
    assert killed.code < 0
    assert destroyed.code == 1
    assert "is empty, but not the cloud" in destroyed.said
    assert MARKER.search(destroyed.said.partition("next: ")[2]), destroyed
    assert "/computes/cpu" in destroyed.said.partition("not the cloud")[2]
    assert "python -m stacks take lab 'urn:pulumi:lab::batch-scoring::" in said
    assert deleted.code == 0, deleted
    assert 'make refresh STACK=lab ARGS="--clear-pending-creates"' in deleted.said
    assert stack.resources() == []
    assert stack.left() == {}


def test_what_a_lost_state_knew_is_found_by_its_marker_and_ended_when_that_is_named(stack: Ending) -> None:
    """Of a stack that built its workspace, too: groups, vaults that would only be hidden, roles that carry no tag."""
    stack.ended()
    with stack.configured(**FOUNDATION):
        stack.succeed("up")
        there, (marker,) = stack.left(), [each["id"] for each in stack.resources() if each["type"].endswith(":Owner")]
        code, none = stack.leftovers()
        stack.state_file.unlink()

        lost, found = stack.leftovers()
        unnamed, untouched = stack.leftovers("--delete")
        mistyped = stack.run("leftovers", "--delete", "--marker", f"{marker}0")
        named, gone = stack.leftovers("--delete", "--marker", marker)

    assert (code, none["left"], none["markers"]) == (0, [], [marker])
    assert (lost, unnamed, named) == (1, 1, 0)
    by_kind = {each["kind"]: each for each in found["left"]}
    for kind in ("endpoint", "deployment", "code", "model", "environment", "compute"):
        assert by_kind[kind]["id"] == there[f"{kind}s"][0]
        assert by_kind[kind]["next"].endswith(f"leftovers lab --delete --marker {marker}")
    assert {each["id"].lower() for each in found["left"]} >= {each.lower() for each in there["foundations"]}
    assert by_kind["outputs"]["marker"] == marker
    assert sorted(each["marker"] or "" for each in found["left"] if each["kind"] == "upload") == ["", marker, marker]
    reason = f"it may belong to {marker}, which is not to be deleted"
    assert [each.get("not_deleted") for each in untouched["left"] if not each["marker"]] == [reason]
    assert len(untouched["left"]) == len(found["left"])
    assert mistyped.code == 2
    assert f"nothing that is left carries {marker}0; nothing was deleted" in mistyped.said
    assert gone["left"] == []
    assert stack.left() == {}


def test_what_one_may_not_look_at_is_told_and_the_rest_is_looked_at(stack: Ending) -> None:
    body = {
        "error": {"code": "AuthorizationFailed", "message": "The client does not have authorization to perform it."}
    }
    with stack.refusing("GET", r"/computes\?|^/subscriptions/[^/]+/resources\?", 403, body):
        ran = stack.run("leftovers")

    assert ran.code == 2
    assert re.findall("could not look at (.*?): ", ran.said) == ["computes of lab"], (
        "of its group one may see resources"
    )
    assert "AuthorizationFailed" in ran.said
    assert "not everything could be looked at" in ran.said
    assert "-> " in ran.said


def test_a_workspace_that_somebody_deleted_by_hand_is_no_obstacle_and_its_blobs_go(stack: Ending) -> None:
    """It does not take its storage account along: uploads go by their urls, outputs are told with a command."""
    stack.ended()
    stack.by_hand("make")
    with stack.configured(workspace=BY_HAND):
        stack.succeed("up")
        stack.by_hand("delete")
        refreshed = stack.run("refresh")
        destroyed = stack.run("destroy")
        (command,) = re.findall(r"^next: \S+ -m stacks (leftovers lab .*)$", destroyed.said, re.MULTILINE)
        told = stack.left()
        cleared = stack.run("leftovers", *command.split()[2:])

    assert refreshed.code == 0, refreshed
    assert destroyed.code == 1, destroyed
    assert re.findall(r"^    (\w+)  https://\S+/batch-scoring/lab/(\w+)/", destroyed.said, re.MULTILINE) == [
        ("outputs", "smoke")
    ]
    assert set(told) == {"blobs"}
    assert cleared.code == 0, cleared
    assert stack.left() == {}
