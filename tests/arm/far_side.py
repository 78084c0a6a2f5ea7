"""The far side of an ArmClient: a scripted Azure, a clock that only sleeping moves, and a credential that counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpx
from azure.core.credentials import AccessToken

from providers.arm import PUBLIC, ArmClient, Cloud

WORKSPACE = (
    "/subscriptions/11111111-0000-0000-0000-000000000000/resourceGroups/rg"
    "/providers/Microsoft.MachineLearningServices/workspaces/ws"
)
ENDPOINT = f"{WORKSPACE}/batchEndpoints/digits"
OPERATION = "https://management.azure.com/subscriptions/1/providers/Microsoft.MachineLearningServices/locations/eastus"
SECRET = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL21hbmFnZW1lbnQifQ.c2lnbmF0dXJlLW9mLXRlc3Q"
API = "2025-12-01"

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Clock:
    """Monotonic seconds; `sleep` moves it and keeps a record."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.sleeps.append(seconds)
        self.now += seconds


class Credential:
    """Signs in at once; each token is `<SECRET><number>` for one audience."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.options: list[dict[str, Any]] = []
        self.renewed = 0
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        with self._lock:
            self.asked.append(scopes[0])
            self.options.append(options)
            return AccessToken(f"{SECRET}{len(self.asked)}", 2**40)

    def renew(self) -> None:
        self.renewed += 1


class Far:
    """Answers requests from a list, in order; the last one for ever. Exceptions in it are raised."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        if not isinstance(reply, httpx.Response):
            return reply(request)
        # A response object can be read once: give a fresh one each time.
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    @property
    def sent(self) -> list[str]:
        """`VERB last-part-of-the-path`, in order."""
        return [f"{request.method} {request.url.path.rpartition('/')[2]}" for request in self.requests]


def client_of(
    far: Callable[[httpx.Request], httpx.Response],
    *,
    clock: Clock | None = None,
    credential: Credential | None = None,
    cloud: Cloud = PUBLIC,
) -> ArmClient:
    """A client whose far side is `far`, without jitter."""
    clock = clock or Clock()
    return ArmClient(
        cloud=cloud,
        credential=credential or Credential(),
        transport=httpx.MockTransport(far),
        clock=clock,
        sleep=clock.sleep,
        random=lambda: 0.0,
    )


def reply(status: int, body: Any = None, **headers: str) -> httpx.Response:
    """A JSON answer; header names take underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"" if body is None else json.dumps(body).encode()
    return httpx.Response(status, headers={"content-type": "application/json", **named}, content=content)


def refusal(status: int, code: str, message: str = "no", **headers: str) -> httpx.Response:
    """ARM's error envelope."""
    return reply(status, {"error": {"code": code, "message": message}}, **headers)


def resource(state: str | None = "Succeeded", arm_id: str = ENDPOINT) -> dict[str, Any]:
    """A resource as ARM gives it."""
    properties = {} if state is None else {"provisioningState": state}
    return {"id": arm_id, "name": arm_id.rpartition("/")[2], "properties": properties}


def statuses(*words: str) -> Iterable[httpx.Response]:
    """The answers of an operation, one after the other."""
    return (reply(200, {"id": "op", "name": "op", "status": word}) for word in words)
