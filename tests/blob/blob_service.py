"""The far side of an upload: a small blob service in memory, below requests, so that the whole SDK is in play."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from providers.blob import Container, container

ACCOUNT = "https://labstore.blob.core.windows.net"
_BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)

Answer = tuple[int, dict[str, str], bytes]
Fault = Callable[[str, str], Answer | None]
"""(what, blob) -> an answer instead of the real one; it may raise. `what` is a name of `BlobService.log`."""


@dataclass
class Stored:
    content: bytes
    metadata: dict[str, str]
    etag: str
    modified: datetime
    has_md5: bool = True
    """Whether the service keeps an MD5: not of what was put together from blocks."""

    @property
    def md5(self) -> str:
        """Base64; empty where none is kept."""
        return _md5(self.content) if self.has_md5 else ""


@dataclass
class BlobService:
    """One account. `log` has (what, container/blob, bytes of the body) of each request that was carried out."""

    blobs: dict[str, Stored] = field(default_factory=dict)
    staged: dict[str, dict[str, bytes]] = field(default_factory=dict)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)
    now: Callable[[], float] | None = None
    """The service's clock, in seconds since the epoch: without one, each write is a second after the one before, and
    answers have no date."""
    page: int = 3
    fault: Fault | None = None
    fault_after: Fault | None = None
    """As `fault`, but the request has been carried out: its answer is lost."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def open(self, name: str = "data", **options: Any) -> Container:
        """A container of this account, as the product opens one."""
        session = requests.Session()
        session.mount("https://", _Adapter(self))
        options.setdefault("credential", _Credential())
        transport = RequestsTransport(session=session, session_owner=False)
        return container(ACCOUNT, name, transport=transport, sleep=self.sleeps.append, **options)

    def count(self, what: str) -> int:
        return Counter(entry[0] for entry in self.log)[what]

    def sent(self) -> Counter[str]:
        """Blob -> bytes that were sent to it in all."""
        total: Counter[str] = Counter()
        for what, name, size in self.log:
            if what in ("put", "block"):
                total[name] += size
        return total

    def contents(self, below: str = "data/") -> dict[str, bytes]:
        return {name.removeprefix(below): blob.content for name, blob in self.blobs.items() if name.startswith(below)}

    def put(self, name: str, content: bytes, **metadata: str) -> None:
        """Write a blob behind everybody's back."""
        self._count += 1
        modified = _BEGIN + timedelta(seconds=self._count)
        if self.now is not None:
            modified = datetime.fromtimestamp(int(self.now()), timezone.utc)
        self.blobs[name] = Stored(content, metadata, f'"0x{self._count:X}"', modified)

    def handle(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
        split = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        name = unquote(split.path).lstrip("/")
        what = _what(method, query, headers)
        self.tokens.append(headers.get("authorization", ""))
        if self.fault is not None and (answer := self.fault(what, name)) is not None:
            return answer
        with self._lock:
            self.log.append((what, name, len(body)))
            answer = self._carry_out(what, name, query, headers, body)
        if self.fault_after is not None and (lost := self.fault_after(what, name)) is not None:
            return lost
        return answer

    def _carry_out(self, what: str, name: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:
        if what == "list":
            return self._list(name, query)
        if what == "block":
            self.staged.setdefault(name, {})[query["blockid"]] = body
            return 201, {}, b""
        if what == "blocks":
            names = "".join(
                f"<Block><Name>{each}</Name><Size>{len(content)}</Size></Block>"
                for each, content in self.staged.get(name, {}).items()
            )
            if not names and name not in self.blobs:
                return refusal(404, "BlobNotFound")
            xml = f"<BlockList><CommittedBlocks/><UncommittedBlocks>{names}</UncommittedBlocks></BlockList>"
            return 200, {"content-type": "application/xml"}, xml.encode()
        if what in ("put", "commit", "copy"):
            return self._write(what, name, headers, body)
        blob = self.blobs.get(name)
        if blob is None:
            return refusal(404, "BlobNotFound")
        if what == "delete":
            del self.blobs[name]
            return 202, {}, b""
        if "if-match" in headers and blob.etag != headers["if-match"]:
            return refusal(412, "ConditionNotMet")
        return _content(what, blob, headers)

    def _write(self, what: str, name: str, headers: dict[str, str], body: bytes) -> Answer:
        there = self.blobs.get(name)
        if headers.get("if-none-match") == "*" and there is not None:
            return refusal(409, "BlobAlreadyExists")
        if "if-match" in headers and (there is None or there.etag != headers["if-match"]):
            return refusal(412, "ConditionNotMet")
        metadata = {
            key.removeprefix("x-ms-meta-"): each for key, each in headers.items() if key.startswith("x-ms-meta-")
        }
        if what == "copy":
            source = self.blobs.get(unquote(urlsplit(headers["x-ms-copy-source"]).path).lstrip("/"))
            if source is None:
                return refusal(404, "CannotVerifyCopySource")
            self.put(name, source.content, **(metadata or source.metadata))
            return 202, {"x-ms-copy-id": "c1", "x-ms-copy-status": "success", **_dates(self.blobs[name])}, b""
        if what == "commit":
            staged = self.staged.pop(name, {})
            latest = [each.text or "" for each in ET.fromstring(body)]
            if not set(latest) <= staged.keys():
                return refusal(400, "InvalidBlockList")
            body = b"".join(staged[each] for each in latest)
        self.put(name, body, **metadata)
        self.blobs[name].has_md5 = what != "commit"
        return 201, _dates(self.blobs[name]), b""

    def _list(self, container_name: str, query: dict[str, str]) -> Answer:
        prefix = f"{container_name}/{query.get('prefix', '')}"
        found = (name for name in self.blobs if name.startswith(prefix))
        names = sorted({_folded(name, prefix, query.get("delimiter", "")) for name in found})
        start = int(query.get("marker") or 0)
        items = "".join(_entry(name, self.blobs) for name in names[start : start + self.page])
        following = str(start + self.page) if start + self.page < len(names) else ""
        xml = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="{ACCOUNT}/" '
            f'ContainerName="{container_name}"><Prefix>{escape(query.get("prefix", ""))}</Prefix><Blobs>{items}</Blobs>'
            f"<NextMarker>{following}</NextMarker></EnumerationResults>"
        )
        return 200, {"content-type": "application/xml"}, xml.encode()


def refusal(status: int, code: str, message: str = "No.") -> Answer:
    """A blob service's error."""
    xml = f"<?xml version='1.0' encoding='utf-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, {"x-ms-error-code": code, "content-type": "application/xml", "x-ms-request-id": "r1"}, xml.encode()


def _what(method: str, query: dict[str, str], headers: dict[str, str]) -> str:
    kind = query.get("comp")
    if method == "PUT":
        return {"block": "block", "blocklist": "commit"}.get(
            kind or "", "copy" if "x-ms-copy-source" in headers else "put"
        )
    return {"list": "list", "blocklist": "blocks"}.get(kind or "", {"GET": "get", "HEAD": "head"}.get(method, "delete"))


def _content(what: str, blob: Stored, request: dict[str, str]) -> Answer:
    asked = request.get("x-ms-range", "")
    headers = {**_dates(blob), "content-type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"}
    headers |= {f"x-ms-meta-{key}": value for key, value in blob.metadata.items()}
    if blob.md5:
        headers["x-ms-blob-content-md5" if asked else "content-md5"] = blob.md5
    if what == "head":
        return 200, {**headers, "content-length": str(len(blob.content))}, b""
    if not asked:
        return 200, {**headers, "content-length": str(len(blob.content))}, blob.content
    first, _, last = asked.removeprefix("bytes=").partition("-")
    part = blob.content[int(first) : int(last) + 1]
    if not part:
        return refusal(416, "InvalidRange")
    ranged = f"bytes {first}-{int(first) + len(part) - 1}/{len(blob.content)}"
    if request.get("x-ms-range-get-content-md5"):
        headers["content-md5"] = _md5(part)
    return 206, {**headers, "content-length": str(len(part)), "content-range": ranged}, part


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _folded(name: str, prefix: str, delimiter: str) -> str:
    """A name, or the folder below the prefix that it lies in, which ends with the delimiter."""
    head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
    return f"{prefix}{head}{found}" if found else name


def _entry(name: str, blobs: dict[str, Stored]) -> str:
    if name in blobs:
        return _item(name, blobs[name])
    return f"<BlobPrefix><Name>{escape(name.partition('/')[2])}</Name></BlobPrefix>"


def _dates(blob: Stored) -> dict[str, str]:
    return {"etag": blob.etag, "last-modified": format_datetime(blob.modified, usegmt=True)}


def _item(name: str, blob: Stored) -> str:
    metadata = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in blob.metadata.items())
    return (
        f"<Blob><Name>{escape(name.partition('/')[2])}</Name><Properties>"
        f"<Last-Modified>{format_datetime(blob.modified, usegmt=True)}</Last-Modified>"
        f"<Etag>{blob.etag.strip(chr(34))}</Etag>"
        f"<Content-Length>{len(blob.content)}</Content-Length><BlobType>BlockBlob</BlobType>"
        f"{f'<Content-MD5>{blob.md5}</Content-MD5>' if blob.md5 else ''}</Properties>"
        f"<Metadata>{metadata}</Metadata></Blob>"
    )


class _Credential:
    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        return AccessToken("token-for-storage", 2**40)


class _Adapter(BaseAdapter):
    def __init__(self, service: BlobService) -> None:
        super().__init__()
        self._service = service

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        body: Any = request.body or b""
        content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()
        headers = {key.lower(): str(value) for key, value in request.headers.items()}
        method, url = request.method or "", request.url or ""
        status, answered, payload = self._service.handle(method, url, headers, content)
        if self._service.now is not None:
            date = datetime.fromtimestamp(int(self._service.now()), timezone.utc)
            answered = {**answered, "date": format_datetime(date, usegmt=True)}
        response = requests.Response()
        response.status_code = status
        response.headers = requests.structures.CaseInsensitiveDict(answered)
        response.raw = HTTPResponse(
            io.BytesIO(payload), headers=answered, status=status, preload_content=False, request_method=method
        )
        response.url = url
        response.request = request
        return response

    def close(self) -> None: ...
