"""One request as the emulator's rooms see it, and one reply: values, free of the web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.emulator import lenient_json
from lab.emulator.errors import user_error

JsonObject = dict[str, Any]


class _Empty:
    """No body at all: zero bytes, which is not the JSON `null`."""


EMPTY = _Empty()


@dataclass(frozen=True)
class Call:
    """`params` are the named segments of the route that matched; query names are lower-cased."""

    method: str
    host: str
    path: str
    now: float
    """Seconds since the epoch."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names lower-cased."""
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)
    workspace: str = ""
    """ARM id of the workspace that the route lies in, as it is spelled where it was made."""
    too_large: bool = False
    """The body was larger than the service takes, and none of it is kept."""

    @property
    def api_version(self) -> str:
        return self.query.get("api-version", "")

    def json(self) -> Any:
        """The body read leniently; no body is `None`. Raises the service's 400 for what is no JSON."""
        if not self.body.strip():
            return None
        try:
            return lenient_json.loads(self.body)
        except ValueError as error:
            raise user_error(
                400, f"The request body could not be read as JSON: {error}", inner=("BadArgument", "InvalidJson")
            ) from error

    def json_object(self) -> JsonObject:
        """The body as an object. Raises the service's 400 otherwise."""
        value = self.json()
        if not isinstance(value, dict):
            raise user_error(400, "The request body must be a JSON object.", inner=("BadArgument", "InvalidJson"))
        return value


@dataclass
class Reply:
    """`body` is anything that JSON can say, bytes that go out as they are, or `EMPTY`."""

    status: int
    body: object = EMPTY
    headers: dict[str, str] = field(default_factory=dict)
