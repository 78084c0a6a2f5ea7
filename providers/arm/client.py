"""Azure Resource Manager and the hosts beside it: the verbs. `wire` sends, `operations` waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from random import random as any_fraction
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx
from azure.core.credentials import TokenCredential

from . import credentials
from .answer import Answer, Deadline
from .clouds import PUBLIC, Cloud, cloud
from .errors import BadAnswer, NotFound, OperationFailed
from .ids import ArmId
from .operation_status import STATUSES, State, path_in
from .operations import Progress, follow
from .wire import Request, Wire

READ_DEADLINE = 120.0
"""Seconds for a GET or a page of a list, retries included."""
READ_AFTER_WRITE = 15.0
"""Seconds after our own PUT in which a 404 of the same id is taken for a reader that lags behind."""
_TEXT_LIMIT = 4 * 1024 * 1024  # bytes


class ArmClient:
    """Safe between threads. Nothing is sent, and nobody signs in, before the first call.

    Every method raises an ArmError (see `errors`) and nothing of httpx's. `api_version` is a date such as `2025-12-01`.
    `deadline` is in seconds, and covers retries and waiting. `progress` receives short phrases while waiting.
    Clock (seconds, monotonic), sleep, random and transport are here for tests; proxies and certificates come from the
    environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE), and certificates are always checked.
    """

    def __init__(
        self,
        *,
        cloud: Cloud = PUBLIC,
        credential: TokenCredential | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = any_fraction,
    ) -> None:
        self.cloud = cloud
        self._clock = clock
        self._sleep = sleep
        tokens = credentials.Tokens(credential or credentials.credential(cloud))
        self._wire = Wire(cloud, tokens, transport=transport, sleep=sleep, random=random)
        self._written: dict[str, float] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()

    def get(self, arm_id: str | ArmId, *, api_version: str) -> dict[str, Any] | None:
        """The resource, or None when there is none. Shortly after our own PUT of it a 404 is asked again."""
        path = str(arm_id)
        deadline = Deadline(READ_DEADLINE, self._clock)
        wait = 0.5
        while True:
            try:
                return _object(self._arm("GET", path, deadline, api_version=api_version), path)
            except NotFound:
                left = self._lag(path)
                if left <= 0:
                    return None
                self._sleep(min(wait, left))
                wait *= 2

    def put(
        self,
        arm_id: str | ArmId,
        body: Mapping[str, Any],
        *,
        api_version: str,
        deadline: float,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Create or replace, wait for the end, and return the resource as it then reads.

        Where the service ended it at once (assets), its answer to the PUT is returned, and nothing is asked again.
        """
        return self._write("PUT", str(arm_id), body, deadline, api_version=api_version, progress=progress)

    def patch(
        self,
        arm_id: str | ArmId,
        body: Mapping[str, Any],
        *,
        api_version: str,
        deadline: float,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Change some properties; as `put`."""
        return self._write("PATCH", str(arm_id), body, deadline, api_version=api_version, progress=progress)

    def delete(
        self,
        arm_id: str | ArmId,
        *,
        api_version: str,
        query: Mapping[str, str] | None = None,
        deadline: float,
        progress: Progress | None = None,
    ) -> None:
        """Delete, and wait until a GET says 404. Absence is success."""
        path = str(arm_id)
        limit = Deadline(deadline, self._clock)
        with self._guard:
            self._written.pop(path.lower(), None)
        try:
            first = self._arm("DELETE", path, limit, api_version=api_version, query=query)
        except NotFound:
            return
        if first.status == 204:
            return
        self._follow(
            first,
            limit,
            verb="DELETE",
            path=path,
            resource=path,
            api_version=api_version,
            progress=progress,
            gone=True,
        )

    def settled(
        self, arm_id: str | ArmId, *, api_version: str, deadline: float, progress: Progress | None = None
    ) -> dict[str, Any] | None:
        """The resource, once no operation on it is under way that an earlier run or somebody else began.

        How that operation ended is told by the provisioningState; one that is being deleted is waited for until it is
        gone, or another one has taken its place. None when there is none.
        """
        path = str(arm_id)
        limit = Deadline(deadline, self._clock)
        found = self.get(path, api_version=api_version)
        word = str(path_in(found, "properties", "provisioningState")).lower()
        if found is None or STATUSES.get(word) is not State.GOING:
            return found
        gone = word == "deleting"
        try:
            after = self._follow(
                Answer(200, {}, found),
                limit,
                verb="DELETE" if gone else "earlier write",
                path=path,
                resource=path,
                api_version=api_version,
                progress=progress,
                gone=gone,
            )
        except OperationFailed:
            if gone:
                raise
            return self.get(path, api_version=api_version)
        return _object(after, path) if after else None

    def post(
        self,
        arm_id_or_path: str | ArmId,
        body: Mapping[str, Any] | None = None,
        *,
        api_version: str,
        idempotent: bool = False,
        wait: bool = False,
        deadline: float = READ_DEADLINE,
        progress: Progress | None = None,
    ) -> Any:
        """An action; its answer's JSON, or None.

        idempotent: whether it may be sent again when nobody knows if it was carried out.
        wait: follow the operation that a 202 begins to its end (then None is returned).
        """
        path = str(arm_id_or_path)
        limit = Deadline(deadline, self._clock)
        answer = self._arm("POST", path, limit, api_version=api_version, body=body, idempotent=idempotent)
        if not wait or answer.status != 202 or not _names_operation(answer):
            return answer.body
        self._follow(
            answer,
            limit,
            verb="POST",
            path=path,
            resource=path.rpartition("/")[0],
            api_version=api_version,
            progress=progress,
        )
        return None

    def list(
        self, path: str | ArmId, *, api_version: str, query: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every item of a collection, page by page, as the iterator is read."""
        url: str | None = self._url(str(path), api_version, query)
        seen = set()
        while url:
            if url in seen:
                raise BadAnswer(f"the list of {path} links to a page that was read already", code="NextLinkLoops")
            seen.add(url)
            request = Request("GET", url, self.cloud.arm_audience, idempotent=True, arm_id=str(path))
            answer = self._wire.send(request, Deadline(READ_DEADLINE, self._clock))
            page = _object(answer, str(path))
            items = page.get("value")
            if not isinstance(items, list):
                raise BadAnswer(f"the list of {path} has no value", status=answer.status, body=str(page))
            yield from items
            following = page.get("nextLink")
            url = urljoin(url, following) if isinstance(following, str) and following else None

    def call(
        self,
        method: str,
        url: str,
        *,
        audience: str,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool,
        deadline: float = READ_DEADLINE,
    ) -> Answer:
        """One call of the data plane by its full URL (a scoring URI, an API host), with a token for `audience`.

        Raises ForeignHost, before anyone signs in, when `url` is not a host of this cloud that takes such a token.
        """
        request = Request(
            method, url, audience, idempotent, body=json, headers=headers or {}, arm_id=url.split("?", maxsplit=1)[0]
        )
        return self._wire.send(request, Deadline(deadline, self._clock))

    def fetch_text(self, url: str, *, limit: int = _TEXT_LIMIT, deadline: float = READ_DEADLINE) -> str:
        """What an https link gives that needs no token: a job's log by its signed link, or the discovery document.

        Only hosts of this cloud. Of more than `limit` bytes the last are returned, below a line that says so.
        """
        return self._wire.fetch(url, limit, Deadline(deadline, self._clock))

    def fetch_bytes(
        self, url: str, *, start: int = 0, limit: int = _TEXT_LIMIT, deadline: float = READ_DEADLINE
    ) -> bytes:
        """As `fetch_text`, of a file that grows: at most `limit` bytes from byte `start` on, none beyond its end."""
        return self._wire.fetch_from(url, start, limit, Deadline(deadline, self._clock))

    def exclusive(self, arm_id: str | ArmId) -> AbstractContextManager[bool]:
        """A lock of this process for one resource, so that writes to it and to its children do not collide.

        `with client.exclusive(endpoint): ...`; the same thread may take it twice.
        """
        with self._guard:
            return self._locks.setdefault(str(arm_id).lower(), threading.RLock())

    def close(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        self._wire.close()

    def __repr__(self) -> str:
        return f"ArmClient(cloud={self.cloud.name!r})"

    def __reduce__(self) -> str:
        raise TypeError("a client is not for state: it cannot be pickled")

    def _write(
        self,
        verb: str,
        path: str,
        body: Mapping[str, Any],
        seconds: float,
        *,
        api_version: str,
        progress: Progress | None,
    ) -> dict[str, Any]:
        deadline = Deadline(seconds, self._clock)
        first = self._arm(verb, path, deadline, api_version=api_version, body=body)
        settled = self._follow(
            first, deadline, verb=verb, path=path, resource=path, api_version=api_version, progress=progress
        )
        with self._guard:
            self._written[path.lower()] = self._clock()
        if settled is None and not isinstance(first.body, dict):
            found = self.get(path, api_version=api_version)
            if found is None:
                raise NotFound("it was written, and then it was not there", status=404, arm_id=path, operation=verb)
            return found
        return _object(settled or first, path)

    def _lag(self, path: str) -> float:
        """Seconds left in which our own PUT of `path` may not be readable yet."""
        now = self._clock()
        with self._guard:
            self._written = {key: at for key, at in self._written.items() if now - at < READ_AFTER_WRITE}
            written = self._written.get(path.lower())
        return 0.0 if written is None else READ_AFTER_WRITE - (now - written)

    def _url(self, path: str, api_version: str, query: Mapping[str, str] | None = None) -> str:
        if not path.startswith("/"):
            raise ValueError(f"a path of Resource Manager starts with a slash, got {path!r}")
        return f"{self.cloud.arm}{path}?{urlencode({'api-version': api_version, **(query or {})}, safe='$')}"

    def _arm(
        self,
        verb: str,
        path: str,
        deadline: Deadline,
        *,
        api_version: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        idempotent: bool = True,
    ) -> Answer:
        request = Request(
            verb,
            self._url(path, api_version, query),
            self.cloud.arm_audience,
            idempotent,
            body=body,
            arm_id=path,
        )
        return self._wire.send(request, deadline)

    def _ask(self, arm_id: str, deadline: Deadline) -> Callable[[str], Answer]:
        """Questions about an operation or a resource: sent once each, since `operations` asks again; 404 is an answer.

        Relative URLs are Resource Manager's.
        """

        def ask(url: str) -> Answer:
            full = urljoin(f"{self.cloud.arm}/", url)
            request = Request("GET", full, self.cloud.arm_audience, idempotent=True, arm_id=arm_id)
            # At the deadline one last question is still asked: the operation may have ended while we slept.
            limit = Deadline(max(deadline.remaining, 10.0), self._clock)
            try:
                return self._wire.send(request, limit, attempts=1)
            except NotFound as error:
                return Answer(404, httpx.Headers({"x-ms-correlation-request-id": error.correlation_id}), None)

        return ask

    def _follow(
        self,
        first: Answer,
        deadline: Deadline,
        *,
        verb: str,
        path: str,
        resource: str,
        api_version: str,
        progress: Progress | None,
        gone: bool = False,
    ) -> Answer | None:
        return follow(
            first,
            self._ask(path, deadline),
            resource_url=self._url(resource, api_version),
            arm_id=path,
            verb=verb,
            deadline=deadline,
            sleep=self._sleep,
            progress=progress,
            gone=gone,
        )


_clients: dict[str, ArmClient] = {}
_clients_lock = threading.Lock()


def client(cloud_name: str = "public") -> ArmClient:
    """This process's client for that cloud, made at the first call. Raises ValueError for an unknown cloud."""
    chosen = cloud(cloud_name)
    with _clients_lock:
        if chosen.name not in _clients:
            _clients[chosen.name] = ArmClient(cloud=chosen)
        return _clients[chosen.name]


def _object(answer: Answer, arm_id: str) -> dict[str, Any]:
    if isinstance(answer.body, dict):
        return answer.body
    raise BadAnswer(
        f"expected a JSON object, got {answer.body!r:.120}",
        status=answer.status,
        code="NotAnObject",
        arm_id=arm_id,
        correlation_id=answer.headers.get("x-ms-correlation-request-id", ""),
    )


def _names_operation(answer: Answer) -> bool:
    return any(answer.headers.get(name) for name in ("azure-asyncoperation", "operation-location", "location"))
