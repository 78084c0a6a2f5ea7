"""The way into the lab: an HTTP proxy for CONNECT that ends Azure's host names at ports of this machine.

Bytes are handed on as they come; TLS ends at the emulator or at Azurite. Connections are opened to 127.0.0.1 alone:
a host without a destination is refused by name, and so is plain http.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from lab.hosts import printable, refusal

Route = Callable[[str, int], "int | None"]
"""Host and port that a client asks for -> port on 127.0.0.1, None when the lab refuses them."""

Refused = Callable[[str, str], None]
"""Is told, in the proxy's thread, of what the lab refused: the method (`CONNECT` for a host) and the url."""

_HEAD_BYTES = 16 * 1024
_HEAD_SECONDS = 30.0
_BUFFER_BYTES = 1024 * 1024
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.[01]\r\n")
_AUTHORITY = re.compile(r"\[?([^\[\]/@]+?)\]?:(\d{1,5})")


class Proxy:
    """A proxy on a listening socket, in a thread and event loop of its own: a busy emulator does not hold it up."""

    def __init__(self, listener: socket.socket, route: Route, refused: Refused = lambda *_: None) -> None:
        """Takes over `listener`, which listens on 127.0.0.1; connections wait in its queue until `start`."""
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._route = route
        self._refused = refused
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._connections: set[asyncio.Transport] = set()

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End every connection, and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(
            loop.create_server(
                lambda: _Client(self._route, self._refused, self._connections), sock=self._listener, backlog=512
            )
        )
        try:
            loop.run_forever()
        finally:
            server.close()
            loop.run_until_complete(self._end_connections())
            loop.close()

    async def _end_connections(self) -> None:
        for transport in list(self._connections):
            transport.abort()
        splices = asyncio.all_tasks() - {asyncio.current_task()}
        for splice in splices:
            splice.cancel()
        await asyncio.gather(*splices, return_exceptions=True)
        await asyncio.sleep(0)  # lets the aborted transports say so to their protocols


class _End(asyncio.Protocol):
    """One end of a splice: what arrives here is written at the other end, no faster than that end takes it."""

    def __init__(self, connections: set[asyncio.Transport]) -> None:
        self.transport: asyncio.Transport
        self.other: _End | None = None
        self._connections = connections
        self._socket: socket.socket | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        self._connections.add(self.transport)
        self._socket = self.transport.get_extra_info("socket")
        self._set_option(socket.TCP_NODELAY)

    def data_received(self, data: bytes) -> None:
        # urllib3 leaves Nagle's algorithm on for proxied connections; without an acknowledgement at once, the body
        # of each small PUT waits 40 ms behind its head. The kernel forgets this option after some receives.
        if _QUICKACK is not None:
            self._set_option(_QUICKACK)
        if self.other is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Hand the half-close on; the connection ends when both directions have."""
        self._ended = True
        if self.other is None or self.other._ended:
            return False
        if not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self.transport)
        if self.other is not None:
            if exc is None:
                self.other.transport.close()
            else:
                self.other.transport.abort()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def _set_option(self, option: int) -> None:
        if self._socket is not None:
            # The peer may have gone a moment ago; then connection_lost follows and says so.
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, option, 1)


class _Client(_End):
    """The accepted end: reads the request's head, then splices or refuses."""

    def __init__(self, route: Route, refused: Refused, connections: set[asyncio.Transport]) -> None:
        super().__init__(connections)
        self._route = route
        self._refused = refused
        self._head = bytearray()
        self._answered = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._timer = asyncio.get_running_loop().call_later(_HEAD_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.other is not None or self._answered:
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if self._task is None and end >= 0:
            self._begin(bytes(self._head[: end + 2]), end + 4)
        elif len(self._head) > _HEAD_BYTES and self._task is None:
            self._answer("431 Request Header Fields Too Large", "the request's head is longer than 16 KiB")

    def _begin(self, head: bytes, head_end: int) -> None:
        del self._head[:head_end]
        request = _REQUEST.match(head)
        if request is None:
            self._answer("400 Bad Request", "this is the lab's proxy; it understands HTTP/1.1 CONNECT")
            return
        method, target = request[1].decode("ascii"), request[2].decode("ascii", "replace")
        if method != "CONNECT":
            host = urlsplit(target).hostname if target.startswith("http://") else None
            if host is not None:
                self._refused(method, f"http://{printable(host)}")
            self._answer(*_no_connect(host))
            return
        authority = _AUTHORITY.fullmatch(target)
        if authority is None:
            self._answer("400 Bad Request", "CONNECT needs host:port")
            return
        host, port = authority[1], int(authority[2])
        lab_port = self._route(host, port)
        if lab_port is None:
            text = refusal(host, port)
            self._refused("CONNECT", f"https://{printable(host)}:{port}")
            self._answer(f"403 {text}", text)
            return
        self.transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._splice(host, lab_port))

    async def _splice(self, host: str, lab_port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, far = await loop.create_connection(lambda: _End(self._connections), "127.0.0.1", lab_port)
        except OSError as problem:
            text = f"the lab's server for {host} does not answer: {problem.strerror}; see `python -m lab logs`"
            self._answer("502 Bad Gateway", text)
            return
        if self.transport.is_closing():
            far.transport.abort()
            return
        if self._timer is not None:
            self._timer.cancel()
        self.other, far.other = far, self
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self._head:
            far.transport.write(bytes(self._head))
            self._head.clear()
        self.transport.resume_reading()

    def _answer(self, status: str, text: str) -> None:
        self._answered = True
        body = f"{text}\n".encode("ascii", "replace")
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=us-ascii\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii", "replace") + body)
        self.transport.write_eof()
        self.transport.close()


def _no_connect(host: str | None) -> tuple[str, str]:
    """Status line and text for what is no CONNECT: plain http to `host`, or (None) no request to a proxy at all."""
    if host is None:
        return "400 Bad Request", "this is the lab's proxy: set HTTPS_PROXY to it (`python -m lab run -- COMMAND`)"
    text = f"the lab refuses plain http to {printable(host)}: nothing leaves the lab, and Azure is reached by https"
    return f"403 {text}", text
