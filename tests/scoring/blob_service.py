"""The far side of AzureBlobStore: the handful of Blob REST calls that it makes, over https on a free port.

Facts: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api (List Blobs, Get Blob, Put Blob, Put
Block, Put Block List, Get Blob Properties). It checks that each call is signed, not the signature.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import trustme

_PAGE = 100


@dataclass
class BlobService:
    endpoint: str = ""
    ca_file: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """(container, name) -> content."""
    blocks: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)


@contextmanager
def blob_service(folder: Path) -> Iterator[BlobService]:
    service = BlobService()
    authority = trustme.CA()
    service.ca_file = str(folder / "ca.pem")
    authority.cert_pem.write_to_path(service.ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    class Handler(_Handler):
        state = service

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    service.endpoint = f"https://127.0.0.1:{server.server_address[1]}/labstore"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: BlobService

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError):  # the client of a test was killed
            self.close_connection = True

    def do_GET(self) -> None:
        container, name, query = self._target()
        if query.get("comp") == ["list"]:
            self._list(container, query)
            return
        content = self.state.blobs.get((container, name))
        if content is None:
            self._error(404, "BlobNotFound")
            return
        wanted = self.headers.get("x-ms-range", "bytes=0-").removeprefix("bytes=").split("-")
        start, end = int(wanted[0]), min(int(wanted[1]) if wanted[1] else len(content) - 1, len(content) - 1)
        if not content and "x-ms-range" not in self.headers:
            self._answer(200, b"", {"ETag": '"1"', "x-ms-blob-type": "BlockBlob"})
            return
        if start >= len(content):
            self._error(416, "InvalidRange")
            return
        headers = {"Content-Range": f"bytes {start}-{end}/{len(content)}", "ETag": '"1"', "x-ms-blob-type": "BlockBlob"}
        self._answer(206, content[start : end + 1], headers)

    def do_HEAD(self) -> None:
        container, name, _ = self._target()
        content = self.state.blobs.get((container, name))
        if content is None:
            self._error(404, "BlobNotFound")
        else:
            self._answer(200, content, {"ETag": '"1"', "x-ms-blob-type": "BlockBlob"})

    def do_PUT(self) -> None:
        container, name, query = self._target()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if query.get("comp") == ["block"]:
            self.state.blocks[container, name, query["blockid"][0]] = body
            self._answer(201, b"", {})
            return
        if self.headers.get("If-None-Match") == "*" and (container, name) in self.state.blobs:
            self._error(409, "BlobAlreadyExists")
            return
        if query.get("comp") == ["blocklist"]:
            names = [element.text or "" for element in ElementTree.fromstring(body)]
            body = b"".join(self.state.blocks[container, name, block] for block in names)
        self.state.blobs[container, name] = body
        self._answer(201, b"", {"ETag": '"1"', "Last-Modified": "Mon, 23 Nov 2026 00:00:00 GMT"})

    def log_message(self, format: str, *args: object) -> None:
        self.state.calls.append(format % args)

    def _target(self) -> tuple[str, str, dict[str, list[str]]]:
        assert self.headers["Authorization"].startswith("SharedKey labstore:")
        address = urlsplit(self.path)
        _, _, container, *rest = unquote(address.path).split("/", 3)
        return container, rest[0] if rest else "", parse_qs(address.query)

    def _list(self, container: str, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        names = sorted(name for home, name in self.state.blobs if home == container and name.startswith(prefix))
        start = int(query.get("marker", ["0"])[0])
        blobs = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties><Content-Length>{len(self.state.blobs[container, name])}"
            "</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name in names[start : start + _PAGE]
        )
        marker = str(start + _PAGE) if start + _PAGE < len(names) else ""
        # The client takes the prefix of its next page from the answer, so it must be echoed.
        head = f"<Prefix>{escape(prefix)}</Prefix><Blobs>{blobs}</Blobs>"
        body = f"<EnumerationResults>{head}<NextMarker>{marker}</NextMarker></EnumerationResults>"
        self._answer(200, f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode(), {"Content-Type": "application/xml"})

    def _error(self, status: int, code: str) -> None:
        body = f"<?xml version='1.0' encoding='utf-8'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        self._answer(status, body.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
