"""One request and its answer: signed, sent over one pool of connections, and sent again by the rules of `retries`.

httpx ends here: whatever it raises leaves as an ArmError.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from .answer import Answer, Deadline
from .clouds import Cloud, foreign
from .credentials import Tokens
from .errors import AnswerLost, ArmError, BadAnswer, Busy, DeadlineExceeded, Invalid, Unreachable, error_of
from .redact import redact_logs
from .retries import ATTEMPTS, is_sent_again, pause, retry_after

STALL = 60.0
"""Seconds without a byte after which a connection is given up, for requests that may be sent again."""
_CONNECT = 15.0  # seconds
_CONNECTIONS = 128
_BODY_LIMIT = 64 * 1024 * 1024  # bytes
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Request:
    """What is to be sent, without the token."""

    verb: str
    url: str
    audience: str
    idempotent: bool
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    arm_id: str = ""
    """Named in errors."""
    correlation: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Sent along, so that an answer that never came can still be found in Azure's logs."""


@dataclass(frozen=True)
class _Kept:
    """Which part of a file is wanted: `limit` bytes from `start` on, or the last ones."""

    limit: int
    last: bool
    start: int = 0


class Wire:
    """Safe between threads."""

    def __init__(
        self,
        cloud: Cloud,
        tokens: Tokens,
        *,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        redact_logs()
        self._cloud = cloud
        self._tokens = tokens
        self._sleep = sleep
        self._random = random
        try:
            self._http = httpx.Client(
                transport=transport,
                follow_redirects=False,
                limits=httpx.Limits(
                    max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=30
                ),
                headers={
                    "User-Agent": f"aml-batch-scoring/0.1 httpx/{httpx.__version__}",
                    "Accept": "application/json",
                },
            )
        except (OSError, ValueError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"no connection can be made: {error}; check SSL_CERT_FILE, SSL_CERT_DIR, HTTPS_PROXY and NO_PROXY",
                code=type(error).__name__,
            ) from error

    def send(self, request: Request, deadline: Deadline, attempts: int = ATTEMPTS) -> Answer:
        """The answer of a 2xx; an ArmError for all else. Raises ForeignHost before anyone signs in."""
        self._cloud.require(request.url, request.audience)
        content = _encoded(request)
        return self._retried(
            lambda: self._signed(request, content, deadline),
            deadline,
            attempts=attempts,
            idempotent=request.idempotent,
            arm_id=request.arm_id,
        )

    def fetch(self, url: str, limit: int, deadline: Deadline) -> str:
        """The last `limit` bytes of what an https link of this cloud gives without a token, as text."""
        kept, dropped = self._fetch(url, _Kept(limit, last=True), deadline)
        text = kept.decode("utf-8-sig", errors="replace")
        return f"[the first {dropped} bytes are left out]\n{text}" if dropped else text

    def fetch_from(self, url: str, start: int, limit: int, deadline: Deadline) -> bytes:
        """The `limit` bytes at most that such a link gives from byte `start` on; none where it ends there."""
        kept, _ = self._fetch(url, _Kept(limit, last=False, start=start), deadline)
        return kept

    def close(self) -> None:
        self._http.close()

    def _retried(
        self, once: Callable[[], _T], deadline: Deadline, *, attempts: int, idempotent: bool, arm_id: str
    ) -> _T:
        tried = 0
        counted = 0
        while True:
            try:
                return once()
            except ArmError as error:
                tried += 1
                # What is busy ends by itself: only the deadline counts. One who asks once is not kept either way.
                counted += attempts == 1 or not isinstance(error, Busy)
                if not is_sent_again(error, idempotent=idempotent) or counted >= attempts:
                    raise
                wait = pause(tried, error.retry_after, self._random)
                if wait >= deadline.remaining:
                    raise DeadlineExceeded(
                        f"{error.message}; tried {tried} times in {deadline.elapsed:.0f} s, and the next try, in "
                        f"{wait:.0f} s, would be after the deadline of {deadline.seconds:.0f} s",
                        status=error.status,
                        code=error.code,
                        inner_code=error.inner_code,
                        arm_id=error.arm_id or arm_id,
                        operation=error.operation,
                        correlation_id=error.correlation_id,
                        body=error.body,
                    ) from error
                self._sleep(wait)

    def _signed(self, request: Request, content: bytes | None, deadline: Deadline) -> Answer:
        """One attempt; a 401 is answered once with a fresh token."""
        token = self._tokens.get(request.audience)
        status, headers, text = self._exchange(request, content, token, deadline)
        if status == 401:
            claims = _claims(headers.get("www-authenticate", ""))
            token = self._tokens.after_refusal(request.audience, token, claims)
            status, headers, text = self._exchange(request, content, token, deadline)
        if status >= 300:
            error = error_of(status, headers, text, arm_id=request.arm_id, operation=request.verb)
            error.correlation_id = error.correlation_id or request.correlation
            error.retry_after = retry_after(headers)
            raise error
        return Answer(status, headers, _json(request, status, headers, text))

    def _exchange(
        self, request: Request, content: bytes | None, token: str, deadline: Deadline
    ) -> tuple[int, httpx.Headers, str]:
        # What may be sent again is given up when it stalls; what may not is waited for as long as there is time.
        left = max(deadline.remaining, 1.0)
        timeout = httpx.Timeout(min(STALL, left) if request.idempotent else left, connect=_CONNECT, pool=STALL)
        headers = {
            "x-ms-correlation-request-id": request.correlation,
            "x-ms-client-request-id": request.correlation,
            **({"Content-Type": "application/json"} if content is not None else {}),
            **request.headers,
            "Authorization": f"Bearer {token}",
        }
        try:
            with self._http.stream(request.verb, request.url, content=content, headers=headers, timeout=timeout) as got:
                body = b"".join(_bounded(got, _BODY_LIMIT))
                return got.status_code, got.headers, body.decode("utf-8-sig", errors="replace")
        except UnicodeEncodeError as error:
            raise Invalid("a header has characters that HTTP cannot carry", arm_id=request.arm_id) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _network_error(error, request.verb, request.url, request.arm_id, request.correlation) from error

    def _fetch(self, url: str, part: _Kept, deadline: Deadline) -> tuple[bytes, int]:
        """The part's bytes, and how many before them were dropped."""
        if not self._cloud.admits_unsigned(url):
            raise foreign(self._cloud, url, "a request for a file")
        where = url.split("?", maxsplit=1)[0]
        return self._retried(
            lambda: self._fetched(url, where, part, deadline),
            deadline,
            attempts=ATTEMPTS,
            idempotent=True,
            arm_id=where,
        )

    def _fetched(self, url: str, where: str, part: _Kept, deadline: Deadline) -> tuple[bytes, int]:
        timeout = httpx.Timeout(min(STALL, max(deadline.remaining, 1.0)), connect=_CONNECT)
        headers = {"Accept": "*/*", **({"Range": f"bytes={part.start}-"} if part.start else {})}
        kept = bytearray()
        dropped = 0
        try:
            with self._http.stream("GET", url, timeout=timeout, headers=headers) as got:
                # A host that knows no ranges gives what comes before, too.
                limit = part.limit + (part.start if got.status_code == 200 else 0)
                for chunk in got.iter_bytes():
                    kept += chunk
                    surplus = max(0, len(kept) - limit)
                    if surplus and not part.last:
                        del kept[limit:]
                        break
                    dropped += surplus
                    del kept[:surplus]
                    if deadline.remaining <= 0:
                        raise DeadlineExceeded(
                            f"still being sent after {deadline.seconds:.0f} s", code="DeadlineExceeded", arm_id=where
                        )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _network_error(error, "GET", where, where) from error
        if got.status_code == 416 and part.start:
            return b"", 0  # nothing was added since
        if got.status_code >= 300:
            text = kept.decode("utf-8-sig", errors="replace")
            refused = error_of(got.status_code, got.headers, text, arm_id=where, operation="GET")
            refused.retry_after = retry_after(got.headers)
            raise refused
        if got.status_code == 200:
            del kept[: part.start]
        return bytes(kept), dropped


def _encoded(request: Request) -> bytes | None:
    if request.body is None:
        return None
    try:
        return json.dumps(request.body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise Invalid(f"the body cannot be written as JSON: {error}", arm_id=request.arm_id) from error


def _bounded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    size = 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > limit:
            raise BadAnswer(f"an answer of more than {limit} bytes", status=response.status_code, code="TooLarge")
        yield chunk


def _network_error(error: Exception, verb: str, url: str, arm_id: str, correlation: str = "") -> Unreachable:
    """What httpx raised, by whether the request can have been carried out."""
    host = urlsplit(url).hostname or url
    reason = str(error) or type(error).__name__
    if isinstance(error, _NEVER_SENT):
        return Unreachable(
            f"no connection to {host}: {reason}; check the network, the name resolution and the proxy "
            "(HTTPS_PROXY, NO_PROXY), and SSL_CERT_FILE where certificates are your own",
            code=type(error).__name__,
            arm_id=arm_id,
            operation=verb,
            correlation_id=correlation,
        )
    done = "" if verb == "GET" else "; it may have been carried out all the same"
    return AnswerLost(
        f"no whole answer from {host}: {reason}{done}",
        code=type(error).__name__,
        arm_id=arm_id,
        operation=verb,
        correlation_id=correlation,
    )


def _json(request: Request, status: int, headers: Mapping[str, str], text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        shape = "an HTML page" if text.lstrip().startswith("<") else "a body that is not JSON, or half of one,"
        raise BadAnswer(
            f"{shape} came with status {status}: {text[:120]!r}; a proxy or a sign-in page may have answered instead",
            status=status,
            code="NotJson",
            arm_id=request.arm_id,
            operation=request.verb,
            correlation_id=headers.get("x-ms-correlation-request-id") or request.correlation,
            body=text,
        ) from error


def _claims(challenge: str) -> str | None:
    """What a `WWW-Authenticate` challenge demands of the next token (continuous access evaluation), decoded."""
    found = re.search(r'claims="([^"]+)"', challenge)
    if not found:
        return None
    try:
        return base64.b64decode(found.group(1) + "==").decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
