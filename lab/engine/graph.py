"""Who needs whom. Lists of resources are topologically sorted, as every checkpoint is."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from lab.engine.state import State


def dependents(resources: Sequence[State], root: State, ignore: Container[str] = ()) -> list[State]:
    """Everything after `root` that needs it, directly or not, in order; children do not count as such."""
    found, urns = [], {root.urn}
    for candidate in resources[resources.index(root) + 1 :]:
        if candidate.urn not in ignore and any(urn in urns for urn in candidate.requirements()):
            found.append(candidate)
            urns.add(candidate.urn)
    return found


def dependencies(resources: Sequence[State], state: State) -> list[State]:
    """What must outlive `state`: requirements, parent, and the children of required components."""
    earlier = resources[: resources.index(state)]
    needed = set(state.requirements())
    found = [other for other in earlier if other.urn in needed or other.urn == state.parent]
    components = {other.urn for other in found if not other.custom and other.urn in needed}
    for other in earlier:
        if other.parent in components:
            components.add(other.urn)
            found.append(other)
    return found


def everything_needed(resources: Sequence[State], root: State) -> list[State]:
    """What must stay because `root` stays. Where a URN has an old and a new state, like refers to like."""
    by_urn = {(state.urn, state.delete): state for state in resources}
    found: dict[int, State] = {}
    todo = [root]
    while todo:
        state = todo.pop()
        for urn in filter(None, [*state.requirements(), state.parent]):
            other = by_urn.get((urn, state.delete)) or by_urn.get((urn, not state.delete))
            if other is not None and id(other) not in found:
                found[id(other)] = other
                todo.append(other)
    return list(found.values())


def deletion_waves(resources: Sequence[State], condemned: Iterable[State]) -> list[list[State]]:
    """Sets that may be deleted at the same time, dependents first."""
    left = list(condemned)
    needs = {id(state): {id(other) for other in dependencies(resources, state)} for state in left}
    waves: list[list[State]] = []
    while left:
        ids = {id(state) for state in left}
        wave = [state for state in left if not needs[id(state)] & ids]
        waves.insert(0, wave)
        gone = {id(state) for state in wave}
        left = [state for state in left if id(state) not in gone]
    return waves


def without_dangling(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Checkpoint records after a refresh may have removed some: references to nothing are dropped, and a child of
    a removed parent becomes parentless (source: pulumi 3.260.0, pkg/backend/journal.go)."""
    urns = {record["urn"] for record in records}
    seen: set[str] = set()
    kept = []
    for original in records:
        record = dict(original)
        record["dependencies"] = [urn for urn in record.get("dependencies", []) if urn in seen]
        needs = {
            key: [urn for urn in needed if urn in seen]
            for key, needed in record.get("propertyDependencies", {}).items()
        }
        record["propertyDependencies"] = {key: live for key, live in needs.items() if live}
        gone = {
            "dependencies": not record["dependencies"],
            "propertyDependencies": not record["propertyDependencies"],
            "deletedWith": record.get("deletedWith") not in seen,
            "parent": record.get("parent") not in urns,
        }
        record = {key: value for key, value in record.items() if not gone.get(key)}
        seen.add(record["urn"])
        kept.append(record)
    return kept


def with_new_names(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rewrite references to former URNs (aliases) and forget the aliases, as the CLI does on every write."""
    renamed = {alias: record["urn"] for record in records for alias in record.get("aliases", [])}
    if not renamed:
        return records

    def fix(urn: str) -> str:
        return str(renamed.get(urn, urn))

    fixed = []
    for original in records:
        record = {key: value for key, value in original.items() if key != "aliases"}
        for key in ("urn", "parent", "deletedWith"):
            if key in record:
                record[key] = fix(record[key])
        if "dependencies" in record:
            record["dependencies"] = [fix(urn) for urn in record["dependencies"]]
        if "propertyDependencies" in record:
            record["propertyDependencies"] = {
                key: [fix(urn) for urn in needed] for key, needed in record["propertyDependencies"].items()
            }
        if "provider" in record:
            urn, _, ident = record["provider"].rpartition("::")
            record["provider"] = f"{fix(urn)}::{ident}"
        fixed.append(record)
    return fixed
