"""A stack that builds its own workspace, from nothing to nothing: no shared key, roles that take a while to be seen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import identity
from tests.faults.small_checkout import SmallCheckout
from tests.lifecycle.checkout import engines

ROLES_TAKE = 5
"""Seconds: longer than the first tries of an upload."""


@pytest.fixture(params=engines())
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallCheckout]:
    copy = SmallCheckout(tmp_path, request.param)
    copy.configure(
        resource_group="made",
        workspace="made",
        foundation={
            "tenant_id": identity.TENANT_ID,
            "deployers": {"lab": {"id": identity.PRINCIPAL_ID, "type": "ServicePrincipal"}},
        },
    )
    copy.start_lab()
    copy.control("PUT", "settings", {"role_assignment_seconds": ROLES_TAKE})
    try:
        yield copy
    finally:
        copy.lab.stop()


def nothing(checkout: SmallCheckout) -> bool:
    status = checkout.status()
    return not any(status.pop("blobs").values()) and not any(status.values())


def test_a_stack_builds_its_workspace_and_takes_it_away_again(checkout: SmallCheckout) -> None:
    """Everything has its id before anything is there; the second `up` changes nothing; destroy frees every name."""
    planned = checkout.preview()
    assert set(planned.values()) == {"create"}
    assert {"Workspace workspace", "StorageAccount storage-account", "Purge purge-workspace"} <= planned.keys()
    assert checkout.status()["foundations"] == []

    said = checkout.succeed("up")

    assert "a new role is not seen yet" in said
    outputs, status = checkout.outputs(), checkout.status()
    assert outputs["smoke_job"]["status"] == "Completed"
    assert "/workspaces/made/batchEndpoints/" in outputs["endpoint_id"]
    assert {each.split("/")[8] for key in ("endpoints", "models", "jobs", "computes") for each in status[key]} == {
        "made"
    }
    assert checkout.preview() == {}

    said = checkout.succeed("destroy")

    assert said.rstrip().endswith("nothing is left that carries the marker of stack lab")
    assert nothing(checkout), checkout.status()
