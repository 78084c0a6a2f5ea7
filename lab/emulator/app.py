"""The emulator as one ASGI application, routed by the host name that the client asked for."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio.to_thread
from azure.core.exceptions import AzureError as StorageError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from lab import identity
from lab.emulator import arm, blob_door, control, entra, run_history, scoring, storage_accounts
from lab.emulator.blobs import AzuriteBlobs, BlobStorage
from lab.emulator.call import EMPTY, Call, Reply
from lab.emulator.cloud import Cloud, make_cloud
from lab.emulator.config import EmulatorConfig
from lab.emulator.drivers import Drivers
from lab.emulator.errors import AzureError, arm_error, unknown
from lab.emulator.executions import Executions
from lab.emulator.full_disk import said_of_full_disk
from lab.emulator.operations import settle
from lab.emulator.requests import deployment_of
from lab.emulator.timestamps import compact
from lab.hosts import blob_account

_log = logging.getLogger("lab.emulator")
_STEP_SECONDS = 0.2
_TROUBLE_SECONDS = 2.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}
_MOST_BYTES = 4 * 1024 * 1024
"""Of a request's body: Azure Resource Manager's own limit."""
_BLOCKING = re.compile(
    r"/_lab/status|.*/startpendingupload"
    r"|.*/resourcegroups/[^/]+(/providers/microsoft\.(storage/storageaccounts|machinelearningservices/workspaces)/[^/]+)?"
)
"""Paths that wait for Azurite: handled in a worker thread, so that the rest goes on."""


class ConnectionDropped(ConnectionError):
    """A scripted drop where there is no socket to close: in-process transports see this instead."""


class Emulator(Starlette):
    """Remembers each request's socket, so that a scripted fault can close it without a word."""

    cloud: Cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["lab.transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


def create_app(
    config: EmulatorConfig,
    *,
    clock: Callable[[], float] = time.time,
    blobs: BlobStorage | None = None,
    drivers: Drivers | None = None,
) -> Emulator:
    """The application of one lab; everything it keeps lies in `config.home`. The keyword arguments are for tests."""
    cloud = make_cloud(
        config,
        clock=clock,
        blobs=blobs or AzuriteBlobs(config),
        executions=lambda store, plays: Executions(config, store, plays, drivers=drivers, clock=clock),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        wake = asyncio.Event()
        cloud.executions.woken = wake.set
        steps = asyncio.create_task(run_jobs(cloud, wake))
        try:
            yield
        finally:
            steps.cancel()
            await asyncio.gather(steps, return_exceptions=True)
            await anyio.to_thread.run_sync(cloud.executions.stop)
            cloud.store.close()

    app = Emulator(routes=[Mount("/", app=_Door(cloud))], lifespan=lifespan)
    app.cloud = cloud
    cloud.blobs.serve(storage_accounts.names(cloud))
    return app


async def run_jobs(cloud: Cloud, wake: asyncio.Event) -> None:
    """Step while there are jobs, sleep until woken while there are none."""
    while True:
        wake.clear()
        try:
            more = cloud.executions.step()
        except (OSError, sqlite3.Error) as trouble:
            # A full disk, as a rule: the jobs are still there, and go on when there is room again.
            _log.error("jobs cannot go on: %s", said_of_full_disk(trouble, cloud.config.home) or trouble)
            await asyncio.sleep(_TROUBLE_SECONDS)
            continue
        if more:
            await asyncio.sleep(_STEP_SECONDS)
        else:
            await wake.wait()


class _Door:
    """One request: faults, settling of what is due, the route, the reply's common headers, the log."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        began = time.perf_counter()
        try:
            call = await _call(request, self._cloud.clock())
        except ClientDisconnect:
            return  # it went away before it had said what it wants
        if _is_control(call):
            reply = await self._handle(call)
            await _response(call, reply)(scope, receive, send)
            return
        delay = self._cloud.faults.delay(call)
        if delay:
            await asyncio.sleep(delay)
        fault = self._cloud.faults.strike(call)
        if fault is None or fault.handled_first:
            reply = await self._handle(call)
            handled: int | None = reply.status
            deployment = deployment_of(call, reply)
        else:
            reply, handled, deployment = Reply(fault.status), None, None
        if fault is not None and fault.action == "reply":
            body = fault.text if fault.text is not None else EMPTY if fault.body is None else fault.body
            reply = Reply(fault.status, body, dict(fault.headers))
        said = fault.action if fault is not None and fault.action != "reply" else reply.status
        took = time.perf_counter() - began
        self._cloud.log.add(call, said, took, error=_error_code(reply), handled=handled, deployment=deployment)
        if fault is not None and fault.action == "drop":
            await _drop(scope, receive)
        elif fault is not None and fault.action == "stall":
            await _stall(_response(call, reply), fault.seconds, send)
        elif fault is not None and fault.action == "cut":
            await _begin(_response(call, reply), send)
            await _drop(scope, receive)
        elif fault is not None and fault.text is not None:
            headers = {**_common_headers(call, reply), **reply.headers}
            await Response(fault.text, fault.status, headers, media_type="text/html")(scope, receive, send)
        else:
            await _response(call, reply)(scope, receive, send)

    async def _handle(self, call: Call) -> Reply:
        try:
            if call.too_large:
                text = f"The request content size exceeds the maximum size of {_MOST_BYTES // 1024**2} MB."
                raise arm_error(413, "RequestContentTooLarge", text)
            settle(self._cloud.store, call.now)
            if _BLOCKING.fullmatch(call.path.lower().rstrip("/")):
                return await anyio.to_thread.run_sync(_route, self._cloud, call)
            return _route(self._cloud, call)
        except AzureError as error:
            return Reply(error.status, error.body(call.now), {"x-ms-response-type": "error", **error.headers})
        except StorageError as error:
            away = arm_error(503, "StorageUnavailable", f"The lab's storage does not answer: {error}")
            return Reply(away.status, away.body(call.now))
        except (OSError, sqlite3.Error) as trouble:
            said = said_of_full_disk(trouble, self._cloud.config.home)
            if said is None:
                raise
            # 507, which no client tries again by itself: trying again makes no room.
            return Reply(507, arm_error(507, "DiskFull", said).body(call.now))
        except Exception as error:  # noqa: BLE001 - the lab's own mistake: logged, and told to who asked
            _log.exception("%s https://%s%s", call.method, call.host, call.path)
            text = f"The lab itself failed: {type(error).__name__}: {error}; `python -m lab logs` has more."
            return Reply(500, arm_error(500, "InternalServerError", text).body(call.now))


def _route(cloud: Cloud, call: Call) -> Reply:
    if _is_control(call):
        return control.answer(cloud, call)
    if call.host == "management.azure.com":
        return arm.answer(cloud, call)
    if call.host in {"login.microsoftonline.com", "login.windows.net"}:
        return entra.answer(cloud, call)
    if call.host.endswith(".inference.ml.azure.com"):
        return scoring.answer(cloud, call)
    if call.host == f"{identity.LOCATION}.api.azureml.ms":
        return run_history.answer(cloud, call)
    if blob_account(call.host):
        return blob_door.answer(cloud, call)
    raise unknown(f"the host '{call.host}'")


def _is_control(call: Call) -> bool:
    return call.host in _LOOPBACK and call.path.startswith(control.PREFIX)


async def _call(request: Request, now: float) -> Call:
    host = request.headers.get("host", "").lower()
    body = await _body(request)
    return Call(
        method=request.method,
        host=host if host.endswith("]") else host.rpartition(":")[0] or host,
        path=request.scope.get("raw_path", request.url.path.encode()).decode("ascii", "replace"),
        now=now,
        query={name.lower(): value for name, value in request.query_params.items()},
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body or b"",
        too_large=body is None,
    )


async def _body(request: Request) -> bytes | None:
    """The whole body, None for one that is too large, which is read to its end: its sender listens only then.

    Raises ClientDisconnect.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= _MOST_BYTES:
            parts.append(part)
        else:
            parts.clear()
    return b"".join(parts) if size <= _MOST_BYTES else None


def _response(call: Call, reply: Reply) -> Response:
    headers = {**_common_headers(call, reply), **reply.headers}
    if reply.body is EMPTY:
        return Response(b"", reply.status, headers)
    if isinstance(reply.body, bytes):
        return Response(reply.body, reply.status, headers)
    return Response(
        json.dumps(reply.body).encode(), reply.status, headers, media_type="application/json; charset=utf-8"
    )


def _error_code(reply: Reply) -> str | None:
    """The code of an error in any of the bodies that the lab answers with: ARM's envelope, or OAuth's."""
    error = reply.body.get("error") if isinstance(reply.body, dict) and reply.status >= 400 else None
    code = error.get("code") if isinstance(error, dict) else error
    return None if code is None else str(code)


def _common_headers(call: Call, reply: Reply) -> dict[str, str]:
    """What every recorded reply carries."""
    request_id = call.headers.get("x-ms-client-request-id") or str(uuid.uuid4())
    correlation = call.headers.get("x-ms-correlation-request-id") or str(uuid.uuid4())
    headers = {
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
        "Expires": "-1",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "x-ms-request-id": str(uuid.uuid4()),
        "x-ms-client-request-id": request_id,
        "x-ms-correlation-request-id": correlation,
        "x-ms-response-type": "standard" if reply.status < 400 else "error",
    }
    if call.host == "management.azure.com":
        headers["x-ms-routing-request-id"] = f"{identity.LOCATION.upper()}:{compact(call.now)}:{uuid.uuid4()}"
        headers |= _rate_limits(call)
    elif call.host.endswith("azure.com") or call.host.endswith("azureml.ms"):
        headers["X-Request-ID"] = str(uuid.uuid4())
    return headers


def _rate_limits(call: Call) -> dict[str, str]:
    """As recorded; the lab never runs out. Scripted faults play 429."""
    if "/deployments/" in call.path.lower() and call.method == "PUT":
        return {"x-ms-ratelimit-remaining-subscription-resource-requests": "24"}
    name, left = {"GET": ("reads", "11999"), "HEAD": ("reads", "11999"), "DELETE": ("deletes", "14999")}.get(
        call.method, ("writes", "1199")
    )
    return {f"x-ms-ratelimit-remaining-subscription-{name}": left}


async def _stall(response: Response, seconds: float, send: Send) -> None:
    """Half of the body, then nothing for a while, then the rest."""
    sent = await _begin(response, send)
    await asyncio.sleep(seconds)
    await send({"type": "http.response.body", "body": bytes(response.body[sent:])})


async def _begin(response: Response, send: Send) -> int:
    """Headers and the first half of the body, which may be on its way when this returns; how many bytes that were."""
    half = len(response.body) // 2
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": bytes(response.body[:half]), "more_body": True})
    return half


async def _drop(scope: Scope, receive: Receive) -> None:
    transport = scope.get("lab.transport")
    if transport is None:
        raise ConnectionDropped("the lab was told to drop this connection")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue
