"""What Azure only hides is purged, if it is this stack's."""

from typing import Any

import httpx
import pytest

from providers import schema
from providers.kind import Refusal
from providers.ownership import TAG
from providers.purge import PurgeKind
from tests.providers.far_side import OWNER, SHARED, WORKSPACE, FarSide

VAULT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"
HIDDEN = "/subscriptions/s/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/v"
EARLIER_LIFE = f"{OWNER.rpartition('/')[0]}/fedcba9876543210"


def props(target: str) -> dict[str, Any]:
    bag, failures = schema.check(PurgeKind.args, {**SHARED, "target": target, "location": "eastus", "owner": OWNER})
    assert failures == []
    return bag


def hide(far_side: FarSide, owner: str | None = OWNER, vault: str = VAULT) -> None:
    """As Azure tells of a deleted vault; purging it takes it away."""
    far_side.has(HIDDEN, {"properties": {"vaultId": vault, "tags": {TAG: owner} if owner else {}}})

    def purge(method: str, path: str) -> httpx.Response | None:
        if method == "POST" and path == f"{HIDDEN}/purge":
            del far_side.resources[HIDDEN.lower()]
            return httpx.Response(200)
        return None

    far_side.before = purge


def asked(far_side: FarSide, method: str) -> list[str]:
    return [path for each, path, _ in far_side.requests if each == method]


def test_a_workspace_is_purged_while_it_lives(far_side: FarSide) -> None:
    far_side.has(WORKSPACE, {"tags": {TAG: OWNER}})

    PurgeKind().delete("", props(WORKSPACE))

    assert "DELETE api-version=2025-12-01&forceToPurge=true" in far_side.queries
    assert WORKSPACE.lower() not in far_side.resources


@pytest.mark.parametrize("target", [WORKSPACE, VAULT])
def test_what_another_stack_made_is_neither_deleted_nor_purged(far_side: FarSide, target: str) -> None:
    far_side.has(target, {"tags": {TAG: "other/stack/0"}})

    with pytest.raises(Refusal, match="is not deleted"):
        PurgeKind().delete("", props(target))

    assert asked(far_side, "DELETE") == asked(far_side, "POST") == []


def test_a_workspace_that_is_gone_is_not_asked_to_go(far_side: FarSide) -> None:
    PurgeKind().delete("", props(WORKSPACE))

    assert asked(far_side, "DELETE") == []


@pytest.mark.parametrize("owner", [OWNER, EARLIER_LIFE], ids=["this life", "an earlier one"])
def test_a_hidden_vault_of_this_stack_is_purged_before_one_is_made_and_after_it_is_deleted(
    far_side: FarSide, owner: str
) -> None:
    for step in (lambda: PurgeKind().create(props(VAULT)), lambda: PurgeKind().delete("", props(VAULT))):
        hide(far_side, owner)

        step()

        assert HIDDEN.lower() not in far_side.resources


@pytest.mark.parametrize(
    ("owner", "vault"),
    [("other/stack/0", VAULT), (None, VAULT), (OWNER, VAULT.replace("/g/", "/elsewhere/"))],
    ids=["another stack's", "nobody's", "of another group"],
)
def test_a_hidden_vault_that_is_not_ours_holds_its_name_and_its_content(
    far_side: FarSide, owner: str | None, vault: str
) -> None:
    hide(far_side, owner, vault)

    with pytest.raises(Refusal, match=r"set `foundation\.key_vault` to another name"):
        PurgeKind().create(props(VAULT))
    PurgeKind().delete("", props(VAULT))

    assert asked(far_side, "POST") == []


def test_a_vault_that_azure_native_did_not_get_to_is_deleted_and_purged(far_side: FarSide) -> None:
    """A destroy that broke off before it: azure-native's own delete then finds nothing."""
    hide(far_side)
    hidden = far_side.resources.pop(HIDDEN.lower())
    far_side.has(VAULT, {"tags": {TAG: OWNER}})
    purge = far_side.before

    def before(method: str, path: str) -> httpx.Response | None:
        if method == "DELETE":
            far_side.resources[HIDDEN.lower()] = hidden
        return purge(method, path)

    far_side.before = before

    PurgeKind().delete("", props(VAULT))

    assert far_side.resources == {}
    assert asked(far_side, "POST") == [f"{HIDDEN}/purge"]


def test_refresh_and_update_ask_nothing(far_side: FarSide) -> None:
    PurgeKind().read("x", props(VAULT))
    PurgeKind().update("x", props(VAULT), props(VAULT))

    assert far_side.requests == []
