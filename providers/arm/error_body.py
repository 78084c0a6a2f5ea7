"""What an error body says, whatever its shape. Decisions only, and none of them raises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .clocks import about_time


@dataclass(frozen=True)
class Said:
    """What an error body says, whatever its shape."""

    code: str = ""
    inner_code: str = ""
    message: str = ""
    failures: tuple[tuple[str, str], ...] = ()
    correlation_id: str = ""
    details: tuple[str, ...] = ()


def said_in(text: str) -> Said:
    """Read an error body: ARM's envelope, AML's, OData's, OAuth's, a bare one, or blob storage's XML."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _said_in_xml(text)
    return said_by(document)


def said_by(document: Any) -> Said:
    """`said_in` for a body that is parsed already, or for the `error` of an operation."""
    outer = _mapping(document)
    error = _lowered(outer)
    inside = error.get("error", error.get("odata.error"))
    if isinstance(inside, str):
        return Said(code=inside, message=_text(error.get("error_description")))
    if isinstance(inside, Mapping):
        error = _lowered(inside)
    code = _text(error.get("code"))
    message = _text(error.get("message"))
    codes = [code, *_inner_codes(error, depth=8)]
    innermost = next((each for each in reversed(codes) if each and each != code), "")
    details = tuple(_details(error, depth=4))
    return Said(
        code=code,
        inner_code=innermost,
        message=message,
        failures=_failures(message),
        correlation_id=_correlation(error),
        details=details,
    )


def _said_in_xml(text: str) -> Said:
    """Blob storage: `<Error><Code>..</Code><Message>..</Message></Error>`, read by pattern, since any XML may come."""
    head = text[:20_000]
    if "<Error>" not in head:
        return Said()
    code = re.search(r"<Code>([^<]*)</Code>", head)
    message = re.search(r"<Message>([^<]*)</Message>", head)
    time = about_time(head.partition("<AuthenticationErrorDetail>")[2])
    return Said(
        code=code.group(1) if code else "",
        message=message.group(1) if message else "",
        details=(time,) if time else (),
    )


def _inner_codes(error: dict[str, Any], depth: int) -> Iterator[str]:
    """Codes below the top one, from the outside in: `innererror` chains, then those in `additionalInfo`."""
    if depth == 0:
        return
    for entry in _list(error.get("additionalinfo")):
        info = _lowered(_mapping(entry))
        if _text(info.get("type")).lower() == "innererror":
            value = _lowered(_mapping(_lowered(_mapping(info.get("info"))).get("value")))
            yield _text(value.get("code"))
            yield from _inner_codes(value, depth - 1)
    inner = error.get("innererror")
    if isinstance(inner, Mapping):
        lowered = _lowered(inner)
        yield _text(lowered.get("code"))
        yield from _inner_codes(lowered, depth - 1)


def _details(error: dict[str, Any], depth: int) -> Iterator[str]:
    if depth == 0:
        return
    for entry in _list(error.get("details"))[:20]:
        detail = _lowered(_mapping(entry))
        words = ": ".join(word for word in (_text(detail.get("code")), _text(detail.get("message"))) if word)
        if words:
            yield words
        yield from _details(detail, depth - 1)


def _correlation(error: dict[str, Any]) -> str:
    for entry in _list(error.get("additionalinfo")):
        info = _lowered(_mapping(entry))
        if _text(info.get("type")).lower() == "correlation":
            value = _lowered(_mapping(_lowered(_mapping(info.get("info"))).get("value")))
            return _text(value.get("operation"))
    return ""


def _failures(message: str) -> tuple[tuple[str, str], ...]:
    """The pairs in `... validation errors ... Errors: [{"PropertyName": .., "ErrorMessage": ..}]`."""
    start = message.find("Errors: [")
    if start < 0:
        return ()
    try:
        entries, _ = json.JSONDecoder().raw_decode(message[start + len("Errors: ") :])
    except (ValueError, RecursionError):
        return ()
    pairs = (
        (_text(each.get("propertyname")), _text(each.get("errormessage")))
        for each in map(_lowered, map(_mapping, _list(entries)))
    )
    return tuple(pair for pair in pairs if any(pair))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _lowered(value: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): item for key, item in value.items()}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    if isinstance(value, Mapping):  # OData: {"lang": "en-us", "value": "..."}
        value = value.get("value")
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
