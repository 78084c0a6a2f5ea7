"""The table: what is wished for, one run after the other, and what comes of it on either engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engine.project_under_test import cloud, group, provider, thing

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Run:
    """One command on a wish. `says` are lines of the summary; None as wish leaves the former one."""

    wish: list[dict[str, Any]] | None
    says: tuple[str, ...] = ()
    verb: str = "up"
    status: int = 0
    options: tuple[str, ...] = ()
    rest: dict[str, Any] = field(default_factory=dict)
    first: Change = lambda _: None
    shows: tuple[str, ...] = ()
    """Pieces of the embedded engine's output."""


def _touch(name: str) -> Change:
    return lambda directory: (directory / name).touch()


def _remove(name: str) -> Change:
    return lambda directory: (directory / name).unlink()


def _drift(name: str, **props: Any) -> Change:
    def change(directory: Path) -> None:
        path = directory / "cloud" / f"{name}.json"
        path.write_text(json.dumps({**cloud(directory)[name], **props}))

    return change


def _of(path: str) -> dict[str, str]:
    return {"of": path}


def _secret(value: Any) -> dict[str, Any]:
    return {"secret": value}


_CHAIN = [thing("a", size=1), thing("b", size=_of("a.twice"))]
_FAILED: Any = {"status": 1}

SCENARIOS: dict[str, list[Run]] = {
    "create, nothing to do, destroy": [
        Run([*_CHAIN, group("g"), thing("c", {"parent": "g"}, list=[1, 2.5, None, {"k": True}])], ("+ 5 created",)),
        Run(None, ("5 unchanged",)),
        Run(None, (), verb="preview", shows=("5 unchanged",)),
        Run(None, ("- 5 deleted",), verb="destroy"),
        Run(None, (), verb="destroy"),
    ],
    "update with a dependent": [
        Run(_CHAIN, ("+ 3 created",), rest={"exports": {"size": _of("b.twice")}}),
        Run([thing("a", size=2), _CHAIN[1]], ("~ 2 updated",), rest={"exports": {"size": _of("b.twice")}}),
    ],
    "remove from the program": [
        Run([*_CHAIN, thing("c", {"depends_on": ["b"]})], ("+ 4 created",)),
        Run([_CHAIN[0]], ("- 2 deleted", "2 unchanged")),
    ],
    "replace, new one first": [
        Run([thing("a", fixed=1), thing("b", fixed=_of("a.fixed")), thing("c", size=_of("a.fixed"))], ("+ 4 created",)),
        Run(
            [thing("a", fixed=2), thing("b", fixed=_of("a.fixed")), thing("c", size=_of("a.fixed"))],
            ("~ 1 updated", "+-2 replaced"),
        ),
        Run(None, ("4 unchanged",)),
    ],
    "replace, old one first, with dependents": [
        Run(
            [thing("a", fixed=1, first=1), thing("b", fixed=_of("a.made")), thing("c", {"depends_on": ["a"]})],
            ("+ 4 created",),
        ),
        Run(
            [thing("a", fixed=2, first=1), thing("b", fixed=_of("a.made")), thing("c", {"depends_on": ["a"]})],
            ("+-2 replaced",),
        ),
    ],
    "delete_before_replace asked by the program": [
        Run([thing("a", {"delete_before_replace": True}, fixed=1)], ("+ 2 created",)),
        Run([thing("a", {"delete_before_replace": True}, fixed=2)], ("+-1 replaced",)),
        Run([thing("a", {"delete_before_replace": False}, fixed=3, first=1)], ("+-1 replaced",)),
    ],
    "secrets": [
        Run(
            [
                thing(
                    "a", {"additional_secret_outputs": ["twice"]}, key=_secret("s"), nest={"in": _secret(1), "out": 2}
                ),
                thing("b", list=[_secret("x"), "y"], copy=_of("a.key")),
            ],
            ("+ 3 created",),
            rest={"exports": {"key": _of("a.key"), "hidden": _secret({"deep": [1]})}},
        ),
        Run(None, ("3 unchanged",)),
        Run(
            [thing("a", {"additional_secret_outputs": ["twice"]}, key=_secret("t"), nest={"in": 1, "out": 2})],
            ("~ 1 updated", "- 1 deleted"),
        ),
        Run(None, ("- 2 deleted",), verb="destroy"),
    ],
    "unknowns in a preview": [
        Run(_CHAIN, ("+ 3 created",)),
        Run([thing("a", size=3), _CHAIN[1]], (), verb="preview", shows=("~ 2 to update",)),
        Run([thing("n", size=3), thing("m", nest={"deep": [_of("n.twice")]})], (), verb="preview"),
    ],
    "check failures": [
        Run(
            [thing("a", x="bad", y="bad"), thing("b", size=_of("a.made"))],
            **_FAILED,
            shows=("property x value", "property y value"),
        ),
        Run([thing("a", x="good", y="good")]),
        Run([thing("a", x="bad", y="good")], **_FAILED),
    ],
    "create fails": [
        Run(
            [thing("a", fail="no room"), thing("b", size=_of("a.made"))], **_FAILED, shows=("cannot create a: no room",)
        ),
        Run([thing("a"), thing("b", size=2)], ("+ 2 created",)),
    ],
    "update fails": [
        Run(_CHAIN, ("+ 3 created",), rest={"exports": {"x": 1, "y": 2}}),
        Run([thing("a", size=2, fail="locked"), _CHAIN[1]], **_FAILED, rest={"exports": {"x": 3}}),
        Run([thing("a", size=2), _CHAIN[1]], ("~ 2 updated",), rest={"exports": {"x": 3}}),
    ],
    "created but not ready": [
        Run([thing("a", unready=1)], **_FAILED, shows=("first reason", "second reason")),
        Run([thing("a", unready=1)], **_FAILED),
        Run([thing("a")], ("~ 1 updated",)),
        Run([thing("a")], ("2 unchanged",)),
        Run([thing("a", unready=1, size=4)], **_FAILED),
        Run([thing("a", size=4)], ("~ 1 updated",)),
    ],
    "protect": [
        Run([thing("a", {"protect": True}, fixed=1), thing("b")], ("+ 3 created",)),
        Run([thing("a", {"protect": True}, fixed=2)], **_FAILED, shows=("marked for protection",)),
        Run([], **_FAILED, shows=("it is protected",)),
        Run(None, verb="destroy", **_FAILED),
        Run([thing("a", fixed=1)]),
        Run([thing("a", fixed=2)], ("+-1 replaced",)),
    ],
    "protected dependent of a replacement": [
        Run([thing("a", fixed=1, first=1), thing("b", {"protect": True}, fixed=_of("a.made"))], ("+ 3 created",)),
        Run([thing("a", fixed=2, first=1), thing("b", {"protect": True}, fixed=_of("a.made"))], **_FAILED),
    ],
    "retain on delete": [
        Run([thing("a", {"retain_on_delete": True}, fixed=1)], ("+ 2 created",)),
        Run([thing("a", {"retain_on_delete": True}, fixed=2)], ("+-1 replaced",)),
        Run([], ("- 1 deleted",)),
    ],
    "deleted with": [
        Run([thing("a"), thing("b", {"deleted_with": "a"}), thing("c", {"deleted_with": "a"})], ("+ 4 created",)),
        Run([thing("a"), thing("b", {"deleted_with": "a"})], ("- 1 deleted",)),
        Run(None, ("- 3 deleted",), verb="destroy"),
    ],
    "deleted with a replaced one": [
        Run([thing("a", fixed=1), thing("b", {"deleted_with": "a"})], ("+ 3 created",)),
        Run([thing("a", fixed=2), thing("b", {"deleted_with": "a"})], ("+-2 replaced",)),
        Run([thing("a", fixed=3, first=1), thing("b", {"deleted_with": "a"})], ("+-2 replaced",)),
    ],
    "ignore changes": [
        Run([thing("a", {"ignore_changes": ["size"]}, size=1, nest={"x": 1, "y": [1, 2]})], ("+ 2 created",)),
        Run([thing("a", {"ignore_changes": ["size", "nest.x"]}, size=2, nest={"x": 2, "y": [1, 2]})], ("2 unchanged",)),
        Run([thing("a", {"ignore_changes": ["nest.y[0]"]}, size=1, nest={"x": 1, "y": [5, 3]})], ("~ 1 updated",)),
        Run([thing("a", {"ignore_changes": ["size", "gone", "nest"]}, size=9, fixed=1)], ("+-1 replaced",)),
    ],
    "drift": [
        Run([thing("a", size=1), thing("b")], ("+ 3 created",)),
        Run(None, ("~ 1 updated",), verb="refresh", first=_drift("a", size=7)),
        Run(None, ("~ 1 updated",)),
        Run(None, ("3 unchanged",), verb="refresh"),
        Run(None, ("~ 1 updated",), options=("--refresh",), first=_drift("a", size=8)),
    ],
    "gone": [
        Run([*_CHAIN, thing("c", {"deleted_with": "a"}), thing("d", {"parent": "a"})], ("+ 5 created",)),
        Run(None, ("- 1 deleted",), verb="refresh", first=_remove("cloud/a.json")),
        Run(None, ("+ 1 created",)),
    ],
    "a refresh that fails": [
        Run(_CHAIN, ("+ 3 created",)),
        Run(None, verb="refresh", **_FAILED, first=_touch("deny-read"), shows=("cannot read a", "cannot read b")),
        Run(None, ("3 unchanged",), verb="refresh", first=_remove("deny-read")),
    ],
    "a deletion that fails": [
        Run(_CHAIN, ("+ 3 created",)),
        Run([], **_FAILED, first=_touch("deny-delete"), shows=("cannot delete b",)),
        Run([], ("- 2 deleted",), first=_remove("deny-delete")),
    ],
    "a replaced one that cannot be deleted": [
        Run([thing("a", fixed=1, called="a1")], ("+ 2 created",)),
        Run([thing("a", fixed=2, called="a2")], **_FAILED, first=_touch("deny-delete")),
        Run([thing("a", fixed=3, called="a3")], **_FAILED),
        Run([thing("a", fixed=3, called="a3")], ("2 unchanged",), first=_remove("deny-delete")),
    ],
    "deleted, but its successor fails": [
        Run([thing("a", fixed=1, first=1), thing("b", fixed=_of("a.made"))], ("+ 3 created",)),
        Run([thing("a", fixed=2, first=1, fail="x"), thing("b", fixed=_of("a.made"))], **_FAILED),
        Run([thing("a", fixed=2, first=1), thing("b", fixed=_of("a.made"))], ("+-2 replaced",)),
    ],
    "deleted, then left out": [
        Run([thing("a", fixed=1, first=1), thing("z")], ("+ 3 created",)),
        Run([thing("a", fixed=2, first=1, fail="x"), thing("z")], **_FAILED),
        Run([thing("z")], ("2 unchanged",)),
    ],
    "replaced, but the dependent's update fails": [
        Run([thing("a", fixed=1), thing("b", size=_of("a.fixed"))], ("+ 3 created",)),
        Run([thing("a", fixed=2), thing("b", size=_of("a.fixed"), fail="x")], **_FAILED),
        Run([thing("a", fixed=2), thing("b", size=_of("a.fixed"))], ("~ 1 updated",)),
    ],
    "the engine compares": [
        Run([thing("a", undecided=1, size=1)], ("+ 2 created",)),
        Run([thing("a", undecided=1, size=2)], ("~ 1 updated",)),
        Run([thing("a", {"replace_on_changes": ["size"]}, undecided=1, size=3)], ("+-1 replaced",)),
        Run([thing("a", {"replace_on_changes": ["size"]}, undecided=1, size=3)], ("2 unchanged",)),
    ],
    "renamed": [
        Run([group("g"), thing("a", {"parent": "g"}), thing("b", {"depends_on": ["a"]})], ("+ 4 created",)),
        Run(
            [
                group("h", {"aliases": [{"name": "g"}]}),
                thing("n", {"parent": "h", "aliases": [{"name": "a"}]}, called="a"),
                thing("b", {"depends_on": ["n"]}),
            ],
            ("4 unchanged",),
        ),
        Run(None, ("4 unchanged",)),
    ],
    "a provider of its own": [
        Run([provider("p"), thing("a", {"provider": "p"})], ("+ 3 created",)),
        Run(None, ("3 unchanged",)),
        Run([thing("a")], ("- 1 deleted",)),
        Run([provider("p"), thing("a", {"provider": "p"})], ("+ 1 created",)),
        Run(None, ("- 3 deleted",), verb="destroy"),
    ],
    "custom timeouts": [
        Run([thing("a", {"custom_timeouts": {"create": "1m30s", "delete": "1h"}})], ("+ 2 created",)),
        Run([thing("a", {"custom_timeouts": {"create": "2m"}})], ("2 unchanged",)),
    ],
    "inherited from the parent": [
        Run([group("g", {"protect": True}), thing("a", {"parent": "g"})], ("+ 3 created",)),
        Run([group("g"), thing("a", {"parent": "g"})], ("3 unchanged",)),
    ],
    "component outputs": [
        Run([group("g", x=1, y="s")], ("+ 2 created",)),
        Run([group("g", x=2)], ("2 unchanged",)),
        Run([], ("- 1 deleted",)),
    ],
    "the program raises": [
        Run([*_CHAIN], ("+ 3 created",), rest={"exports": {"x": 1, "y": 1}}),
        Run([thing("a", size=2)], status=1, rest={"raises": "oh dear", "exports": {"x": 2}}, shows=("oh dear",)),
        Run([*_CHAIN], (), rest={"exports": {"x": 1}}),
    ],
    "two of one name": [
        Run([thing("a"), thing("a")], **_FAILED, shows=("Duplicate resource URN",)),
    ],
    "no changes expected": [
        Run([thing("a")], ("+ 2 created",)),
        Run(None, ("2 unchanged",), options=("--expect-no-changes",)),
        Run([thing("a", size=1)], status=7, options=("--expect-no-changes",)),
    ],
}
