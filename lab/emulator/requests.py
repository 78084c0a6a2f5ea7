"""The newest requests, for people and tests that ask what a client really sent. No header values but one id."""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import Any

from lab.emulator.call import Call, Reply

REFUSED_BY_THE_PROXY = "RefusedByTheProxy"
"""Stands as the error of a connection that never reached the emulator."""


class RequestLog:
    """A bounded ring; the oldest go first. The emulator and the proxy write to it, each in its own thread."""

    def __init__(self, size: int) -> None:
        self._ring: deque[dict[str, Any]] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(
        self,
        call: Call,
        status: int | str,
        seconds: float,
        *,
        error: str | None = None,
        handled: int | None = None,
        deployment: str | None = None,
    ) -> None:
        """`status`: the reply's, or what the script did to the connection. `error`: the error code of its body.

        `handled`: the status that handling it came to, whatever was sent then; None when it was not handled.
        `deployment`: which one answered an invocation, or is the default by the endpoint that the answer shows.
        """
        query = "&".join(f"{name}={value}" for name, value in call.query.items())
        self._append(
            {
                "time": call.now,
                "method": call.method,
                "url": f"https://{call.host}{call.path}" + (f"?{query}" if query else ""),
                "status": status,
                "handled": handled,
                "seconds": round(seconds, 4),
                "client_request_id": call.headers.get("x-ms-client-request-id"),
                "error": error,
                "deployment": deployment,
            }
        )

    def add_refusal(self, method: str, url: str, now: float) -> None:
        """A connection that the proxy refused: to a host that the lab does not have, or by plain http."""
        self._append(
            {
                "time": now,
                "method": method,
                "url": url,
                "status": 403,
                "handled": None,
                "seconds": 0.0,
                "client_request_id": None,
                "error": REFUSED_BY_THE_PROXY,
                "deployment": None,
            }
        )

    def as_json(self) -> list[dict[str, Any]]:
        """The oldest first."""
        with self._lock:
            return list(self._ring)

    def clear(self) -> None:
        with self._lock:
            self._ring.clear()

    def resize(self, size: int) -> None:
        with self._lock:
            if size != self._ring.maxlen:
                self._ring = deque(self._ring, maxlen=size)

    def _append(self, entry: dict[str, Any]) -> None:
        with self._lock:
            self._ring.append(entry)


def deployment_of(call: Call, reply: Reply) -> str | None:
    """The deployment that a good answer is of: that of an invocation, or the default of the endpoint that it shows."""
    if reply.status >= 300:
        return None
    if "azureml-model-deployment" in reply.headers:
        return reply.headers["azureml-model-deployment"]
    if not re.search(r"/batchEndpoints/[^/]+$", call.path, re.IGNORECASE) or not isinstance(reply.body, dict):
        return None
    defaults = (reply.body.get("properties") or {}).get("defaults") or {}
    name = defaults.get("deploymentName")
    return None if name is None else str(name)
