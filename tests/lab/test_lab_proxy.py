"""The proxy against a far side of our own: a plain TCP server that says back what it gets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lab.daemon import listener
from lab.proxy import Proxy


class Echo:
    """Says back what it gets; closes its side when the client has."""

    def __init__(self) -> None:
        self._socket = listener(0)
        self.port: int = self._socket.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    closed = listener(0)
    nobody = closed.getsockname()[1]
    closed.close()
    routes = {"echo.azure.com": echo.port, "nobody.azure.com": nobody}
    proxy = Proxy(listener(0), lambda host, port: routes.get(host) if port == 443 else None)
    proxy.start()
    yield proxy
    proxy.stop()


def _connect(proxy: Proxy, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=60)
    connection.sendall(request)
    return connection


def _all(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


CONNECT = b"CONNECT echo.azure.com:443 HTTP/1.1\r\nHost: echo.azure.com:443\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_a_known_host_is_spliced(proxy: Proxy) -> None:
    with _connect(proxy, CONNECT) as connection:
        assert connection.recv(1024) == ESTABLISHED
        connection.sendall(b"hello")
        assert connection.recv(1024) == b"hello"


def test_what_follows_the_head_at_once_is_not_lost(proxy: Proxy) -> None:
    with _connect(proxy, CONNECT + b"early") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert _all(connection) == ESTABLISHED + b"early"


def test_a_head_may_arrive_in_pieces(proxy: Proxy) -> None:
    with _connect(proxy, CONNECT[:20]) as connection:
        connection.sendall(CONNECT[20:-1])
        connection.sendall(CONNECT[-1:] + b"x")
        connection.shutdown(socket.SHUT_WR)
        assert _all(connection) == ESTABLISHED + b"x"


def test_a_half_close_is_handed_on_and_the_rest_still_arrives(proxy: Proxy) -> None:
    body = b"0123456789abcdef" * (1 << 18)
    with _connect(proxy, CONNECT) as connection, ThreadPoolExecutor(1) as reader:
        received = reader.submit(_all, connection)
        connection.sendall(body)
        connection.shutdown(socket.SHUT_WR)
        assert received.result(60) == ESTABLISHED + body


def test_an_unknown_host_is_refused_by_name_in_status_line_and_body(proxy: Proxy) -> None:
    with _connect(proxy, b"CONNECT example.com:443 HTTP/1.1\r\n\r\n") as connection:
        head, _, body = _all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 the lab refuses example.com")
    assert body.startswith(b"the lab refuses example.com")


@pytest.mark.parametrize(
    ("request_bytes", "told"),
    [
        (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", ("CONNECT", "https://example.com:443")),
        (b"POST http://user:secret@example.com/x?y HTTP/1.1\r\n\r\n", ("POST", "http://example.com")),
    ],
    ids=["connect", "plain"],
)
def test_whoever_asks_is_told_what_was_refused(request_bytes: bytes, told: tuple[str, str]) -> None:
    refused: list[tuple[str, str]] = []
    proxy = Proxy(listener(0), lambda *_: None, lambda method, url: refused.append((method, url)))
    proxy.start()

    with _connect(proxy, request_bytes) as connection:
        _all(connection)
    proxy.stop()

    assert refused == [told]


def test_httpx_shows_its_user_the_refusal(proxy: Proxy) -> None:
    with (
        httpx.Client(proxy=f"http://127.0.0.1:{proxy.port}", trust_env=False, timeout=60) as client,
        pytest.raises(httpx.ProxyError, match=r"403 the lab refuses example\.com"),
    ):
        client.get("https://example.com/")


def test_plain_http_is_refused_by_name(proxy: Proxy) -> None:
    with httpx.Client(proxy=f"http://127.0.0.1:{proxy.port}", trust_env=False, timeout=60) as client:
        reply = client.get("http://management.azure.com/x")
    assert reply.status_code == 403
    assert "plain http to management.azure.com" in reply.text


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT echo.azure.com HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT echo.azure.com:99999999 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT user@echo.azure.com:443 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT echo.azure.com:80 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT nobody.azure.com:443 HTTP/1.1\r\n\r\n", b"502"),
        (b"CONNECT " + b"a" * 20000, b"431"),
    ],
    ids=["tls", "origin", "no-port", "port-too-long", "user", "port-80", "ipv6", "nobody-there", "endless-head"],
)
def test_what_is_no_request_for_the_lab_gets_an_answer(
    proxy: Proxy, echo: Echo, request_bytes: bytes, status: bytes
) -> None:
    with _connect(proxy, request_bytes) as connection:
        assert connection.recv(1024).split(b" ")[1] == status
    assert echo.accepted == 0


def test_three_hundred_connections_are_spliced_at_once(proxy: Proxy, echo: Echo) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(_connect(proxy, CONNECT)) for _ in range(300)]
        for number, connection in enumerate(connections):
            assert connection.recv(len(ESTABLISHED), socket.MSG_WAITALL) == ESTABLISHED
            connection.sendall(b"%d" % number)
        answers = [connection.recv(16) for connection in connections]
    assert answers == [b"%d" % number for number in range(300)]
    assert echo.accepted == 300


def test_stopping_ends_open_connections(echo: Echo) -> None:
    proxy = Proxy(listener(0), lambda *_: echo.port)
    proxy.start()
    with _connect(proxy, CONNECT) as connection:
        assert connection.recv(1024) == ESTABLISHED
        proxy.stop()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1024) == b""
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5).close()


def test_a_taken_port_gives_another_one() -> None:
    with listener(0) as first, listener(first.getsockname()[1]) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
