"""Draw a program from a seed."""

from __future__ import annotations

import random
from typing import Any

from tests.engine.project_under_test import group, provider, thing
from tests.engines.programs import Item, Program, Step

_NAMES = "abcdef"
_GROUP, _PROVIDER = "g", "p"
_VERBS = {"up": 14, "preview": 1, "refresh": 2, "destroy": 1, "up --refresh": 2}


def draw(seed: int) -> Program:
    """The same program for the same seed, on any machine."""
    rng = random.Random(seed)
    ordered = rng.random() < 0.75
    chained = ordered and rng.random() < 0.5
    steps: list[Step] = []
    resources: list[Item] = []
    length = rng.randint(3, 5)
    for number in range(length):
        verb, *options = rng.choices([*_VERBS], [*_VERBS.values()])[0].split() if number else ["up"]
        former = resources
        if verb in ("up", "preview"):
            resources = _next_wish(rng, resources, ordered)
        things = [item["name"] for item in resources if "props" in item]
        exports = {name: {"of": f"{name}.made"} for name in things if rng.random() < 0.2}
        plans = _plans(rng, _likely_calls(verb, options, former, resources, deletions=chained)) if ordered else {}
        raises = ordered and verb == "up" and rng.random() < 0.04
        drift = {rng.choice(_NAMES): rng.choice([None, {"size": 7}, {"x": 9}])} if rng.random() < 0.2 else {}
        swap = number == length // 2 or (bool(number) and rng.random() < 0.2)
        wish = _chain(resources) if chained else resources
        steps.append(Step(verb, wish, exports, options, raises, drift, plans, swap))
    return Program(seed, ordered, steps)


def _likely_calls(verb: str, options: list[str], former: list[Item], wish: list[Item], *, deletions: bool) -> list[str]:
    """Provider calls that the run will probably make, as "create-a"."""
    before, after = ({item["name"]: item for item in items if "props" in item} for items in (former, wish))
    if verb == "up":
        created = [f"create-{name}" for name in after if after[name] != before.get(name)]
        updated = [f"update-{name}" for name in after if name in before and after[name] != before[name]]
        deleted = [f"delete-{name}" for name in before if after.get(name) != before[name]]
        read = [f"read-{name}" for name in before] if options else []
        return [*created, *updated, *(deleted if deletions else []), *read]
    verbs = {"refresh": "read", **({"destroy": "delete"} if deletions else {})}
    return [f"{verbs[verb]}-{name}" for name in before] if verb in verbs else []


def _plans(rng: random.Random, calls: list[str]) -> dict[str, str]:
    """One call at which the engine is killed, or up to two that fail, or nothing."""
    luck = rng.random()
    held = [call for call in calls if not call.startswith("read-")]
    if luck < 0.2 and held:
        return {rng.choice(held): rng.choice(["hold first", "hold last"])}
    if luck < 0.45:
        return dict.fromkeys(rng.sample(calls, min(len(calls), rng.randint(1, 2))), "fail")
    return {}


def _next_wish(rng: random.Random, former: list[Item], ordered: bool) -> list[Item]:
    """Most of the former resources stay as they were; some change, go or come."""
    known = {item["name"]: item for item in former}
    wish: list[Item] = []
    if rng.random() < (0.9 if _PROVIDER in known else 0.2):
        wish.append(provider(_PROVIDER))
    if rng.random() < (0.9 if _GROUP in known else 0.35):
        wish.append(known.get(_GROUP) or group(_GROUP, **_group_outputs(rng)))
    for name in _NAMES:
        here = {item["name"] for item in wish}
        old = known.get(name)
        if old is not None and rng.random() < 0.5 and _needs(old) <= here:
            wish.append(old)
        elif rng.random() < (0.85 if old is not None else 0.6):
            wish.append(_thing(rng, name, wish, ordered))
    return wish


def _chain(wish: list[Item]) -> list[Item]:
    """Everything depends on all that comes before it: deletions that fail or are held race with nothing then."""
    chained: list[Item] = []
    for item in wish:
        before = [former["name"] for former in chained]
        opts = item.get("opts", {})
        if "parent" in opts:
            before = [name for name in before if name != _GROUP]
        chained.append({**item, "opts": {**opts, "depends_on": before}} if before else item)
    return chained


def _group_outputs(rng: random.Random) -> dict[str, Any]:
    return {"x": rng.randint(1, 2)} if rng.random() < 0.3 else {}


def _needs(item: Item) -> set[str]:
    """The names that a resource refers to."""
    opts = item.get("opts", {})
    found = {opts[key] for key in ("parent", "provider", "deleted_with") if key in opts}
    found |= set(opts.get("depends_on", []))
    todo = list(item.get("props", {}).values())
    while todo:
        value = todo.pop()
        if isinstance(value, dict) and value.keys() == {"of"}:
            found.add(value["of"].partition(".")[0])
        elif isinstance(value, (dict, list)):
            todo.extend(value.values() if isinstance(value, dict) else value)
    return found


def _thing(rng: random.Random, name: str, wish: list[Item], ordered: bool) -> Item:
    things = [item["name"] for item in wish if "props" in item]
    props = _props(rng, things)
    if ordered:
        _add(rng, props, {"first": (0.3, [1]), "unready": (0.05, [1])})
        if rng.random() < 0.03:
            props["x"] = "bad"
    return thing(name, _options(rng, things, {item["name"] for item in wish}, ordered), **props)


def _props(rng: random.Random, things: list[str]) -> dict[str, Any]:
    def value() -> Any:
        luck = rng.random()
        if things and luck < 0.5:
            found: Any = {"of": f"{rng.choice(things)}.{rng.choice(['made', 'twice'])}"}
            return {"secret": found} if luck < 0.08 else found
        return {"secret": rng.randint(1, 2)} if luck < 0.65 else rng.randint(1, 2)

    props: dict[str, Any] = {}
    for key, chance in (("size", 0.6), ("fixed", 0.55), ("x", 0.4)):
        if rng.random() < chance:
            props[key] = rng.randint(1, 2) if key == "size" else value()
    if rng.random() < 0.3:
        props["nest"] = {"p": value(), "q": [value(), 1]}
    _add(rng, props, {"undecided": (0.15, [1])})
    return props


def _options(rng: random.Random, things: list[str], here: set[str], ordered: bool) -> dict[str, Any]:
    """Of the closed list, each as its chance has it."""
    opts: dict[str, Any] = {}
    if _GROUP in here:
        _add(rng, opts, {"parent": (0.3, [_GROUP])})
    if things:
        _add(rng, opts, {"deleted_with": (0.12, things), "parent": (0.1, things)})
        _add(rng, opts, {"depends_on": (0.25, [[name] for name in things])})
    if _GROUP in here and ordered and "parent" not in opts:
        # Who needs a group needs all children that it has by then; a child that does waits for itself.
        _add(rng, opts, {"depends_on": (0.1, [[_GROUP]])})
    if _PROVIDER in here:
        _add(rng, opts, {"provider": (0.4, [_PROVIDER])})
    if ordered:
        _add(rng, opts, {"protect": (0.06, [True]), "delete_before_replace": (0.2, [True, False])})
    paths = [["size"], ["x", "nest.q[0]"], ["fixed", "size"], ["nest"]]
    timeouts = [{"create": "1m"}, {"delete": "1h", "update": "90s"}]
    _add(
        rng,
        opts,
        {
            "ignore_changes": (0.15, paths),
            "retain_on_delete": (0.08, [True]),
            "additional_secret_outputs": (0.12, [["twice"], ["made", "size"]]),
            "custom_timeouts": (0.1, timeouts),
        },
    )
    return opts


def _add(rng: random.Random, to: dict[str, Any], choices: dict[str, tuple[float, list[Any]]]) -> None:
    for key, (chance, values) in choices.items():
        if rng.random() < chance:
            to[key] = rng.choice(values)
