"""The page over plain http on 127.0.0.1, for browsers, which do not know the lab's certificates: it answers GET alone.

It changes nothing and tells no secret, so it asks for none. Against other sites in the same browser: the Host must be
this address (a name that was made to lead here is refused), no answer may be read or embedded across origins, and the
page runs the script that lies in its own file and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import uvicorn
from azure.core.exceptions import AzureError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lab.emulator import jobs, overview, workspaces
from lab.emulator.operations import settle
from lab.page.job_files import first_rows, log_tail

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

_PAGE = Path(__file__).with_name("page.html")
_REQUESTS = 120
_ANOTHER_HOST = PlainTextResponse("this is the lab's page; it answers to 127.0.0.1 and localhost alone", 421)


class PageServer(uvicorn.Server):
    """Ends with the server beside it: signals are that one's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def page_server(cloud: Cloud, bound: socket.socket) -> PageServer:
    """A server of the page for `serve(sockets=[bound])`, in the event loop that the emulator runs in."""
    app = page_app(cloud, bound.getsockname()[1])
    return PageServer(
        uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1, server_header=False
        )
    )


def page_app(cloud: Cloud, port: int) -> ASGIApp:
    """The page as an application; `port` is where it listens."""
    html = _PAGE.read_text(encoding="utf-8")

    async def page(_: Request) -> Response:
        return HTMLResponse(html)

    async def show_overview(_: Request) -> Response:
        now = cloud.clock()
        settle(cloud.store, now)
        return JSONResponse(overview.overview(cloud, now))

    async def show_requests(_: Request) -> Response:
        return JSONResponse({"requests": [_request(each) for each in cloud.log.as_json()[-_REQUESTS:]]})

    async def show_job(request: Request) -> Response:
        record = cloud.store.job(request.path_params["name"])
        if record is None:
            return PlainTextResponse("no such job", 404)
        record = cloud.executions.refresh(record)
        folder = cloud.executions.directory(record["name"]) / "logs"
        log = await anyio.to_thread.run_sync(log_tail, folder, request.query_params.get("log"))
        account = workspaces.account_of(cloud, jobs.workspace_of(record))
        results: dict[str, Any] | None
        try:
            results = await anyio.to_thread.run_sync(first_rows, cloud.blobs, account, record)
        except AzureError as error:
            results = {"file": None, "rows": [], "problem": str(error).partition("\n")[0]}
        return JSONResponse({"job": overview.job(record, cloud.clock()), "log": log, "results": results})

    routes = [
        Route("/", page, methods=["GET"]),
        Route("/overview", show_overview, methods=["GET"]),
        Route("/requests", show_requests, methods=["GET"]),
        Route("/jobs/{name}", show_job, methods=["GET"]),
    ]
    return _Guard(Starlette(routes=routes), port, _policy(html))


def _request(entry: dict[str, Any]) -> dict[str, Any]:
    """Without the query: what a client puts there is its own business."""
    shown = {name: entry[name] for name in ("time", "method", "status", "seconds", "error")}
    return {**shown, "url": entry["url"].partition("?")[0]}


class _Guard:
    """Refuses other hosts, and says with every answer what a browser may do with it."""

    def __init__(self, app: ASGIApp, port: int, policy: str) -> None:
        self._app = app
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        hosts = [value.lower() for name, value in scope["headers"] if name == b"host"]
        known = len(hosts) == 1 and hosts[0] in self._hosts
        await (self._app if known else _ANOTHER_HOST)(scope, receive, guarded)


def _policy(html: str) -> str:
    """The script and the style of this very file, nothing from anywhere else."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hashes(html, 'script')}",
            f"style-src {_hashes(html, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _hashes(html: str, tag: str) -> str:
    found = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in found)
