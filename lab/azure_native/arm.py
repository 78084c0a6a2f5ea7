"""Azure Resource Manager as azure-native talks to it: GET, and PUT and DELETE followed to their end."""

import time
from collections.abc import Callable

import httpx
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from lab.azure_native.values import JSON, RefusedError

FAILURES = (RefusedError, AzureError, ValueError)
"""Of ARM itself, of Entra ID, and of answers that are not JSON."""
HOST = "https://management.azure.com"
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
RETRY_SECONDS = (1.0, 2.0, 4.0)
"""azure-native waits 20, 60 and 120 s, as often; a lab need not."""
POLL_SECONDS = 0.25
"""Between polls where the service names no pause; azure-native takes 10 s, and 30 s for DELETE."""
DEFAULT_SECONDS = 7200.0
"""How long an operation may take if the program sets no custom timeout."""


class Arm:
    """A client for one provider process; threads share it. `wait` pauses, and says if the engine cancelled."""

    def __init__(
        self,
        sign_in: Callable[[], TokenCredential],
        wait: Callable[[float], bool],
        transport: httpx.BaseTransport | None,
    ) -> None:
        """`sign_in` is asked when the first request is sent."""
        self._sign_in, self._wait = sign_in, wait
        self._credential: TokenCredential | None = None
        self._http = httpx.Client(base_url=HOST, transport=transport, timeout=60)

    def get(self, arm_id: str, api_version: str) -> JSON | None:
        """The resource, or None if it is not there."""
        response = self._send("GET", arm_id, {"api-version": api_version})
        return None if response.status_code == 404 else _json(response)

    def finish(self, method: str, arm_id: str, query: JSON, body: JSON | None, seconds: float) -> str:
        """PUT or DELETE, and the wait for its end; returns why an accepted one did not succeed, or nothing.

        Polls what Azure-AsyncOperation, else Location, names; else the resource by its provisioningState; for so many
        seconds (0: the default). What is to be deleted and not there is done.
        """
        until, deleting = time.monotonic() + (seconds or DEFAULT_SECONDS), method == "DELETE"
        response = self._send(method, arm_id, query, body)
        operation = response.headers.get("Azure-AsyncOperation") or response.headers.get("Location")
        status = _status(response, deleting)
        if operation:  # What the resource itself says is too early.
            status = "InProgress"
        try:
            while status.lower() != "succeeded":
                if status.lower() in ("failed", "canceled"):
                    return str(_error(response, status))
                if time.monotonic() > until:
                    return "operation timed out"
                self._pause(float(response.headers.get("Retry-After") or POLL_SECONDS))
                response = self._send("GET", operation or arm_id, None if operation else query)
                status = _status(response, deleting)
        except FAILURES as error:
            return str(error)
        return ""

    def _pause(self, seconds: float) -> None:
        if self._wait(seconds):
            raise RefusedError("cancelled while the operation was running")

    def _send(self, method: str, url: str, query: JSON | None = None, body: JSON | None = None) -> httpx.Response:
        """One request, sent again up to three times after a dropped connection, a 408, 429 or 5xx."""
        if not url.startswith(("/", f"{HOST}/")):
            raise RefusedError(f"refusing to send a token to {url}: not on {HOST}")
        self._credential = self._credential or self._sign_in()
        headers = {"Authorization": f"Bearer {self._credential.get_token(f'{HOST}/.default').token}"}
        request = self._http.build_request(method, url, params=query, json=body, headers=headers)
        for seconds in (*RETRY_SECONDS, None):
            try:
                response = self._http.send(request)
                if seconds is None or response.status_code not in RETRIED:
                    return response
                self._pause(float(response.headers.get("Retry-After") or seconds))
            except httpx.TransportError as error:
                if seconds is None:
                    raise RefusedError(
                        f"{method} {url}: {error}; is the lab running (python -m lab status)?"
                    ) from error
                self._pause(seconds)
        raise AssertionError("the loop returns or raises on its last round")


def _status(response: httpx.Response, deleting: bool) -> str:
    """Of an operation, or of a resource; a response that names none is an end, unless it says 202."""
    if deleting and response.status_code == 404:
        return "Succeeded"
    body = _json(response)
    named = body.get("status") or (body.get("properties") or {}).get("provisioningState")
    return str(named or ("InProgress" if response.status_code == 202 else "Succeeded"))


def _json(response: httpx.Response) -> JSON:
    """The object of a good answer; raises what any other says."""
    if response.is_error:
        raise _error(response)
    body = response.json() if response.content else {}
    return body if isinstance(body, dict) else {}


def _error(response: httpx.Response, status: str = "Unknown") -> RefusedError:
    try:
        detail = response.json()["error"]
    except (ValueError, KeyError):
        detail = {"message": response.text or response.reason_phrase}
    code, message = detail.get("code") or status, detail.get("message")
    return RefusedError(f'Status={response.status_code} Code="{code}" Message="{message}"')
