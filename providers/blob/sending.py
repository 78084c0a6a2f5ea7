"""The files of one folder on their way to blob storage: copied inside the account, or sent, side by side."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient

from .container import BLOCK, Blob, Container, delete_blob, list_blobs
from .errors import BlobError, translated
from .folder import FileEntry, changed, local_file
from .pace import Pace
from .size import size as size_of

_COPY_WAIT, _COPY_LOOK = 60.0, 0.5
"""Seconds that a copy inside the account may take before the file is sent instead, and between looks."""
Progress = Callable[[str], None]
"""Receives short phrases such as `12 of 40 files, 3.1 MB of 9.8 MB, 4 s, 1.2 MB/s`; the rate is of what is sent."""


class Tally:
    """What is done so far, from many threads, and the phrase that tells it."""

    def __init__(
        self,
        entries: tuple[FileEntry, ...],
        missing: list[FileEntry],
        progress: Progress | None,
        clock: Callable[[], float],
    ) -> None:
        self.sent = 0
        self.copied = 0
        self._files = len(entries)
        self._done = len(entries) - len(missing)
        self._total = sum(entry.size for entry in entries)
        self._bytes = self._total - sum(entry.size for entry in missing)
        self._progress = progress
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()

    def take_back(self, entry: FileEntry) -> None:
        """A file that was copied was not what it should be."""
        with self._lock:
            self._bytes -= entry.size
            self.copied -= 1
            self._done -= 1

    def add(self, *, size: int = 0, sent: bool = False, copied: int = 0, file: bool = False) -> None:
        with self._lock:
            self._bytes += size
            self.sent += size if sent else 0
            self.copied += copied
            self._done += file
            if self._progress is not None:
                took = self._clock() - self._start
                rate = f", {size_of(self.sent / took)}/s" if took > 0 and self.sent else ""
                self._progress(
                    f"{self._done} of {self._files} files, {size_of(self._bytes)} of {size_of(self._total)}, "
                    f"{took:.0f} s{rate}"
                )


class Sending:
    """The files of one folder on their way to one prefix."""

    def __init__(
        self,
        root: str,
        container: Container,
        prefix: str,
        there: Mapping[str, Blob],
        *,
        tally: Tally,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.tally = tally
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._root = root
        self._container = container
        self._prefix = prefix
        self._there = there
        self._copied: list[FileEntry] = []
        """Copied at one word of the service, and not looked at yet."""

    def run(self, missing: Sequence[FileEntry], earlier: Mapping[str, str], most: int) -> None:
        """Small files side by side; then large ones one after the other, their blocks side by side.

        Never more than `most` requests at a time; how many, and how much of content is in memory, is the pace's to say.
        """
        self._most = most
        with ThreadPoolExecutor(max_workers=most) as pool:
            try:
                self._run(missing, earlier, pool)
                self._run(self._wrongly_copied(), {}, pool)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _run(self, entries: Sequence[FileEntry], earlier: Mapping[str, str], pool: ThreadPoolExecutor) -> None:
        self._each([entry for entry in entries if entry.size <= BLOCK], earlier, pool)
        for entry in entries:
            source = earlier.get(entry.sha256)
            if entry.size > BLOCK and not (source and self._copy(entry, source)):
                self._send_blocks(entry, pool)

    def _each(self, entries: Sequence[FileEntry], earlier: Mapping[str, str], pool: ThreadPoolExecutor) -> None:
        """One request for each, until all are done or one fails; every thread takes the next one when it is free."""
        waiting = deque(entries)

        def work() -> None:
            while waiting:
                try:
                    entry = waiting.popleft()
                except IndexError:
                    return  # another thread had the last one
                try:
                    self._copy_or_send(entry, earlier.get(entry.sha256))
                except BaseException:
                    waiting.clear()
                    raise

        futures = [pool.submit(work) for _ in range(min(self._most, len(entries)))]
        for future in futures:
            future.result()

    def _copy_or_send(self, entry: FileEntry, source: str | None) -> None:
        if source:
            with self._pace.request(0):
                copied = self._copy(entry, source)
            if copied:
                return
        with self._pace.request(entry.size):
            self._send(entry)

    def _copy(self, entry: FileEntry, source: str) -> bool:
        """Copy inside the account; False where that did not work, for whatever reason: the file is then sent.

        Within one account Copy Blob reads the source with the caller's own token
        (https://learn.microsoft.com/rest/api/storageservices/copy-blob#authorization), and ends at once as a rule.
        """
        name = self._prefix + entry.path
        try:
            # Without metadata of its own the copy takes the source's, and with it the sha256 that is looked at later.
            state = self._container.writes.copy(name, source, replaces=self._replaces(entry), hook=self._pace.retried)
            if state != "success":
                target = self._container.get_blob_client(name)
                if not self._ended(target):
                    target.abort_copy(state)
                    target.delete_blob()
                    return False
        except AzureError:
            return False
        self._copied.append(entry)
        self.tally.add(size=entry.size, copied=1, file=True)
        return True

    def _ended(self, target: BlobClient) -> bool:
        """Whether a copy that the service makes by and by has ended within the time that it gets."""
        until = self._clock() + _COPY_WAIT
        while target.get_blob_properties().copy.status == "pending":
            if self._clock() >= until:
                return False
            self._sleep(_COPY_LOOK)
        return True

    def _wrongly_copied(self) -> list[FileEntry]:
        """Files whose source was not what its manifest says: one listing for all, and away with them."""
        if not self._copied:
            return []
        there = {blob.name: blob for blob in list_blobs(self._container, self._prefix)}
        found = [(entry, there.get(self._prefix + entry.path)) for entry in self._copied]
        wrong = [
            (entry, blob) for entry, blob in found if not blob or (blob.size, blob.sha256) != (entry.size, entry.sha256)
        ]
        for entry, blob in wrong:
            if blob:
                delete_blob(self._container, blob.name)
            self.tally.take_back(entry)
        return [entry for entry, _ in wrong]

    def _send(self, entry: FileEntry) -> None:
        file = local_file(self._root, entry)
        content = _read(file, entry)
        with translated("write blob", self._where(entry)):
            if not self._container.writes.put(
                self._prefix + entry.path,
                content,
                sha256=entry.sha256,
                replaces=self._replaces(entry),
                hook=self._pace.retried,
            ):
                self._same_or_raise(entry)
        self.tally.add(size=entry.size, sent=True, file=True)

    def _send_blocks(self, entry: FileEntry, pool: ThreadPoolExecutor) -> None:
        """Stage what is not staged yet, blocks side by side; commit if the whole is what was scanned.

        A block is read only when it may be sent: no more of a file is in memory than is under way.
        """
        blob = self._container.get_blob_client(self._prefix + entry.path)
        file = local_file(self._root, entry)
        total = hashlib.sha256()
        ids: list[str] = []
        running: deque[Future[None]] = deque()
        with translated("write blob", self._where(entry)):
            staged = self._staged(entry)

            def stage(name: str, block: bytes) -> None:
                try:
                    blob.stage_block(name, block, length=len(block), retry_hook=self._pace.retried)
                    self.tally.add(size=len(block), sent=True)
                finally:
                    self._pace.leave(BLOCK)

            try:
                for index, block in enumerate(_blocks(file, lambda: self._pace.enter(BLOCK))):
                    total.update(block)
                    name = _block_id(index, total.hexdigest())
                    ids.append(name)
                    if name in staged:
                        self.tally.add(size=len(block))
                        self._pace.leave(BLOCK)
                        continue
                    running.append(pool.submit(stage, name, block))
                    while running and running[0].done():
                        running.popleft().result()
                self._pace.leave(BLOCK)  # of the look past the last block
            finally:
                wait(running)
            while running:
                running.popleft().result()
            if total.hexdigest() != entry.sha256:
                raise changed(file, entry)
            try:
                blob.commit_block_list(
                    [BlobBlock(name) for name in ids],
                    metadata={"sha256": entry.sha256},
                    **self._condition(entry),
                )
            except (ResourceExistsError, ResourceModifiedError):
                self._same_or_raise(entry)
        self.tally.add(file=True)

    def _staged(self, entry: FileEntry) -> set[str]:
        """Ids of the blocks that a broken upload of this file left behind: they name their content."""
        try:
            _, uncommitted = self._container.get_blob_client(self._prefix + entry.path).get_block_list("uncommitted")
        except ResourceNotFoundError:
            return set()
        return {block.id for block in uncommitted}

    def _replaces(self, entry: FileEntry) -> str | None:
        """The etag of what was listed in a file's place, the one thing that may be replaced; None for nothing."""
        blob = self._there.get(entry.path)
        return blob.etag if blob else None

    def _condition(self, entry: FileEntry) -> dict[str, Any]:
        """The same as the SDK's keywords. `etag` must be left out, not None: it would be handed on to the transport."""
        etag = self._replaces(entry)
        return (
            {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            if etag
            else {"match_condition": MatchConditions.IfMissing}
        )

    def _same_or_raise(self, entry: FileEntry) -> None:
        """Somebody was first: fine when it is the same content (our own lost answer, or a second run), else refused."""
        found = self._container.get_blob_client(self._prefix + entry.path).get_blob_properties()
        if found.size != entry.size or (found.metadata or {}).get("sha256") != entry.sha256:
            raise BlobError(
                f"another upload wrote other content to {self._prefix}{entry.path} meanwhile; run again",
                code="StrangerInUpload",
                arm_id=self._where(entry),
            )

    def _where(self, entry: FileEntry) -> str:
        return f"{self._container.url}/{self._prefix}{entry.path}"


def _read(file: Path, entry: FileEntry) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise changed(file, entry) from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise changed(file, entry)
    return content


def _blocks(file: Path, before: Callable[[], None]) -> Iterator[bytes]:
    """A file's blocks; `before` is called before each is read, and once more before the end is seen."""
    with file.open("rb") as opened:
        before()
        while block := opened.read(BLOCK):
            yield block
            before()


def _block_id(index: int, so_far: str) -> str:
    """A block's id: its place, and the digest of the file up to its end. All ids of a blob must have one length."""
    return base64.b64encode(f"{index:06d}-{so_far[:32]}".encode()).decode()
