"""The digits stack from nothing to nothing, on each engine, by the commands that a person types."""

import os
import re
import signal

from tests.lifecycle.checkout import Checkout

EMPTY: dict[str, list[str]] = {
    "endpoints": [],
    "deployments": [],
    "codes": [],
    "models": [],
    "environments": [],
    "data": [],
    "computes": [],
}


def deployment_names(checkout: Checkout) -> list[str]:
    return [each.rsplit("/", 1)[1] for each in checkout.status()["deployments"]]


def default_of(checkout: Checkout) -> str:
    return str(checkout.outputs()["default_deployment"])


def test_up_scores_real_images_and_destroy_leaves_nothing(checkout: Checkout) -> None:
    first = checkout.succeed("up")
    jobs = checkout.status()["jobs"]
    again = checkout.succeed("up")
    checkout.succeed("refresh")
    planned = checkout.preview()

    assert re.search(r"^digits: \d+ of 180 correct \(\d+\.\d %\)$", first, re.MULTILINE)
    assert "unchanged" in again
    assert checkout.status()["jobs"] == jobs, "a second up ran a job"
    assert len(jobs) == 1
    assert planned == {}

    checkout.configure(no_such_setting=1)  # destroy asks the state, and not the settings
    destroyed = checkout.succeed("destroy")
    left = checkout.status()

    assert "Traceback" not in destroyed

    assert {kind: left[kind] for kind in EMPTY} == EMPTY
    assert (left["blobs"]["uploads"], left["blobs"]["outputs"]) == (0, 0)


def test_new_content_is_a_new_deployment_and_bad_content_never_becomes_the_default(checkout: Checkout) -> None:
    checkout.succeed("up")
    old = default_of(checkout)

    checkout.edit("examples/digits/code/score.py", "def run(", "# a comment\ndef run(")
    planned = checkout.preview()
    checkout.succeed("up")
    new = default_of(checkout)

    kinds = sorted(f"{operation} {re.sub('-[0-9a-f]{8}$', '', name)}" for name, operation in planned.items())
    assert kinds == [
        "create BatchDeployment batch-scoring-b9ebd836-digits",
        "create BlobFolder digits-code",
        "create CodeVersion digits-code",
        "delete BatchDeployment batch-scoring-b9ebd836-digits",
        "delete BlobFolder digits-code",
        "delete CodeVersion digits-code",
        "update DefaultDeployment batch-scoring-b9ebd836-default",
        "update ScoringJob batch-scoring-b9ebd836-smoke",
    ]
    assert deployment_names(checkout) == [new]
    assert new != old

    checkout.edit("examples/digits/code/score.py", "# a comment\n", "raise LookupError('no such digit')\n")
    failed = checkout.run("up")

    assert failed.code != 0
    assert "LookupError: no such digit" in failed.said
    assert "-> docs/errors.md#job-failed" in failed.said
    assert re.search(r"score\.py\W+line \d+", failed.said)
    assert new in deployment_names(checkout)

    checkout.control("DELETE", "requests")
    checkout.edit("examples/digits/code/score.py", "raise LookupError('no such digit')\n", "# a comment\n")
    checkout.succeed("up")

    touched = {
        (each["method"], each["url"])
        for each in checkout.requests()
        if each["method"] in ("PUT", "DELETE", "PATCH") and new in each["url"]
    }
    assert touched == set(), "what was live was touched"
    assert deployment_names(checkout) == [new]
    assert default_of(checkout) == new


def test_settings_change_in_place_and_drift_is_repaired(checkout: Checkout) -> None:
    checkout.succeed("up")
    name = default_of(checkout)

    checkout.configure(deployments__digits__mini_batch_size=50)
    planned = checkout.preview()
    checkout.succeed("up")

    assert planned[f"BatchDeployment batch-scoring-b9ebd836-{name}"] == "update"
    assert default_of(checkout) == name
    assert checkout.preview() == {}


def test_up_goes_on_after_a_kill(checkout: Checkout) -> None:
    """kill -9 of everything of ours in the middle: the next plain `up` heals it."""
    with checkout.start("up") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "BatchDeployment" in line and "creating" in line:
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.stdout.read()

    healed = checkout.succeed("up")

    assert re.search(r"^digits: \d+ of 180 correct", healed, re.MULTILINE)
    assert len(deployment_names(checkout)) == 1
    assert len(checkout.status()["jobs"]) == 1
