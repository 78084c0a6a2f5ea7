"""What is retired: not what serves, and not under jobs that still need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from providers import schema
from providers.aml.refusal import Refusal
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind
from providers.ownership import TAG
from providers.schema import Bag
from tests.emulator.in_process_lab import WS
from tests.rollouts.gate_bench import ENDPOINT, SMOKE, GateBench, Stack

OWNER = "p/s/0123456789abcdef"
DEPLOYMENT = f"{ENDPOINT}/deployments/dep-1"


def deployment(**inputs: Any) -> Bag:
    given = {"endpoint_id": ENDPOINT, "deployment_name": "dep-1", "location": "eastus", "owner": OWNER}
    bag, failures = schema.check(BatchDeploymentKind.args, {**given, "api_version": "2025-12-01", **inputs})
    assert failures == []
    return bag


@pytest.fixture
def ours(bench: GateBench) -> Iterator[GateBench]:
    """Endpoint and deployments carry the stack's marker, and a job that somebody started runs on the first."""
    bench.lab.arm("PUT", "batchEndpoints/ept-1", {**_endpoint(), "tags": {TAG: OWNER}})
    bench.lab.advance()
    for name in ("dep-1", "dep-2"):
        body = bench.lab.arm("GET", f"batchEndpoints/ept-1/deployments/{name}").json()
        body["properties"].pop("provisioningState")
        put = {"location": "eastus", "tags": {TAG: OWNER}, "properties": body["properties"]}
        bench.lab.arm("PUT", f"batchEndpoints/ept-1/deployments/{name}", put)
        bench.lab.advance()
    bench.outcome = bench.runs_on
    yield bench


def _endpoint(default: str | None = None) -> dict[str, Any]:
    return {"location": "eastus", "properties": {"authMode": "AADToken", "defaults": {"deploymentName": default}}}


def there(bench: GateBench) -> bool:
    return bool(bench.lab.arm("GET", "batchEndpoints/ept-1/deployments/dep-1").status_code == 200)


def test_a_deployment_is_not_deleted_under_a_job_that_somebody_runs(ours: GateBench) -> None:
    ours.lab.invoke()

    with pytest.raises(Refusal, match=r"still running on it after 0.2s \(`drain`\): 1 job \(batchjob-"):
        BatchDeploymentKind().delete(DEPLOYMENT, deployment(drain="0.2s"))

    assert there(ours)
    assert ours.jobs() == [("dep-1", "Running")]


def test_it_is_deleted_as_soon_as_the_job_has_ended(ours: GateBench) -> None:
    ours.lab.invoke()
    ours.lab.advance(1.0)
    ours.lab.scripted.started[0].finish("Completed")

    BatchDeploymentKind().delete(DEPLOYMENT, deployment(drain="1m"))

    assert not there(ours)


@pytest.mark.parametrize("drain", [None, "0s"])
def test_where_nobody_is_to_be_waited_for_nobody_is_asked(ours: GateBench, drain: str | None) -> None:
    ours.lab.invoke()

    BatchDeploymentKind().delete(DEPLOYMENT, deployment(drain=drain))

    assert not there(ours)
    assert ours.jobs() == [("dep-1", "Running")], "a job outlives its deployment"


def test_jobs_on_other_deployments_are_nobodys_business(ours: GateBench) -> None:
    ours.lab.invoke()

    props = deployment(deployment_name="dep-2", drain="1m")
    BatchDeploymentKind().delete(f"{ENDPOINT}/deployments/dep-2", props)

    assert there(ours)


def test_a_list_of_jobs_that_cannot_be_read_keeps_the_deployment(ours: GateBench) -> None:
    fault = {"match": {"host": "api.azureml.ms", "path": "/jobs"}, "times": -1, "action": "reply", "status": 400}
    ours.lab.control("PUT", "faults", [fault])

    with pytest.raises(Refusal, match="cannot be known, so it is not deleted"):
        BatchDeploymentKind().delete(DEPLOYMENT, deployment(drain="1m"))

    assert there(ours)


@pytest.mark.parametrize("play", ["refuse", "clear", "keep"])
def test_what_the_endpoint_answers_with_is_never_deleted(ours: GateBench, play: str) -> None:
    """Somebody has moved the default back by hand; what the service would make of a DELETE is a play."""
    ours.lab.control("PUT", "settings", {"delete_default_deployment": play})
    ours.lab.arm("PUT", "batchEndpoints/ept-1", {**_endpoint("dep-1"), "tags": {TAG: OWNER}})
    ours.lab.advance()

    with pytest.raises(Refusal, match=r"is the default deployment .* and is not deleted.*make refresh"):
        BatchDeploymentKind().delete(DEPLOYMENT, deployment())

    assert there(ours)


def test_a_smoke_job_goes_with_its_deployment(ours: GateBench) -> None:
    """Of a run that was killed: no resource in state knows the job, so that none of them cancels it."""
    Stack(deadline="0.1s").up()
    ours.obey_signals()

    BatchDeploymentKind().delete(DEPLOYMENT, deployment(drain="1m", jobs_uri=f"{SMOKE}/dep-1"))

    assert ours.jobs() == [("dep-1", "Canceled")]
    assert ours.below("p/s/smoke/") == []
    assert not there(ours)


@pytest.mark.parametrize("noted", [True, False])
def test_every_smoke_job_goes_with_its_endpoint(ours: GateBench, noted: bool) -> None:
    """Also one whose name nobody noted: the run was killed between its start and the note."""
    Stack(deadline="0.1s").up()
    Stack(deadline="0.1s", deployment_name="dep-2").up()
    if not noted:
        for name in [each for each in ours.blobs.blobs if each.endswith("/notes/job")]:
            del ours.blobs.blobs[name]
    ours.obey_signals()

    props, failures = schema.check(
        BatchEndpointKind.args,
        {
            "workspace_id": WS,
            "endpoint_name": "ept-1",
            "location": "eastus",
            "owner": OWNER,
            "api_version": "2025-12-01",
            "jobs_uri": SMOKE,
        },
    )
    assert failures == []
    BatchEndpointKind().delete(ENDPOINT, props)

    assert sorted(ours.jobs()) == [("dep-1", "Canceled"), ("dep-2", "Canceled")]
    assert ours.below("p/s/smoke/") == []
