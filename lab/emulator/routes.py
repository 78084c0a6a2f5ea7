"""A table of routes: method and path pattern to handler, static segments in any letter case, as ARM has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote

Handler = TypeVar("Handler")


@dataclass(frozen=True)
class Found(Generic[Handler]):
    handler: Handler
    params: Mapping[str, str]


class RouteTable(Generic[Handler]):
    """Patterns look like `batchEndpoints/{endpoint}/listkeys`; a parameter is one segment."""

    def __init__(self, routes: Iterable[tuple[str, str, Handler]]) -> None:
        self._routes = [(method, _compile(pattern), handler) for method, pattern, handler in routes]

    def find(self, method: str, path: str) -> Found[Handler] | None:
        path = path.strip("/")
        for known, pattern, handler in self._routes:
            if known == method:
                match = pattern.fullmatch(path)
                if match:
                    return Found(handler, {name: unquote(value) for name, value in match.groupdict().items()})
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that this path has; empty for an unknown path."""
        path = path.strip("/")
        return sorted(method for method, pattern, _ in self._routes if pattern.fullmatch(path))


def _compile(pattern: str) -> re.Pattern[str]:
    parts = [
        f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
        for part in pattern.strip("/").split("/")
    ]
    return re.compile("/".join(parts), re.IGNORECASE)
