"""ARM's request bodies out of property bags, and bags out of ARM's answers, by each property's one declaration.

Pure, as `schema` is: names and places on the wire are the declarations' (`prop(wire=...)`).
"""

import copy
import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from providers.schema import Bag, Property, canonical, is_free, properties


def upon(kind: type, live: Mapping[str, Any], olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[Bag, bool]:
    """A request body that changes what we own of `live` (what a PUT may carry of a GET's answer) and keeps the rest.

    What `olds` had and `news` has not (a tag that is no longer wanted) is taken out; the second value says whether any
    of that was there. Tags that a policy put there, and whatever else nobody of ours ever set, stay as they are.
    """
    body = copy.deepcopy(dict(live))
    taken_out = False
    for name, declaration in properties(kind).items():
        old, new = olds.get(name), news.get(name)
        if declaration.wire is None or (old is None and new is None):
            continue
        *parents, last = declaration.wire.split(".")
        target = body
        for parent in parents:
            target[parent] = target.get(parent) or {}
            target = target[parent]
        if is_free(declaration.type):
            there = target.get(last) or {}
            unwanted = set() if declaration.grows else set(old or {}) - set(new or {})
            taken_out = taken_out or bool(unwanted & there.keys())
            target[last] = {**{key: each for key, each in there.items() if key not in unwanted}, **(new or {})}
        elif new is None:
            taken_out = target.pop(last, None) is not None or taken_out
        else:
            target[last] = _to_wire(declaration.type, new)
    return body, taken_out


def from_body(kind: type, body: Mapping[str, Any], owned: Mapping[str, Any]) -> Bag:
    """The bag that ARM's answer stands for, on owned fields only.

    Owned is what `owned` (a checked bag) has: properties and members of mappings that nobody of ours set are not
    looked at, so that a tag that a policy adds is no drift. What ARM does not return (secrets) keeps its owned value.
    """
    bag: Bag = {}
    for name, declaration in properties(kind).items():
        if name not in owned:
            continue
        if declaration.wire is None:
            bag[name] = owned[name]
            continue
        live = _at(body, declaration.wire)
        value = _from_wire(declaration.type, live, owned[name])
        if value is not None:
            bag[name] = canonical(declaration, value)
    return bag


def _at(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _to_wire(expected: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(expected) and isinstance(value, Mapping):
        declared = properties(typing.cast(type, expected))
        return {
            _leaf(declared[name]): _to_wire(declared[name].type, each)
            for name, each in value.items()
            if each is not None
        }
    return dict(value) if isinstance(value, Mapping) else value


def _from_wire(expected: Any, live: Any, owned: Any) -> Any:
    if not isinstance(owned, Mapping) or not isinstance(live, Mapping):
        return live
    if dataclasses.is_dataclass(expected):
        declared = properties(typing.cast(type, expected))
        members = {
            name: _from_wire(declared[name].type, live.get(_leaf(declared[name])), owned[name]) for name in owned
        }
    else:
        members = {name: _from_wire(Any, live.get(name), owned[name]) for name in owned}
    return {name: value for name, value in members.items() if value is not None}


def _leaf(declaration: Property) -> str:
    return (declaration.wire or declaration.name).rsplit(".", 1)[-1]
