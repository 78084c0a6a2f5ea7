"""The far side for tests of kinds: Resource Manager as a dictionary behind httpx, and what was asked of it.

It is deliberately dumb: what the real service makes of a request is the lab's business and is tested there.
"""

import json
from collections.abc import Callable
from typing import Any

import httpx
from azure.core.credentials import AccessToken

from providers.arm import ArmClient

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
OWNER = "p/s/0123456789abcdef"
SHARED = {"cloud": "public", "api_version": "2025-12-01", "deadline": "PT30M"}


class FarSide:
    """ARM id -> resource; PUT stores what it is sent, DELETE forgets it and all below it."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.queries: list[str] = []
        """Method and query of each request."""
        self.normalise: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: body
        self.before: Callable[[str, str], httpx.Response | None] = lambda method, path: None
        """Called with each request's method and path, first; an answer that it gives is the answer."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body: Any = json.loads(request.content) if request.content else None
        self.requests.append((request.method, path, body))
        self.queries.append(f"{request.method} {request.url.query.decode()}")
        answer = self.before(request.method, path)
        if answer is not None:
            return answer
        if request.method == "PUT":
            created = path.lower() not in self.resources
            self.resources[path.lower()] = self.normalise({"id": path, **body})
            return httpx.Response(201 if created else 200, json=self.resources[path.lower()])
        if request.method == "DELETE":
            gone = [each for each in self.resources if each.startswith(path.lower())]
            for each in gone:
                del self.resources[each]
            return httpx.Response(200 if gone else 204)
        found = self.resources.get(path.lower())
        if found is None:
            return httpx.Response(404, json={"error": {"code": "UserError", "message": "not found"}})
        return httpx.Response(200, json=found)

    def has(self, path: str, body: dict[str, Any]) -> None:
        self.resources[path.lower()] = {"id": path, **body}

    def puts(self) -> list[Any]:
        return [body for method, _, body in self.requests if method == "PUT"]

    def client(self) -> ArmClient:
        ticks = iter(range(10**9))
        return ArmClient(
            transport=httpx.MockTransport(self),
            credential=AnyToken(),
            clock=lambda: float(next(ticks)),
            sleep=lambda _: None,
        )


class AnyToken:
    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token-of-nobody", 10**10)
