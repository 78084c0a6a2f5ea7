"""Scripted faults: what the emulator does instead of, before or after its own answer, in the order of the script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.emulator.call import Call

ACTIONS = ("reply", "drop", "cut", "delay", "stall", "outcome")


@dataclass(frozen=True)
class Outcome:
    """How an operation is to end."""

    status: str
    """Failed, Canceled, or never."""
    code: str = "UserError"
    message: str = "The operation failed because the lab was told so."


@dataclass
class ScriptedFault:
    """One entry. An entry without `method`, `path` or `host` matches any."""

    action: str
    method: str = ""
    path: str = ""
    """A regular expression, searched in path and query, in any letter case."""
    host: str = ""
    """A regular expression, searched in the host name."""
    times: int = 1
    """How often it still strikes; -1 for always."""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str | None = None
    """Instead of `body`: sent as it is, as `text/html` unless `headers` say otherwise."""
    when: str = "before"
    """before or after the request is handled: a drop or reply after it is a lost answer."""
    seconds: float = 0.0
    outcome: Outcome | None = None

    @property
    def handled_first(self) -> bool:
        """Whether the emulator does its work before the fault strikes."""
        return self.action in {"stall", "cut"} or self.when == "after"

    def matches(self, call: Call) -> bool:
        if self.times == 0 or (self.method and self.method != call.method):
            return False
        query = "&".join(f"{name}={value}" for name, value in call.query.items())
        target = f"{call.path}?{query}" if query else call.path
        if self.path and not re.search(self.path, target, re.IGNORECASE):
            return False
        return not self.host or bool(re.search(self.host, call.host, re.IGNORECASE))

    def as_json(self) -> dict[str, Any]:
        """As it was given, with what is left of `times`."""
        match = {"method": self.method, "path": self.path, "host": self.host}
        said: dict[str, Any] = {
            "action": self.action,
            "match": {k: v for k, v in match.items() if v},
            "times": self.times,
        }
        if self.action in {"reply", "drop"}:
            said["when"] = self.when
        if self.action == "reply":
            content = {"body": self.body} if self.text is None else {"text": self.text}
            said |= {"status": self.status, "headers": self.headers, **content}
        if self.action in {"delay", "stall"}:
            said["seconds"] = self.seconds
        if self.outcome is not None:
            said |= {"outcome": self.outcome.status, "code": self.outcome.code, "message": self.outcome.message}
        return said


class FaultScript:
    """The entries in force; the first that matches strikes, delays and outcomes besides it."""

    def __init__(self) -> None:
        self._entries: list[ScriptedFault] = []

    def replace(self, script: Sequence[Mapping[str, Any]]) -> None:
        """Take a script. Raises ValueError that names the entry and what is wrong with it."""
        self._entries = [_entry(number, entry) for number, entry in enumerate(script)]

    def add(self, script: Sequence[Mapping[str, Any]]) -> None:
        """Take more entries, after those in force, whose counts go on. Raises ValueError as `replace` does."""
        self._entries += [_entry(number, entry) for number, entry in enumerate(script)]

    def as_json(self) -> list[dict[str, Any]]:
        return [entry.as_json() for entry in self._entries]

    def delay(self, call: Call) -> float:
        """Seconds to wait before handling the call."""
        struck = self._strike(call, ("delay",))
        return struck.seconds if struck else 0.0

    def strike(self, call: Call) -> ScriptedFault | None:
        """The reply, drop, cut or stall that this call meets."""
        return self._strike(call, ("reply", "drop", "cut", "stall"))

    def outcome(self, call: Call) -> Outcome | None:
        """How the operation that this call begins is to end, when the script says so."""
        struck = self._strike(call, ("outcome",))
        return struck.outcome if struck else None

    def _strike(self, call: Call, actions: tuple[str, ...]) -> ScriptedFault | None:
        for entry in self._entries:
            if entry.action in actions and entry.matches(call):
                if entry.times > 0:
                    entry.times -= 1
                return entry
        return None


_KEYS = {
    *("match", "times", "action", "status", "headers", "body", "text", "when", "seconds", "outcome", "code", "message")
}


_MOST_SECONDS = 86_400
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t -~]*")


def _entry(number: int, given: Mapping[str, Any]) -> ScriptedFault:
    where = f"faults[{number}]"
    strange = sorted(set(given) - _KEYS)
    match = given.get("match", {})
    strange += [f"match.{name}" for name in sorted(set(match) - {"method", "path", "host"})]
    if strange:
        raise ValueError(f"{where}: unknown {', '.join(strange)}; there are {', '.join(sorted(_KEYS))}")
    action = given.get("action")
    if action not in ACTIONS:
        raise ValueError(f"{where}.action: must be one of {', '.join(ACTIONS)}, got {action!r}")
    if given.get("when", "before") not in {"before", "after"}:
        raise ValueError(f"{where}.when: must be before or after, got {given['when']!r}")
    for name in ("path", "host"):
        try:
            re.compile(match.get(name, ""))
        except re.error as error:
            raise ValueError(f"{where}.match.{name}: {error}") from error
    status, seconds = int(given.get("status", 500)), float(given.get("seconds", 0.0))
    if not 200 <= status <= 599:
        raise ValueError(f"{where}.status: must be a final status of HTTP, 200 to 599, got {status}")
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError(f"{where}.seconds: must be at least 0 and at most {_MOST_SECONDS}, got {seconds}")
    headers = {str(name): str(value) for name, value in given.get("headers", {}).items()}
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}: {value}"):
            raise ValueError(f"{where}.headers: {name!r} with {value!r} is no header of HTTP")
    outcome = None
    if action == "outcome":
        if given.get("outcome") not in {"Failed", "Canceled", "never"}:
            raise ValueError(f"{where}.outcome: must be Failed, Canceled or never, got {given.get('outcome')!r}")
        outcome = Outcome(given["outcome"], given.get("code", Outcome.code), given.get("message", Outcome.message))
    return ScriptedFault(
        action=action,
        method=str(match.get("method", "")).upper(),
        path=match.get("path", ""),
        host=match.get("host", ""),
        times=int(given.get("times", 1)),
        status=status,
        headers=headers,
        body=given.get("body"),
        text=None if given.get("text") is None else str(given["text"]),
        when=given.get("when", "before"),
        seconds=seconds,
        outcome=outcome,
    )
