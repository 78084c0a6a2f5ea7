"""Play a program on the engines that there are; what came out differently, and what must not be, are findings."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from lab.engine import state
from lab.engine.backend import Backend
from lab.engine.errors import EngineError
from tests.engine import engines
from tests.engine.engines import Result
from tests.engine.project_under_test import PROJECT, STACK, calls, cloud, make_project, wish
from tests.engines.programs import Program, Step
from tests.engines.racing import determined

_PATIENCE = 60.0
"""Seconds for a run that is to be killed to get there, or to end by itself."""
_CHANGES = ("create", "update", "delete")
_KILLED = Result(-9, "killed")


@dataclass
class Played:
    program: Program
    steps: int = 0
    runs: int = 0
    saves: int = 0
    kills: int = 0
    statuses: list[int] = field(default_factory=list)
    calls: int = 0
    """Provider calls of the embedded engine."""
    differences: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Invariants of the embedded engine that do not hold."""
    outputs: str = ""
    """What the engines printed in the step that was found fault with."""

    @property
    def findings(self) -> list[str]:
        return [*self.differences, *self.broken]


def play(program: Program, *, compare: bool) -> Played:
    """Ends at the first step with a finding. `compare`: on the pulumi CLI too, which must be on PATH."""
    played = Played(program)
    with tempfile.TemporaryDirectory(prefix="engines-") as directory:
        table = _Table(Path(directory), program, played, compare=compare)
        for number, step in enumerate(program.steps):
            table.take(f"step {number} ({' '.join([step.verb, *step.options])})", step)
            played.steps += 1
            if played.findings:
                return played
        table.settle()
    return played


class _Table:
    """Two projects side by side (or one): ours is the embedded engine's, theirs the CLI's."""

    def __init__(self, directory: Path, program: Program, played: Played, *, compare: bool) -> None:
        self._program, self._played = program, played
        self._ours = make_project(directory / "ours")
        self._theirs = make_project(directory / "theirs") if compare else None
        self._excused: set[str] = set()
        for project in self._projects:
            (project / "numbers").mkdir()
            (project / "plans").mkdir()

    @property
    def _projects(self) -> list[Path]:
        return [self._ours, *([self._theirs] if self._theirs else [])]

    def take(self, name: str, step: Step) -> None:
        """One command on both sides; faults that would be a matter of luck are left out."""
        if step.verb in ("refresh", "destroy") and not (self._ours / "state" / ".pulumi").exists():
            return
        self._excuse(step)
        if step.swap:
            self._swap()
        step = dataclasses.replace(step, plans=determined(step.plans, _records(self._ours)))
        for project in self._projects:
            _set_up(project, step, ordered=self._program.ordered)
        arguments = [step.verb, *step.options, *(["--parallel", "1"] if self._program.ordered else [])]
        mine = self._embedded(name, step, arguments)
        other = None
        if self._theirs is not None:
            other = _pulumi_killed(self._theirs, arguments) if step.kills else engines.pulumi(self._theirs, *arguments)
            self._played.runs += 1
        self._played.statuses.append(mine.status)
        self._compare(name, mine, other)
        for project in self._projects:
            _clear(project)

    def settle(self) -> None:
        """The last wish without its faults comes true; the same again changes nothing; destroy leaves nothing."""
        last = [_without_faults(item) for item in self._program.steps[-1].resources]
        for project in self._projects:
            _unprotect(project)
        for name, verb, changes in (("settling", "up", True), ("again", "up", False), ("the end", "destroy", True)):
            step = Step(verb, last)
            for project in self._projects:
                _set_up(project, step, ordered=self._program.ordered)
            arguments = [verb, *(["--parallel", "1"] if self._program.ordered else [])]
            mine = self._embedded(name, step, arguments)
            if mine.status:
                self._break(name, f"status {mine.status}", mine)
            other = None
            if self._theirs is not None and changes:
                other = engines.pulumi(self._theirs, *arguments)
                self._played.runs += 1
            made = calls(self._ours)
            if not changes and [call for call in made if call[0] in _CHANGES]:
                self._break(name, f"a second up is not empty: {made}", mine)
            self._compare(name, mine, other, made)
            if self._played.findings:
                return
        self._nothing_is_left()

    def _nothing_is_left(self) -> None:
        nothing = Result(0, "")
        left = {name for name in cloud(self._ours) if name.partition("-")[0] not in self._excused}
        if left:
            self._break("the end", f"left in the cloud: {sorted(left)}", nothing)
        if engines.resources(self._ours):
            self._break("the end", f"left in the state: {engines.resources(self._ours)}", nothing)

    def _embedded(self, name: str, step: Step, arguments: list[str]) -> Result:
        self._played.runs += 1
        if step.kills:
            result = _embedded_killed(self._ours, arguments)
            if (self._ours / "state" / ".pulumi").exists():
                self._verify(name, engines.deployment(self._ours), result)
        else:
            with _watched() as saves:
                result = engines.embedded(self._ours, *arguments)
            self._played.saves += len(saves)
            for saved in saves:
                self._verify(name, saved, result)
        self._played.kills += result is _KILLED
        if "the embedded engine failed" in result.output:
            self._break(name, "the engine itself failed", result)
        return result

    def _verify(self, name: str, deployment: dict[str, Any], result: Result) -> None:
        try:
            state.verify(deployment)
        except EngineError as error:
            self._break(name, f"an invalid state was saved: {error}", result)

    def _compare(self, name: str, mine: Result, other: Result | None, made: list[list[Any]] | None = None) -> None:
        made = calls(self._ours) if made is None else made
        self._played.calls += len(made)
        if self._theirs is None or other is None:
            return
        seen: list[str] = []
        if mine.status != other.status:
            seen.append(f"status {mine.status}, CLI {other.status}")
        ours, theirs = engines.multiset(made), engines.multiset(calls(self._theirs))
        if ours != theirs:
            seen.append(f"calls: only here {[*(ours - theirs).elements()]}, only CLI {[*(theirs - ours).elements()]}")
        if cloud(self._ours) != cloud(self._theirs):
            seen.append(f"cloud: {cloud(self._ours)}, CLI {cloud(self._theirs)}")
        seen.extend(_state_differences(self._ours, self._theirs))
        self._played.differences.extend(f"{name}: {what}" for what in seen)
        if seen:
            self._played.outputs = f"--- embedded\n{mine.output}\n--- pulumi\n{other.output}"

    def _break(self, name: str, what: str, result: Result) -> None:
        self._played.broken.append(f"{name}: {what}")
        self._played.outputs = f"--- embedded\n{result.output}"

    def _excuse(self, step: Step) -> None:
        """Objects that the engine may leave: it was told to, or was killed before it knew of them."""
        for item in step.resources:
            if {"retain_on_delete", "deleted_with"} & item.get("opts", {}).keys():
                self._excused.add(item["name"])
                self._excused |= {child["name"] for child in step.resources if child.get("opts", {}).get("parent")}
        self._excused |= {call.partition("-")[2] for call, plan in step.plans.items() if plan.startswith("hold")}

    def _swap(self) -> None:
        """States move: to the other engine, or, where there is but one, out of it and back."""
        if self._theirs is None:
            engines.move(self._ours, self._ours / "moved.json")
        else:
            engines.swap(self._ours, self._theirs)


def _set_up(project: Path, step: Step, *, ordered: bool) -> None:
    rest: dict[str, Any] = {"raises": "as planned"} if step.raises else {}
    wish(project, *step.resources, exports=step.exports, ordered=ordered, **rest)
    for call, plan in step.plans.items():
        (project / "plans" / call).write_text(plan)
    for name, change in step.drift.items():
        for path in sorted((project / "cloud").glob(f"{name}-*.json")):
            if change is None:
                path.unlink()
            else:
                path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def _records(project: Path) -> list[dict[str, Any]]:
    return engines.deployment(project).get("resources") or [] if (project / "state" / ".pulumi").exists() else []


def _clear(project: Path) -> None:
    for path in (project / "plans").iterdir():
        path.unlink()


def _without_faults(item: dict[str, Any]) -> dict[str, Any]:
    opts = {key: value for key, value in item["opts"].items() if key != "protect"} if "opts" in item else {}
    if "props" not in item:
        return {**item, "opts": opts}
    props = {key: value for key, value in item["props"].items() if key != "unready" and value != "bad"}
    return {**item, "opts": opts, "props": props}


def _unprotect(project: Path) -> None:
    """As `pulumi state unprotect --all`."""
    path = project / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json"
    if not path.exists():
        return
    content = json.loads(path.read_text())
    for record in (content["checkpoint"].get("latest") or {}).get("resources", []):
        record.pop("protect", None)
    path.write_text(json.dumps(content))
    path.with_name(f"{path.name}.attrs").unlink(missing_ok=True)


@contextmanager
def _watched() -> Iterator[list[dict[str, Any]]]:
    """Every deployment that is saved meanwhile."""
    saves: list[dict[str, Any]] = []
    save = Backend.save

    def keep(backend: Backend, stack: str, deployment: Any) -> None:
        saves.append(json.loads(json.dumps(deployment)))
        save(backend, stack, deployment)

    with mock.patch.object(Backend, "save", keep):
        yield saves


def _embedded_killed(project: Path, arguments: list[str]) -> Result:
    result = _until_held(engines.start_embedded(project, *arguments), project)
    engines.embedded(project, "cancel", "--yes")
    return result


def _pulumi_killed(project: Path, arguments: list[str]) -> Result:
    result = _until_held(engines.start_pulumi(project, *arguments), project)
    engines.pulumi(project, "cancel", "--yes")
    return result


def _until_held(process: subprocess.Popen[str], project: Path) -> Result:
    """Kill the engine when its provider is held; it may also come to an end without that."""
    held, end = project / "plans" / "go.begun", time.monotonic() + _PATIENCE
    while process.poll() is None and not held.exists():
        if time.monotonic() > end:
            _kill(process)
            raise TimeoutError(f"{process.args!r} neither came to the call that is held nor ended")
        time.sleep(0.005)
    if held.exists():
        _kill(process)
        process.communicate()
        return _KILLED
    output, _ = process.communicate()
    return Result(process.returncode, output)


def _kill(process: subprocess.Popen[str]) -> None:
    """The engine first, so that it does not learn of its children's end."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(children, timeout=_PATIENCE)


def _state_differences(ours: Path, theirs: Path) -> list[str]:
    if not (ours / "state" / ".pulumi").exists():
        return []
    mine, other = engines.resources(ours), engines.resources(theirs)
    left, right = ({json.dumps(item, sort_keys=True) for item in items} for items in (mine, other))
    seen = []
    if mine != other:
        seen.append(f"state: only here {sorted(left - right)}, only CLI {sorted(right - left)}")
    pending = [_pending(project) for project in (ours, theirs)]
    if pending[0] != pending[1]:
        seen.append(f"pending operations: {pending[0]}, CLI {pending[1]}")
    return seen


def _pending(project: Path) -> list[tuple[str, str]]:
    found = engines.deployment(project).get("pending_operations") or []
    return sorted((item["resource"]["urn"].rpartition("::")[2], item["type"]) for item in found)


def jobs_of_this_machine() -> int:
    return max(1, os.cpu_count() or 1)
