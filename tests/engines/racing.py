"""Which planned faults would be a matter of luck.

The CLI deletes what does not depend on each other in the order of a Go map, also one at a time (ScheduleDeletes,
pulumi 3.260.0, pkg/resource/deploy/step_generator.go). When one of several such deletions fails, or the engine is
killed in it, the others have happened or not by chance: nothing that two engines, or two runs of one, could agree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.engine import urn as urns

_DELETE = "delete-"


def determined(plans: Mapping[str, str], records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The plans without those for deletions that others race with; `records` are the resources of the state."""
    return {
        call: plan
        for call, plan in plans.items()
        if not call.startswith(_DELETE) or _alone(call.removeprefix(_DELETE), records)
    }


def _alone(name: str, records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every other resource needs the one of this name, or is needed by it, without a third between them."""
    considered = [record for record in records if record["type"] != urns.STACK_TYPE]
    named = [record for record in considered if urns.name_of(record["urn"]) == name]
    if len(named) != 1:
        return not named
    (this,) = named
    others = (record for record in considered if record is not this)
    return all(this["urn"] in _needs(other) or other["urn"] in _needs(this) for other in others)


def _needs(record: Mapping[str, Any]) -> set[str]:
    found = {record.get("parent"), record.get("deletedWith"), *record.get("dependencies", [])}
    for needed in record.get("propertyDependencies", {}).values():
        found |= set(needed)
    if record.get("provider"):
        found.add(urns.provider_urn(record["provider"]))
    return {urn for urn in found if urn}
