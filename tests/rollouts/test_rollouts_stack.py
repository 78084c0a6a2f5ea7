"""A gated rollout of a whole stack, on each engine: what is bad never serves, and nobody is ever sent nowhere."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.lifecycle.checkout import engines
from tests.rollouts.switching import (
    ENDLESS,
    GOOD,
    RAISES,
    TOO_FEW,
    WRONG,
    Callers,
    RolloutCheckout,
    answered_by_others,
    wrong_moments,
)

pytestmark = pytest.mark.xdist_group("rollouts")


@pytest.fixture(scope="module", params=engines())
def checkout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutCheckout]:
    """One lab and one stack for all of this file, once per engine."""
    made = RolloutCheckout(tmp_path_factory.mktemp("rollouts"), request.param)
    try:
        made.prepare()
        yield made
    finally:
        made.lab.stop()


def test_what_is_bad_never_becomes_the_default_and_what_is_mended_does(checkout: RolloutCheckout) -> None:
    serving, before = checkout.deployed(), checkout.smoke_jobs()

    said = []
    for script in (RAISES, TOO_FEW, WRONG):
        checkout.script(script)
        failed = checkout.run("up")
        assert failed.code != 0, failed
        assert checkout.default == serving
        said.append(failed.said)
    checkout.script(GOOD)
    checkout.succeed("up")

    assert re.search(r"LookupError: no such digit.*score\.py, line \d+", said[0])
    assert "-> docs/errors.md#job-failed" in said[0]
    assert re.search(r"wrote 1 rows where 2 are expected|its check small/check.py refused", said[1])
    assert "these are no names of images: ['nonsense', 'nonsense']" in said[2]
    assert "-> docs/errors.md#predictions-refused" in said[2]
    requests = checkout.requests()
    assert [each["method"] for each in requests if serving in each["url"] and each["method"] != "GET"] == ["PUT"]
    assert [each.rpartition("/")[2] for each in checkout.status()["deployments"]] == [serving]
    assert [status for _, status in checkout.smoke_jobs()[len(before) :]] == ["Failed", "Completed", "Completed"]
    assert wrong_moments(requests, checkout.endpoint["name"]) == []


def test_a_hundred_calls_during_a_switch_are_answered_by_who_was_the_default(checkout: RolloutCheckout) -> None:
    old, name = checkout.deployed(), checkout.endpoint["name"]
    # The PUT that switches takes a second; from then on no job gets a node, so that the calls cost nothing.
    slow = {"match": {"method": "PUT", "path": r"/batchEndpoints/[^/]+\?"}, "action": "delay", "seconds": 1}
    checkout.control("PUT", "faults", [slow])
    callers, done = Callers(checkout), threading.Event()
    calling = threading.Thread(target=callers.until, args=(done, 100))

    checkout.script(f"{GOOD}# newer\n")
    with checkout.start("up") as process:
        while process.poll() is None and checkout.control("GET", "faults")["faults"][0]["times"]:
            threading.Event().wait(0.05)
        checkout.control("PUT", "settings", {"provisioning_seconds": 3600})
        calling.start()
        said, _ = process.communicate(timeout=200)
    done.set()
    calling.join()
    callers.close()
    checkout.control("PUT", "settings", {"provisioning_seconds": 0})

    new, requests = checkout.default, checkout.requests()
    assert process.returncode == 0, said
    assert len(callers.answers) >= 100
    assert {status for status, _ in callers.answers} == {201}
    assert [who for _, who in callers.answers] == sorted((who for _, who in callers.answers), key=[old, new].index)
    assert {who for _, who in callers.answers} == {old, new}
    assert wrong_moments(requests, name) == []
    assert answered_by_others(requests, callers.answers) == []


def test_the_default_goes_back_without_another_job(checkout: RolloutCheckout) -> None:
    blue = {"code": "small/code", "scoring_script": "score.py", "model": "small/model", **_SETTINGS}
    (checkout.folder / "small" / "other").mkdir(exist_ok=True)
    checkout.script(f"{GOOD}# another one\n", "small/other")
    first = checkout.deployed()
    checkout.configure(deployments={"small": blue, "other": {**blue, "code": "small/other"}})
    checkout.configure(default="other")
    checkout.succeed("up")
    second, jobs = checkout.default, checkout.smoke_jobs()
    checkout.configure(default="small")
    planned, plan = checkout.preview(), checkout.succeed("preview")
    checkout.succeed("up")

    assert [name.rpartition("-")[0] for name in (first, second, checkout.default)] == ["small", "other", "small"]
    assert jobs[-1] == ("other", "Completed")
    assert checkout.smoke_jobs() == jobs, "what passed before was run again"
    assert {each.split(" ")[0] for each in planned} == {"ScoringJob", "DefaultDeployment"}
    if checkout.engine == "embedded":
        assert f"no smoke job on {first}: it passed before" in plan
    assert checkout.preview() == {}


_SETTINGS = {
    "environment": {"image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04", "conda_file": "small/conda.yml"},
    "mini_batch_size": 1,
    "error_threshold": 0,
}


def test_destroy_cancels_the_job_of_a_run_that_was_killed(checkout: RolloutCheckout) -> None:
    """The engine never wrote into state that there is a job: it was killed while that was being created."""
    if checkout.status()["endpoints"]:
        checkout.succeed("destroy")
    checkout.script(ENDLESS)
    with checkout.start("up") as process:
        while process.poll() is None and ("small", "Running") not in checkout.smoke_jobs():
            threading.Event().wait(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    assert checkout.smoke_jobs()[-1] == ("small", "Running"), said

    checkout.succeed("destroy")

    assert checkout.smoke_jobs()[-1] == ("small", "Canceled")
    assert checkout.status()["blobs"]["outputs"] == 0
    assert checkout.status()["endpoints"] == []
