"""A random program as a value: what happens step by step, and its form as a small file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]
"""A resource of a wish, as `tests.engine.project_under_test` knows it."""


@dataclass(frozen=True)
class Step:
    """One command, and what happens to the world before it and during it."""

    verb: str
    resources: list[Item]
    exports: dict[str, Any] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    raises: bool = False
    """The program raises at its end."""
    drift: dict[str, Any] = field(default_factory=dict)
    """Object name -> properties that somebody changes, None where somebody deletes it; before the command."""
    plans: dict[str, str] = field(default_factory=dict)
    """"create-a" -> "fail", or "hold first" or "hold last": the engine is killed while that call is held."""
    swap: bool = False
    """Before the command the engines exchange their states."""

    @property
    def kills(self) -> bool:
        return any(plan.startswith("hold") for plan in self.plans.values())


@dataclass(frozen=True)
class Program:
    seed: int
    ordered: bool
    """Each resource is registered when the former one is there, and one operation runs at a time: which of two
    failures comes first is no matter of luck. Programs that register at once have no faults."""
    steps: list[Step]

    def without_step(self, index: int) -> Program:
        return dataclasses.replace(self, steps=[*self.steps[:index], *self.steps[index + 1 :]])

    def with_step(self, index: int, step: Step) -> Program:
        return dataclasses.replace(self, steps=[*self.steps[:index], step, *self.steps[index + 1 :]])


def to_json(program: Program) -> str:
    """Empty parts are left out."""
    shown = dataclasses.asdict(program)
    shown["steps"] = [{key: value for key, value in step.items() if value or key == "verb"} for step in shown["steps"]]
    return json.dumps(shown, indent=1) + "\n"


def from_json(text: str) -> Program:
    read = json.loads(text)
    steps = [Step(**{"resources": [], **step}) for step in read["steps"]]
    return Program(read["seed"], read["ordered"], steps)
