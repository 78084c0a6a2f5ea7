"""Blobs, as far as a scoring job needs them: a thin protocol and its one real implementation over Azure Storage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient

from lab.scoring.spec import BlobPath, StorageSpec

_CHUNK = 4 * 1024 * 1024
"""Bytes held per transfer: 8 threads then hold some 32 MiB, however large the blobs are."""


class BlobError(Exception):
    """A blob could not be listed, read or written; the text is one sentence with container and path."""


class BlobNotFound(BlobError):
    """The blob or its container is not there."""


class BlobExists(BlobError):
    """A conditional upload found a blob of that name."""


class Cancelled(Exception):
    """The job was cancelled while it was waiting for something."""


class Cancellation:
    """Whether the job is to stop: set by a signal handler, looked at by everything that waits.

    A plain attribute, not a threading.Event: an Event's lock may be held by the very thread that the signal interrupts.
    """

    requested = False

    def check(self) -> None:
        """Raises Cancelled when the job is to stop."""
        if self.requested:
            raise Cancelled


@dataclass(frozen=True)
class BlobItem:
    name: str
    """Full name inside the container."""
    size: int
    """Bytes."""


class BlobStore(Protocol):
    """What a job does with blobs. Every method raises BlobError, never an exception of the library below."""

    def list(self, container: str, prefix: str) -> Iterator[BlobItem]:
        """Blobs whose name starts with `prefix`, in the order of the service; a missing container has none."""
        ...

    def exists(self, blob: BlobPath) -> bool: ...

    def download(self, blob: BlobPath, to: Path) -> None:
        """Writes the blob to a new file; raises BlobNotFound."""
        ...

    def upload(self, source: Path, blob: BlobPath, *, overwrite: bool) -> None:
        """Writes a file to a blob; without `overwrite` an existing blob raises BlobExists and stays as it is."""
        ...


class AzureBlobStore:
    """Azure Storage by account key, over https, connected directly.

    The endpoint is on this machine, so proxies and certificate settings of the environment are left out
    (`use_env_settings=False`): the lab's own proxy variables would otherwise send each call around through it.
    """

    def __init__(self, storage: StorageSpec) -> None:
        self._service = BlobServiceClient(
            storage.endpoint,
            credential={"account_name": storage.account, "account_key": storage.key},
            transport=RequestsTransport(use_env_settings=False, connection_verify=storage.ca_file),
            max_single_get_size=_CHUNK,
            max_chunk_get_size=_CHUNK,
            max_block_size=_CHUNK,
            max_single_put_size=_CHUNK,
            retry_total=3,
            initial_backoff=1,
        )

    def list(self, container: str, prefix: str) -> Iterator[BlobItem]:
        client = self._service.get_container_client(container)
        try:
            for blob in client.list_blobs(name_starts_with=prefix or None):
                yield BlobItem(blob.name, blob.size)
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise BlobError(f"cannot list blobs at {container}/{prefix}: {_reason(error)}") from error

    def exists(self, blob: BlobPath) -> bool:
        try:
            return bool(self._service.get_blob_client(blob.container, blob.path).exists())
        except AzureError as error:
            raise BlobError(f"cannot look for blob {blob}: {_reason(error)}") from error

    def download(self, blob: BlobPath, to: Path) -> None:
        try:
            stream = self._service.get_blob_client(blob.container, blob.path).download_blob()
            with to.open("xb") as file:
                stream.readinto(file)
        except ResourceNotFoundError as error:
            raise BlobNotFound(f"blob {blob} does not exist") from error
        except AzureError as error:
            raise BlobError(f"cannot read blob {blob}: {_reason(error)}") from error

    def upload(self, source: Path, blob: BlobPath, *, overwrite: bool) -> None:
        try:
            with source.open("rb") as file:
                self._service.get_blob_client(blob.container, blob.path).upload_blob(file, overwrite=overwrite)
        except ResourceExistsError as error:
            raise BlobExists(f"blob {blob} exists already") from error
        except AzureError as error:
            raise BlobError(f"cannot write blob {blob}: {_reason(error)}") from error


def blobs_below(store: BlobStore, folder: BlobPath) -> dict[str, BlobItem]:
    """Relative name -> blob of every file below a folder, sorted by name; empty when there is none.

    Directory markers (names that end with a slash) are no files and are left out.
    """
    prefix = f"{folder.path}/" if folder.path else ""
    items = {item.name[len(prefix) :]: item for item in store.list(folder.container, prefix)}
    return {name: items[name] for name in sorted(items) if name and not name.endswith("/")}


def download_all(
    store: BlobStore,
    container: str,
    targets: Iterable[tuple[str, Path]],
    cancellation: Cancellation,
    *,
    threads: int = 8,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Downloads (blob name, file) pairs in parallel; stops within a moment when cancelled.

    `progress` hears the number of finished files. Beyond 8 threads the lab's blob service, a single process, is the
    bound. On cancellation threads in the middle of a transfer are left behind: the job's process is about to end.
    """
    executor = ThreadPoolExecutor(threads, thread_name_prefix="download")
    try:
        pending: set[Future[None]] = set()
        done_files = 0
        for name, target in targets:
            pending.add(executor.submit(_download_one, store, BlobPath(container, name), target, cancellation))
            while len(pending) >= threads * 4:
                pending, done_files = _settle(pending, done_files, cancellation, progress)
        while pending:
            pending, done_files = _settle(pending, done_files, cancellation, progress)
    finally:
        executor.shutdown(wait=not cancellation.requested, cancel_futures=True)


def safe_target(root: Path, relative: str) -> Path:
    """The file below `root` for a blob's relative name; raises BlobError for names that would leave the folder."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or "\0" in relative:
        raise BlobError(f"blob name {relative!r} cannot be kept as a local file")
    return root / path


def wait_until(done: Callable[[], bool], cancellation: Cancellation, *, poll_seconds: float = 0.1) -> None:
    """Waits for something that only polling can tell; raises Cancelled within one poll."""
    while not done():
        cancellation.check()
        time.sleep(poll_seconds)


def _settle(
    pending: set[Future[None]], done_files: int, cancellation: Cancellation, progress: Callable[[int], None]
) -> tuple[set[Future[None]], int]:
    finished, rest = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
    cancellation.check()
    for future in finished:
        future.result()
    if finished:
        progress(done_files + len(finished))
    return rest, done_files + len(finished)


def _download_one(store: BlobStore, blob: BlobPath, target: Path, cancellation: Cancellation) -> None:
    cancellation.check()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(blob, target)
    except OSError as error:
        raise BlobError(f"blob {blob} cannot be kept as a local file: {error.strerror or error}") from error


def _reason(error: AzureError) -> str:
    """First line of a storage error, with the service's error code where there is one."""
    code = getattr(error, "error_code", None)
    lines = str(error.message or error).strip().splitlines()
    return f"{code}: {lines[0]}" if code and lines else (lines[0] if lines else type(error).__name__)
