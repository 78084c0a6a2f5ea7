"""Patience with roles that were just made: blob storage does not see a new role assignment for some minutes.

https://learn.microsoft.com/azure/role-based-access-control/troubleshooting says up to 10 minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TypeVar

from providers.arm import ArmClient, Progress
from providers.blob import BlobError

API_VERSION = "2022-04-01"
"""Of Microsoft.Authorization."""
_NOT_SEEN = "authorizationpermissionmismatch"
_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
"""Seconds between the first two tries, doubled up to the longest."""
T = TypeVar("T")


def with_new_roles(
    attempt: Callable[[], T],
    client: ArmClient,
    roles: Sequence[str],
    wait: float,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `attempt` returns; it is made again as long as a role that it needs may not be seen yet.

    roles: ARM ids of the role assignments that it needs. wait: seconds after the youngest of them was made until which
    a refusal for a missing permission is believed to be its youth. With older roles, or none, the refusal is raised at
    once.
    """
    until: float | None = None
    pause = _PAUSE
    while True:
        try:
            return attempt()
        except BlobError as error:
            if _NOT_SEEN not in error.codes or not roles:
                raise
            if until is None:
                until = _youngest(client, roles) + wait
            left = until - clock()
            if left <= 0:
                raise
            if progress is not None:
                progress(f"a new role is not seen yet; at most {left:.0f} s more")
            sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)


def _youngest(client: ArmClient, roles: Sequence[str]) -> float:
    """When the youngest of these assignments was made, seconds since the epoch; long ago where none is there."""
    made = [_made(found) for role in roles if (found := client.get(role, api_version=API_VERSION)) is not None]
    return max(made, default=0.0)


def _made(assignment: dict[str, object]) -> float:
    properties = assignment.get("properties")
    told = str(properties.get("createdOn", "")) if isinstance(properties, dict) else ""
    # Seven digits of a second, which Python 3.10 does not read.
    whole = told[:19]
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp() if len(whole) == 19 else 0.0
