"""What a request body may hold, declared once per property, and read as the service reads it.

Property names and enum values match in any letter case and come back in the service's own; numbers may be strings; null
and absent take the default; read-only properties are accepted and dropped. Everything else is refused by name: faults
and unknown properties are collected, so that one answer names them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab.emulator.errors import UNKNOWN_TO_THE_LAB, AzureError, Fault, validation_error


@dataclass
class Findings:
    """What is wrong with one body."""

    faults: list[Fault] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Wire paths: `properties.miniBachSize`."""

    def fault(self, where: str, message: str, attempted: object) -> None:
        self.faults.append(Fault(_validator_name(where), message, attempted))


class Kind(Protocol):
    def read(self, value: Any, where: str, findings: Findings) -> Any: ...


@dataclass(frozen=True)
class Property:
    """One property of a `Shape`."""

    kind: Kind
    default: Any = None
    required: bool = False
    sparse: bool = False
    """Left out of the result, not null, when it is not given."""


@dataclass(frozen=True)
class Shape:
    """An object with these properties and no others; `read_only` ones are dropped."""

    properties: Mapping[str, Property]
    read_only: tuple[str, ...] = ()

    def read(self, value: Any, where: str, findings: Findings) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            findings.fault(where, f"'{_words(where)}' must be an object.", value)
            return None
        given: dict[str, Any] = {}
        known = {name.lower(): name for name in self.properties}
        dropped = {name.lower() for name in self.read_only}
        for name, item in value.items():
            if name.lower() in known:
                given[known[name.lower()]] = item
            elif name.lower() not in dropped:
                findings.unknown.append(_join(where, name))
        result: dict[str, Any] = {}
        for name, declared in self.properties.items():
            item = given.get(name)
            if item is None:
                if declared.required:
                    findings.fault(_join(where, name), f"'{_words(name)}' must not be empty.", None)
                elif not declared.sparse or declared.default is not None:
                    result[name] = _copy(declared.default)
                continue
            result[name] = declared.kind.read(item, _join(where, name), findings)
        return result


@dataclass(frozen=True)
class OneOf:
    """An object whose shape is named by one of its properties, in any letter case."""

    discriminator: str
    shapes: Mapping[str, Shape]

    def read(self, value: Any, where: str, findings: Findings) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            findings.fault(where, f"'{_words(where)}' must be an object.", value)
            return None
        rest = {name: item for name, item in value.items() if name.lower() != self.discriminator.lower()}
        given = next((item for name, item in value.items() if name.lower() == self.discriminator.lower()), None)
        tag = next((known for known in self.shapes if known.lower() == str(given).lower()), None)
        if tag is None:
            listed = ", ".join(self.shapes)
            findings.fault(_join(where, self.discriminator), f"Must be one of {listed}.", given)
            return None
        read = self.shapes[tag].read(rest, where, findings)
        return None if read is None else {self.discriminator: tag, **read}


@dataclass(frozen=True)
class Text:
    """A string; `choices` match in any letter case and come back as written here; numbers are written out."""

    choices: tuple[str, ...] = ()
    pattern: str = ""
    """Must be found somewhere in the text, as the specification's `[a-zA-Z0-9_]` is meant."""

    def read(self, value: Any, where: str, findings: Findings) -> str | None:
        if isinstance(value, bool | int | float):
            value = str(value)
        if not isinstance(value, str):
            findings.fault(where, f"'{_words(where)}' must be a string.", value)
            return None
        if self.choices:
            for choice in self.choices:
                if choice.lower() == value.lower():
                    return choice
            findings.fault(where, f"'{_words(where)}' must be one of {', '.join(self.choices)}.", value)
            return None
        if self.pattern and not re.search(self.pattern, value):
            findings.fault(where, f"'{_words(where)}' must not be empty.", value)
        return value


@dataclass(frozen=True)
class Whole:
    """A whole number, also as a string."""

    low: int = -(2**63)
    high: int = 2**63 - 1

    def read(self, value: Any, where: str, findings: Findings) -> int | None:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            findings.fault(where, f"'{_words(where)}' must be a whole number.", value)
            return None
        if not self.low <= number <= self.high:
            findings.fault(where, f"'{_words(where)}' must be between {self.low} and {self.high}.", value)
            return None
        return number


INT32 = 2**31 - 1


@dataclass(frozen=True)
class Truth:
    def read(self, value: Any, where: str, findings: Findings) -> bool | None:
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if not isinstance(value, bool):
            findings.fault(where, f"'{_words(where)}' must be true or false.", value)
            return None
        return value


_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?")


@dataclass(frozen=True)
class Duration:
    """An ISO 8601 duration of whole seconds, written back in the shortest form: `PT60S` comes back as `PT1M`."""

    def read(self, value: Any, where: str, findings: Findings) -> str | None:
        seconds = duration_seconds(value) if isinstance(value, str) else None
        if seconds is None:
            findings.fault(where, f"'{_words(where)}' must be an ISO 8601 duration such as PT30S.", value)
            return None
        return duration_text(seconds)


def duration_seconds(text: str) -> int | None:
    """Seconds of an ISO 8601 duration of days, hours, minutes and seconds, or None."""
    match = _DURATION.fullmatch(text.upper())
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def duration_text(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    date = f"{days}D" if days else ""
    time = "".join(f"{number}{unit}" for number, unit in ((hour, "H"), (minute, "M"), (second, "S")) if number)
    if not date and not time:
        return "PT0S"
    return f"P{date}T{time}" if time else f"P{date}"


@dataclass(frozen=True)
class Texts:
    """A map of strings. Tags: values must not be null or empty (azure-sdk-for-python#44114)."""

    tags: bool = False

    def read(self, value: Any, where: str, findings: Findings) -> dict[str, str | None] | None:
        if not isinstance(value, dict):
            findings.fault(where, f"'{_words(where)}' must be an object of strings.", value)
            return None
        read: dict[str, str | None] = {}
        for name, item in value.items():
            if self.tags and item in (None, ""):
                findings.fault(f"{where}[{name}]", "Tag values must not be null or empty.", item)
            elif isinstance(item, dict | list):
                findings.fault(f"{where}[{name}]", "Must be a string.", item)
            else:
                read[name] = None if item is None else str(item)
        return read


@dataclass(frozen=True)
class Anything:
    """Kept as it is."""

    def read(self, value: Any, where: str, findings: Findings) -> Any:  # noqa: ARG002
        return value


@dataclass(frozen=True)
class ListOf:
    """A list of one kind, with at least one item unless it may be `empty`."""

    kind: Kind
    empty: bool = False

    def read(self, value: Any, where: str, findings: Findings) -> list[Any] | None:
        if not isinstance(value, list) or not (value or self.empty):
            findings.fault(
                where, f"'{_words(where)}' must be a list{'' if self.empty else ' of at least one item'}.", value
            )
            return None
        return [self.kind.read(item, f"{where}[{number}]", findings) for number, item in enumerate(value)]


@dataclass(frozen=True)
class MapOf:
    """A map whose names are the caller's own and whose values are of one kind."""

    kind: Kind

    def read(self, value: Any, where: str, findings: Findings) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            findings.fault(where, f"'{_words(where)}' must be an object.", value)
            return None
        return {name: self.kind.read(item, f"{where}[{name}]", findings) for name, item in value.items()}


def read_body(shape: Shape, body: Any, what: str) -> dict[str, Any]:
    """The body in the service's own spelling. `what`: Endpoint, Deployment, ... for the error's text.

    Raises 400 that names every unknown property, else 400 with every fault.
    """
    findings = Findings()
    read = shape.read(body, "", findings)
    if findings.unknown:
        names = ", ".join(f"'{name}'" for name in findings.unknown)
        raise AzureError(400, UNKNOWN_TO_THE_LAB, f"The lab does not know {names} in a {what} request.", bare=True)
    if findings.faults or read is None:
        raise validation_error(what, findings.faults)
    return read


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _validator_name(where: str) -> str:
    parts = where.removeprefix("properties.").split(".")
    return ".".join(part[:1].upper() + part[1:] for part in parts)


def _words(where: str) -> str:
    """`environmentId` as the service's validator writes it: `Environment Id`."""
    name = where.rpartition(".")[2] or "body"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name[:1].upper() + name[1:])


def _copy(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value
