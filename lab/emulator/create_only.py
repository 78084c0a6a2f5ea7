"""What the specification calls create-only, when a PUT changes it all the same: one open question, three plays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.emulator.errors import Fault, validation_error
from lab.emulator.plays import Plays


def settle_create_only(
    plays: Plays, what: str, old: Mapping[str, Any], new: dict[str, Any], paths: Iterable[str]
) -> dict[str, Any]:
    """`new`, or `new` with the old values at `paths`.

    Raises 400 that names each changed path when the play is refuse.
    """
    if plays.create_only_property == "accept":
        return new
    changed = [path for path in paths if _at(old, path) != _at(new, path)]
    if plays.create_only_property == "refuse" and changed:
        raise validation_error(
            what,
            [
                Fault(path, f"'{path}' cannot be changed after the {what.lower()} was created.", _at(new, path))
                for path in changed
            ],
        )
    for path in changed:
        new = _with(new, path.split("."), _at(old, path))
    return new


def _at(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _with(body: Mapping[str, Any], names: list[str], value: Any) -> dict[str, Any]:
    first, *rest = names
    return {**body, first: _with(body[first], rest, value) if rest else value}
