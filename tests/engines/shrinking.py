"""Make a failing program smaller: fewer steps, fewer resources, fewer faults, fewer options and properties."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.engines.programs import Item, Program, Step


def shrink(program: Program, fails: Callable[[Program], bool], tries: int) -> Program:
    """The smallest program found that still `fails`, after at most `tries` plays."""
    left = tries
    progress = True
    while progress and left > 0:
        progress = False
        for smaller in _smaller(program):
            if left <= 0:
                break
            left -= 1
            if fails(smaller):
                program, progress = smaller, True
                break
    return program


def _smaller(program: Program) -> Iterator[Program]:
    """Steps from the last on, then what is in them; larger cuts first."""
    if len(program.steps) > 1:
        for index in reversed(range(len(program.steps))):
            yield program.without_step(index)
    for name in {item["name"]: None for step in program.steps for item in step.resources}:
        yield _everywhere(program, lambda step, name=name: _without(step, name))  # type: ignore[misc]
    for index, step in enumerate(program.steps):
        for item in step.resources:
            yield program.with_step(index, _without(step, item["name"]))
        cuts: tuple[dict[str, Any], ...] = (
            *({name: {}} for name in ("plans", "drift", "exports")),
            *({name: False} for name in ("swap", "raises")),
        )
        for cut in cuts:
            smaller = dataclasses.replace(step, **cut)
            if smaller != step:
                yield program.with_step(index, smaller)
    for part in ("opts", "props"):
        for name, key in _keys(program, part):
            yield _everywhere(program, lambda step, at=(name, part, key): _lacking(step, *at))  # type: ignore[misc]


def _everywhere(program: Program, change: Callable[[Step], Step]) -> Program:
    return dataclasses.replace(program, steps=[change(step) for step in program.steps])


def _keys(program: Program, part: str) -> list[tuple[str, str]]:
    found = {
        (item["name"], key): None for step in program.steps for item in step.resources for key in item.get(part, {})
    }
    return list(found)


def _lacking(step: Step, name: str, part: str, key: str) -> Step:
    resources = [
        {**item, part: {k: v for k, v in item[part].items() if k != key}}
        if item["name"] == name and part in item
        else item
        for item in step.resources
    ]
    return dataclasses.replace(step, resources=resources)


def _without(step: Step, name: str) -> Step:
    """Without a resource, and without what refers to it."""
    resources = [_unrelated(item, name) for item in step.resources if item["name"] != name]
    exports = {key: value for key, value in step.exports.items() if not _refers(value, name)}
    return dataclasses.replace(step, resources=resources, exports=exports)


def _unrelated(item: Item, name: str) -> Item:
    cut: Item = dict(item)
    if "opts" in item:
        cut["opts"] = {key: value for key, value in item["opts"].items() if value not in (name, [name])}
    if "props" in item:
        cut["props"] = {key: value for key, value in item["props"].items() if not _refers(value, name)}
    return cut


def _refers(value: Any, name: str) -> bool:
    return f'"of": "{name}.' in json.dumps(value)
