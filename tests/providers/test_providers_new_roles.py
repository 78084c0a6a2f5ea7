"""An upload waits for a role that was just made, with a bound, and for no other."""

from datetime import datetime, timezone
from typing import Any

import pytest

from providers.aml.new_roles import with_new_roles
from providers.blob import BlobError
from tests.providers.far_side import FarSide

SCOPE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a"
ROLE = f"{SCOPE}/providers/Microsoft.Authorization/roleAssignments/r"
OLDER = f"{SCOPE}/providers/Microsoft.Authorization/roleAssignments/o"
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc).timestamp()
MISMATCH = "AuthorizationPermissionMismatch"


class Storage:
    """Refuses until a moment; sleeping is what lets time pass."""

    def __init__(self, opens_at: float, code: str = MISMATCH) -> None:
        self.now, self.opens_at, self.code = NOON, opens_at, code
        self.tries = 0
        self.said: list[str] = []

    def attempt(self) -> str:
        self.tries += 1
        if self.now < self.opens_at:
            raise BlobError("refused", status=403, code=self.code)
        return "done"

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def upload(self, far_side: FarSide, *roles: str, wait: float = 600) -> str:
        return with_new_roles(
            self.attempt,
            far_side.client(),
            roles,
            wait,
            progress=self.said.append,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


def made(far_side: FarSide, role: str, seconds_ago: float) -> None:
    at = datetime.fromtimestamp(NOON - seconds_ago, timezone.utc)
    body: dict[str, Any] = {"properties": {"createdOn": at.strftime("%Y-%m-%dT%H:%M:%S.1234567Z")}}
    far_side.has(role, body)


def test_nothing_is_asked_where_nothing_is_refused(far_side: FarSide) -> None:
    assert Storage(NOON).upload(far_side, ROLE) == "done"
    assert far_side.requests == []


def test_a_new_role_is_waited_for(far_side: FarSide) -> None:
    made(far_side, ROLE, 5)
    storage = Storage(NOON + 90)

    assert storage.upload(far_side, ROLE) == "done"

    assert 90 <= storage.now - NOON < 120
    assert storage.said[0] == "a new role is not seen yet; at most 595 s more"
    assert len(far_side.requests) == 1, "the assignment is looked at once"


def test_the_wait_has_a_bound_that_counts_from_when_the_youngest_role_was_made(far_side: FarSide) -> None:
    made(far_side, ROLE, 500)
    made(far_side, OLDER, 100_000)
    storage = Storage(NOON + 10_000)

    with pytest.raises(BlobError):
        storage.upload(far_side, OLDER, ROLE)

    assert storage.now - NOON == pytest.approx(100)


@pytest.mark.parametrize(
    ("roles", "code"),
    [((), MISMATCH), ((OLDER,), MISMATCH), (("/absent",), MISMATCH), ((ROLE,), "AuthorizationFailure")],
    ids=["no role of this stack", "an old one", "one that is gone", "another refusal"],
)
def test_whatever_else_is_refused_is_refused_at_once(far_side: FarSide, roles: tuple[str, ...], code: str) -> None:
    made(far_side, ROLE, 5)
    made(far_side, OLDER, 100_000)
    storage = Storage(NOON + 90, code)

    with pytest.raises(BlobError):
        storage.upload(far_side, *roles)

    assert (storage.tries, storage.now) == (1, NOON)
