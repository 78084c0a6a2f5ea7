"""What follows from a foundation's settings: names that Azure takes, roles that are the same in every run."""

import re
from pathlib import Path

import pytest

from components.foundation import FoundationSettings, Principal, assignments, names
from components.placement import Placement
from providers import checks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "foundation.md"
ANA = Principal(id="00000000-0000-4000-8000-00000000000a", type="User")
BOT = Principal(id="00000000-0000-4000-8000-00000000000b", type="ServicePrincipal")


def placement(workspace: str = "scoring", stack: str = "dev") -> Placement:
    return Placement(
        project="batch-scoring",
        stack=stack,
        subscription_id="00000000-0000-4000-8000-000000000001",
        resource_group="g",
        workspace=workspace,
        location="eastus",
        cloud="public",
        datastore="workspaceblobstore",
    )


def settings(**values: object) -> FoundationSettings:
    return FoundationSettings(**{"tenant_id": "t", "deployers": {"bot": BOT}, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("workspace", ["ws1", "Scoring_of-digits--in--production", "1_2-3", "a" * 33])
def test_every_name_is_one_that_azure_takes(workspace: str) -> None:
    known = names(placement(workspace), settings())

    assert checks.storage_account_name(known.storage_account)
    assert checks.key_vault_name(known.key_vault)
    assert checks.registry_name(known.registry)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]", known.logs)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}", known.jobs_identity)


def test_names_that_must_be_unique_differ_between_stacks_and_can_be_set() -> None:
    dev, prod = (names(placement(stack=stack), settings()) for stack in ("dev", "prod"))
    own = names(placement(), settings(storage_account="mine", key_vault="my-vault", container_registry="myimages"))

    for name in ("storage_account", "key_vault", "registry"):
        assert getattr(dev, name) != getattr(prod, name)
    assert (own.storage_account, own.key_vault, own.registry) == ("mine", "my-vault", "myimages")


def test_every_role_is_on_the_page_with_its_id() -> None:
    page = PAGE.read_text(encoding="utf-8")
    given = assignments(placement(), settings(invokers={"ana": ANA}), names(placement(), settings()), "p")

    assert [each.role.name for each in given if f"| {each.role.name} | `{each.role.id}` |" not in page] == []
    assert len(given) == 7


def test_an_assignment_keeps_its_name_whoever_the_managed_identity_turns_out_to_be() -> None:
    known = names(placement(), settings())

    one, other = (assignments(placement(), settings(), known, principal) for principal in ("p", "q"))

    assert [each.id for each in one] == [each.id for each in other]
    assert len({each.name for each in one}) == len({each.logical_name for each in one}) == len(one)
    assert one[0].name == "daa4338a-cfdf-5cb1-a6dc-d41d1ea8af95", "names of role assignments must never change"


def test_who_deploys_and_invokes_is_given_each_role_once() -> None:
    known = names(placement(), settings())

    given = assignments(placement(), settings(invokers={"the same": BOT}), known, "p")

    assert len({each.id for each in given}) == len(given) == 6
