"""Names that were given up and are held for a while: an open question, played by `soft_delete_seconds`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.emulator.call import Call
from lab.emulator.errors import user_error

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud


def remember_deleted(cloud: Cloud, call: Call, *arm_ids: str) -> None:
    """Hold these names from now on; nothing is kept while the play is off."""
    if cloud.plays.soft_delete_seconds:
        cloud.store.remember_deleted(arm_ids, call.now, forget_before=call.now - cloud.plays.soft_delete_seconds)


def refuse_deleted(cloud: Cloud, call: Call, arm_id: str, what: str) -> None:
    """Raise 409 while the name is held."""
    if not cloud.plays.soft_delete_seconds:
        return
    at = cloud.store.deleted_at(arm_id)
    if at is not None and call.now < at + cloud.plays.soft_delete_seconds:
        raise user_error(
            409,
            f"{what} was deleted and its name is soft-deleted: it cannot be created again until it is purged.",
            inner=("Conflict", "SoftDeleted"),
        )
