"""Blob containers: the door to one, and small reads and writes in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from random import random
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceExistsError
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.storage.blob import BlobPrefix, ContainerClient, ExponentialRetry
from requests.adapters import HTTPAdapter

from providers.arm import credentials
from providers.arm.clocks import http_date
from providers.arm.clouds import PUBLIC, Cloud
from providers.arm.retries import ATTEMPTS, pause, retry_after

from .errors import BlobError, translated
from .pace import MOST
from .writes import Writes

BLOCK = 8 * 1024 * 1024
"""Bytes: a file above this is sent in blocks of this size, so that a break costs one block."""
_CONCURRENCY = 8
_CONNECT, _STALL = 15, 60
"""Seconds for a connection, and without a byte on one."""


@dataclass(frozen=True)
class Blob:
    """One blob in a listing. `sha256` is what `upload` noted with it, else empty."""

    name: str
    size: int
    sha256: str
    etag: str
    md5: bytes | None = None
    """What the service keeps of the whole content; None for a blob that was put together from blocks, say."""
    modified: datetime | None = None
    """UTC."""


@dataclass(frozen=True)
class Dated:
    """A small blob, and when it was written by the clock of the service: that of whoever wrote it may be wrong."""

    text: str
    written: float
    """Seconds since the epoch, to the second."""
    age: float
    """Seconds since then."""


class _Retry(ExponentialRetry):
    """The SDK's own policy, with the clock as a parameter."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        super().__init__(initial_backoff=1, increment_base=2, retry_total=5, random_jitter_range=1)
        self._sleep = sleep

    def sleep(self, settings: dict[str, Any], transport: Any) -> None:  # noqa: ARG002 - the SDK's signature
        self._sleep(self.get_backoff_time(settings))

    def send(self, request: Any) -> Any:
        """Tries 429 again as well, which the SDK takes for final, after what its Retry-After asks for."""
        body = request.http_request.body
        start = body.tell() if hasattr(body, "seek") else None
        hook = request.context.options.get("retry_hook")
        for attempt in range(1, ATTEMPTS + 1):
            response = super().send(request)  # type: ignore[no-untyped-call]
            if response.http_response.status_code != 429 or attempt == ATTEMPTS:
                break
            if hook is not None:
                hook(response=response.http_response)
                request.context.options["retry_hook"] = hook  # the SDK takes it out
            self._sleep(pause(attempt, retry_after(response.http_response.headers), random))
            if start is not None:
                body.seek(start)
        return response


class Container(ContainerClient):
    """azure-storage-blob's own client, with a short way for what is written once for each file."""

    writes: Writes


def container(
    account_url: str,
    name: str,
    cloud: Cloud = PUBLIC,
    *,
    key: str | None = None,
    credential: TokenCredential | None = None,
    anonymous: bool = False,
    transport: HttpTransport[Any, Any] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Container:
    """The container `name` of the account at `account_url` (`https://<account>.blob.core.windows.net`).

    Signs in with Entra ID, unless `anonymous`; a storage key is used only when it is given. Answers of 408 and 5xx and
    broken connections are tried again 5 times, after 1, 3, 5, 9 and 17 seconds or so, 429 by `arm.retries`. Nothing is
    sent here.

    Raises BlobError when the URL is not one of the cloud's own storage hosts.
    """
    if not cloud.admits(account_url, cloud.storage_audience) or urlsplit(account_url).path.strip("/"):
        raise BlobError(
            f"not a blob account of the {cloud.name} cloud: {account_url.split('?', maxsplit=1)[0]!r}; "
            f"it reads https://<account>.blob.{cloud.storage_suffix}",
            code="ForeignHost",
        )
    sends = _transport(account_url) if transport is None else transport
    retry = _Retry(sleep)
    made = Container(
        account_url,
        name,
        credential=None if anonymous else key or credential or credentials.credential(cloud),
        retry_policy=retry,
        permit_redirects=False,
        max_single_put_size=BLOCK,
        max_block_size=BLOCK,
        transport=sends,
    )
    # Of a key the client makes the policy that signs with it.
    made.writes = Writes(
        made.url,
        version=made.api_version,
        transport=sends,
        retry=retry,
        credential=made.credential,
        audience=cloud.storage_audience,
    )
    return made


def _transport(account_url: str) -> HttpTransport[Any, Any]:
    """The SDK's own, with a kept connection for each request at a time: by itself it keeps ten.

    What the environment says of proxies and certificates is asked once: requests would read it anew for each request,
    which takes a fifth of the time of a small one.
    """
    session = requests.Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=MOST))
    said = session.merge_environment_settings(account_url, {}, None, None, None)
    session.trust_env = False
    session.proxies, session.verify = said["proxies"], said["verify"]
    made: HttpTransport[Any, Any] = RequestsTransport(
        session=session,
        session_owner=False,
        connection_verify=said["verify"],
        connection_timeout=_CONNECT,
        read_timeout=_STALL,
    )
    return made


def list_blobs(container: Container, prefix: str) -> Iterator[Blob]:
    """Every blob whose name begins with `prefix`, in order of name."""
    with translated("list blobs", _where(container, prefix)):
        for item in container.list_blobs(name_starts_with=prefix, include=["metadata"]):
            noted = item.metadata or {}
            if noted.get("hdi_isfolder") == "true":
                continue  # a folder of an account with hierarchical names: no content
            # A listing gives the tag bare, and conditions take it in quotes.
            yield Blob(
                item.name,
                item.size or 0,
                noted.get("sha256", ""),
                '"{}"'.format((item.etag or "").strip('"')),
                bytes(item.content_settings.content_md5) if item.content_settings.content_md5 else None,
                item.last_modified,
            )


def list_folders(container: Container, prefix: str) -> Iterator[str]:
    """The folders directly below `prefix`, which ends with a slash; each ends with one, too."""
    with translated("list blobs", _where(container, prefix)):
        for item in container.walk_blobs(name_starts_with=prefix, delimiter="/"):
            if isinstance(item, BlobPrefix):
                yield item.name


def read_bytes(container: Container, path: str, limit: int) -> bytes:
    """A blob's whole content. Raises BlobMissing, and BlobError when it has more than `limit` bytes."""
    with translated("read blob", _where(container, path)):
        download = container.download_blob(path, max_concurrency=1)
        if download.size > limit:
            raise _too_large(container, path, download.size, limit)
        return download.readall()


def read_dated(container: Container, path: str, limit: int) -> Dated:
    """As `read_text`, with when it was written. Raises as `read_bytes`."""
    dates: list[datetime | None] = []

    def note(response: Any) -> None:
        dates.append(http_date(response.http_response.headers.get("Date") or ""))

    with translated("read blob", _where(container, path)):
        download = container.download_blob(path, max_concurrency=1, raw_response_hook=note)
        content = download.readall() if download.size <= limit else b""
        modified = download.properties.last_modified
    if download.size > limit:
        raise _too_large(container, path, download.size, limit)
    now = dates[0] if dates and dates[0] else datetime.now(timezone.utc)
    text = content.decode("utf-8-sig", errors="replace")
    return Dated(text, modified.timestamp(), max(0.0, (now - modified).total_seconds()))


def read_text(container: Container, path: str, limit: int) -> str:
    """As `read_bytes`, as UTF-8 with a replacement sign for what is not."""
    return read_bytes(container, path, limit).decode("utf-8-sig", errors="replace")


def put_if_absent(container: Container, path: str, content: bytes) -> bool:
    """Write a blob unless there is one of that name; whether it was written."""
    with translated("write blob", _where(container, path)):
        try:
            container.upload_blob(path, content, length=len(content), overwrite=False)
        except ResourceExistsError:
            return False
        return True


def delete_blob(container: Container, path: str) -> bool:
    """Delete a blob with its snapshots; False when there was none."""
    with translated("delete blob", _where(container, path)):
        return container.writes.delete(path)


def delete_below(container: Container, prefix: str) -> int:
    """Delete every blob below `prefix`, which ends with a slash; how many there were. Absence is success."""
    if not prefix.endswith("/") or not prefix.strip("/"):
        raise ValueError(f"prefix: must be a folder and end with a slash, got {prefix!r}")
    with ThreadPoolExecutor(max_workers=_CONCURRENCY) as pool:
        names = [blob.name for blob in list_blobs(container, prefix)]
        return sum(pool.map(lambda name: delete_blob(container, name), names))


def _too_large(container: Container, path: str, size: int, limit: int) -> BlobError:
    return BlobError(
        f"read blob: it has {size} bytes, more than {limit}", code="TooLarge", arm_id=_where(container, path)
    )


def _where(container: Container, path: str) -> str:
    return f"{container.url.split('?', maxsplit=1)[0]}/{path}"
