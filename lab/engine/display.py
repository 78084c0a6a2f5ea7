"""What a person sees: one line per change, live messages, diagnostics at the end, and the CLI's summary."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from lab.engine import state as states
from lab.engine import urn as urns
from lab.engine import values
from lab.engine.state import State
from lab.engine.step import PAST, PREFIX, WORDS, Step

_COLORS = {"create": 32, "update": 33, "delete": 31, "replace": 35, "create-replacement": 32, "delete-replaced": 31}
_HEADERS = {"update": "Updating", "refresh": "Refreshing", "destroy": "Destroying"}
_MARKS = (("+", "add"), ("-", "delete"), ("~", "update"))
_SUMMARY = ("create", "update", "delete", "replace")


class Display:
    """Thread-safe. In `digest` mode nothing is printed as it happens; `json()` has it all."""

    def __init__(
        self,
        project: str,
        stack: str,
        *,
        preview: bool = False,
        digest: bool = False,
        show_sames: bool = False,
        show_properties: bool = False,
        color: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._stack, self._preview, self._digest = stack, preview, digest
        self._stack_urn = urns.make(stack, project, "", urns.STACK_TYPE, f"{project}-{stack}")
        self._show_sames, self._show_properties, self._color = show_sames, show_properties, color
        self._stream = stream or sys.stdout
        self.lock = threading.RLock()
        self._started_at: dict[int, float] = {}
        self._last_status: dict[str, str] = {}
        self._diagnostics: dict[str, list[tuple[str, str]]] = {}
        self._steps: list[dict[str, Any]] = []
        self._errored: set[str] = set()

    def header(self, kind: str) -> None:
        verb = f"Previewing {kind}" if self._preview else _HEADERS[kind]
        self._print(f"{verb} ({self._stack}):")

    def started(self, step: Step) -> None:
        with self.lock:
            self._started_at[id(step)] = time.monotonic()
            if step.internal:
                return
            self._add_to_digest(step)
            if step.op == "refresh" or (step.op == "same" and not self._show_sames):
                return
            planned, running, _, _ = WORDS[step.op]
            self._line(step, step.op, planned if self._preview else f"{running} (0s)" if running else "")
            if self._show_properties:
                for line in property_lines(step):
                    self._print(f"      {line}")

    def finished(self, step: Step) -> None:
        with self.lock:
            if step.internal or step.op == "same":
                return
            if step.op == "refresh":
                if step.result_op in ("update", "delete"):
                    self._line(step, step.result_op, WORDS[step.result_op][0 if self._preview else 2])
                    self._replace_in_digest(step)
            elif not self._preview:
                self._line(step, step.op, f"{WORDS[step.op][2]} ({self._seconds(step):.2f}s)")

    def failed(self, step: Step) -> None:
        with self.lock:
            if not step.internal:
                self._errored.add(step.urn)
                self._line(step, step.op, f"**{WORDS[step.op][3]}** ({self._seconds(step):.2f}s)")

    def report(self, urn: str, severity: str, message: str) -> None:
        self.log(urn, severity, message, False)

    def log(self, urn: str, severity: str, message: str, ephemeral: bool) -> None:
        """A message of program, provider or engine; an ephemeral one is shown now, and not kept."""
        if severity == "debug":
            return
        with self.lock:
            if not ephemeral:
                self._diagnostics.setdefault(urn or self._stack_urn, []).append((severity, message))
            elif message.strip() and self._last_status.get(urn) != message:
                self._last_status[urn] = message
                name = urns.name_of(urn) if urn else self._stack
                self._print(f"  {name}: {' '.join(message.split())}")

    def summary(self, changes: Mapping[str, int], seconds: float) -> None:
        self._print("Resources:")
        kinds = [kind for kind in _SUMMARY if changes.get(kind)]
        for kind in kinds:
            words = f"to {kind}" if self._preview else PAST[kind]
            self._print(f"    {self._paint(kind, f'{PREFIX[kind]}{changes[kind]} {words}')}")
        pieces = [f"{sum(changes[kind] for kind in kinds)} changes"] if len(kinds) > 1 else []
        if changes.get("same"):
            pieces.append(f"{changes['same']} unchanged")
        if pieces:
            self._print(f"    {'. '.join(pieces)}")
        if self._errored and not self._preview:
            self._print(f"    {len(self._errored)} errored")
        if not self._preview:
            self._print(f"\nDuration: {duration(math.ceil(seconds))}")

    def diagnostics(self) -> None:
        if not self._diagnostics:
            return
        self._print("Diagnostics:")
        for urn, messages in self._diagnostics.items():
            self._print(f"  {urns.type_of(urn)} ({urns.name_of(urn)}):")
            for severity, message in messages:
                prefix = "" if severity == "info" else f"{severity}: "
                for line in (prefix + message).rstrip().splitlines() or [""]:
                    self._print(f"    {line}")
            self._print("")

    def events(self) -> str:
        """The diagnostics as lines of the CLI's event log: `{"diagnosticEvent": {urn, message, severity}}`."""
        found = [
            {"diagnosticEvent": {"urn": urn, "message": message, "severity": severity}}
            for urn, messages in self._diagnostics.items()
            for severity, message in messages
        ]
        return "".join(json.dumps(event) + "\n" for event in found)

    def outputs(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """The stack's outputs, changed ones marked as such; secrets stay hidden."""
        shown = {key: value for key, value in values.plain(dict(new), _hidden).items() if value is not None}
        if not shown:
            return
        self._print("Outputs:")
        width = max(map(len, shown))
        changes = values.changed_keys(old, new) if old else {}
        for key, value in sorted(shown.items()):
            mark = {"add": "+ ", "update": "~ "}.get(changes.get(key, ""), "  ")
            text = render(value, 4).lstrip()
            if changes.get(key) == "update":
                text = f"{render(values.plain(old[key], _hidden), 4).lstrip()} => {text}"
            self._print(f"  {mark}{key:<{width}}: {text}")
        self._print("")

    def json(self, config: Mapping[str, str], changes: Mapping[str, int], seconds: float) -> str:
        """The CLI's preview digest; `duration` is in nanoseconds."""
        flat = [
            {"urn": urn, "message": f"{severity}: {message}\n", "severity": severity}
            for urn, messages in self._diagnostics.items()
            for severity, message in messages
        ]
        digest = {
            "config": dict(config),
            "steps": self._steps,
            "diagnostics": flat,
            "duration": int(seconds * 1e9),
            "changeSummary": dict(changes),
        }
        return json.dumps({key: value for key, value in digest.items() if value}, indent=4)

    def _add_to_digest(self, step: Step) -> None:
        hidden = step.op in ("create-replacement", "delete-replaced")
        quiet = step.op == "same" and not self._show_sames and step.state.type != urns.STACK_TYPE
        if self._digest and not hidden and not (quiet and not _protection_changed(step)):
            self._steps.append(_digest_step(step, step.op))

    def _replace_in_digest(self, step: Step) -> None:
        for index, item in enumerate(self._steps):
            if item["urn"] == step.urn and step.result_op:
                self._steps[index] = _digest_step(step, step.result_op)

    def _line(self, step: Step, op: str, words: str) -> None:
        diff = short_diff(step)
        text = f" {PREFIX[op]} {step.state.type} {step.state.name} {words}{f' [diff: {diff}]' if diff else ''}"
        self._print(self._paint(op, text))

    def _seconds(self, step: Step) -> float:
        return time.monotonic() - self._started_at[id(step)]

    def _paint(self, op: str, text: str) -> str:
        return f"\x1b[{_COLORS[op]}m{text}\x1b[0m" if self._color and op in _COLORS else text

    def _print(self, text: str) -> None:
        if not self._digest:
            with self.lock:
                try:
                    self._stream.write(f"{text}\n")
                    self._stream.flush()
                except BrokenPipeError:
                    # Who listened has gone (`up | head`): what is under way goes on, and its state is saved.
                    _point_nowhere(self._stream)


def _point_nowhere(stream: TextIO) -> None:
    """Let the stream's writes succeed from now on, the interpreter's own at exit too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def short_diff(step: Step) -> str:
    """`+added,too-gone~changed` of an update or a replacement, as the CLI sums it up."""
    if step.old is None or step.new is None or step.op == "same":
        return ""
    if step.detailed_diff is not None:
        tops = {path.split(".")[0].split("[")[0]: kind for path, (kind, _) in step.detailed_diff.items()}
        changes = {key: kind.removesuffix("-replace") for key, kind in tops.items()}
    else:
        compared = values.changed_keys(step.old.inputs, step.new.inputs)
        changes = {key: kind for key, kind in compared.items() if not key.startswith("__")}
    changes.update({key: "update" for key in step.changed_keys if key not in changes})
    for name in ("provider", "protect"):
        if getattr(step.old, name) != getattr(step.new, name):
            changes[name] = "update"
    groups = [(mark, sorted(key for key in changes if changes[key] == kind)) for mark, kind in _MARKS]
    return "".join(mark + ",".join(keys) for mark, keys in groups if keys)


def property_lines(step: Step) -> list[str]:
    """Every input of a new or deleted resource, every changed one of a changed one."""
    old = {} if step.old is None else values.plain(step.old.inputs, _hidden)
    new = {} if step.new is None else values.plain(step.new.inputs, _hidden)
    lines = []
    for key in sorted({*old, *new}):
        if key.startswith("__"):
            continue
        if key not in new or key not in old:
            sign, value = ("+", new[key]) if key in new else ("-", old[key])
            lines.append(f"{sign} {key}: {render(value, 6).lstrip()}")
        elif not values.same(old[key], new[key]):
            lines.append(f"~ {key}: {render(old[key], 6).lstrip()} => {render(new[key], 6).lstrip()}")
    return lines


def render(value: Any, indent: int) -> str:
    """A plain value as the CLI shows it, nested ones over several lines."""
    pad = " " * indent
    if isinstance(value, dict):
        if not value:
            return "{}"
        inner = [f"{pad}    {key}: {render(item, indent + 4).lstrip()}" for key, item in value.items()]
        return "\n".join(["{", *inner, f"{pad}}}"])
    if isinstance(value, list):
        if not value:
            return "[]"
        inner = [f"{pad}    [{index}]: {render(item, indent + 4).lstrip()}" for index, item in enumerate(value)]
        return "\n".join(["[", *inner, f"{pad}]"])
    if isinstance(value, values.Unknown):
        return "[unknown]"
    if isinstance(value, str) and value == SECRET_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


SECRET_TEXT = "[secret]"  # noqa: S105  (what stands for one)


def _hidden(_: Any) -> str:
    return SECRET_TEXT


def duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _protection_changed(step: Step) -> bool:
    return step.old is not None and step.new is not None and step.old.protect != step.new.protect


def _digest_step(step: Step, op: str) -> dict[str, Any]:
    detailed = step.detailed_diff
    found: dict[str, Any] = {"op": op, "urn": step.urn}
    if step.state.provider:
        found["provider"] = step.state.provider
    if step.old is not None:
        found["oldState"] = _without_secrets(step.old)
    if step.new is not None:
        found["newState"] = _without_secrets(step.new)
    if step.changed_keys:
        found["diffReasons"] = list(step.changed_keys)
    if step.replace_keys:
        found["replaceReasons"] = list(step.replace_keys)
    found["detailedDiff"] = detailed and {
        path: {"kind": kind, "inputDiff": of_inputs} for path, (kind, of_inputs) in detailed.items()
    }
    return found


def _without_secrets(item: State) -> dict[str, Any]:
    shown = item.copy()
    shown.inputs = {key: values.plain(value, _hidden) for key, value in item.inputs.items()}
    shown.outputs = {key: values.plain(value, _hidden) for key, value in item.outputs.items()}
    return states.to_json(shown, None)
