"""Blobs brought to local files: in parallel, resumed where it was broken off, and verified.

A file is written as `<name>.<etag>.partial` beside its place and renamed when all of it is there and right, so that
what has its final name is whole. A file of more than a block is fetched block by block, the blocks in parallel and
written in order: what a broken download left is the beginning of the file, and the next one goes on behind it. The etag
in the name says of which content that is.

Verified is the length; the blob's MD5, where the service keeps one, or the sha256 that `upload` noted; where there is
neither, the service is asked for an MD5 of each range.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.core import MatchConditions

from .container import BLOCK, Blob, Container
from .errors import BlobError, translated
from .folder import FolderError

Received = Callable[[int, bool], None]
"""Told of bytes that are there (fetched, or of an earlier try), and whether a file became whole with them."""
_READ = 1024 * 1024  # bytes


@dataclass(frozen=True)
class Wanted:
    """A blob, and the local file that it becomes."""

    blob: Blob
    target: Path


@dataclass(frozen=True)
class Plan:
    """What a download has to do, known before it begins."""

    fetch: tuple[Wanted, ...]
    """Also what is there with the same length where nobody knows a hash: it is fetched, compared, and left if it is
    the same."""
    kept: tuple[Wanted, ...]
    """Files that are there already, with this content."""
    strangers: tuple[Wanted, ...]
    """Files that are there with other content: nothing may replace them unasked."""

    @property
    def bytes(self) -> int:
        return sum(each.blob.size for each in self.fetch)


def target_below(folder: Path, name: str) -> Path:
    """Where a blob's name leads below a folder. Raises FolderError for a name that leads out of it."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise FolderError(f"{name!r} is no name that a file below {folder} can have")
    return folder.joinpath(*parts)


def plan(wanted: Sequence[Wanted]) -> Plan:
    """What is to be fetched, what is there already, and what is in the way. Reads the files that are there."""
    fetch: list[Wanted] = []
    kept: list[Wanted] = []
    strangers: list[Wanted] = []
    for each in wanted:
        if not os.path.lexists(each.target) or (_new_hash(each.blob) is None and _size(each.target) == each.blob.size):
            fetch.append(each)
        else:
            (kept if _is(each) else strangers).append(each)
    return Plan(tuple(fetch), tuple(kept), tuple(strangers))


def download(
    container: Container,
    wanted: Sequence[Wanted],
    *,
    received: Received = lambda _count, _whole: None,
    overwrite: bool = False,
    concurrency: int = 8,
) -> None:
    """Fetch all of these; `concurrency` requests at a time.

    Raises FolderError for what goes wrong on this machine, BlobError for the rest; what was fetched so far is kept, and
    the next call goes on from there.
    """
    fetching = _Fetching(container, received, overwrite)
    _clear(wanted)
    small = [each for each in wanted if each.blob.size <= BLOCK]
    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        futures = [pool.submit(fetching.small, each) for each in small]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
            for each in wanted:
                if each.blob.size > BLOCK:
                    fetching.large(each, pool, concurrency)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class _Fetching:
    def __init__(self, container: Container, received: Received, overwrite: bool) -> None:
        self._container = container
        self._received = received
        self._overwrite = overwrite

    def small(self, each: Wanted) -> None:
        """A file of one block at most: one request."""
        content = self._range(each, 0, each.blob.size) if each.blob.size else b""
        with _local(each.target):
            partial = _partial(each)
            partial.write_bytes(content)
        self._finish(each, partial, _hash_of(each.blob, content))
        self._received(len(content), True)

    def large(self, each: Wanted, pool: ThreadPoolExecutor, concurrency: int) -> None:
        """Blocks in parallel, at most `concurrency` of them in memory, written in order."""
        running: deque[Future[bytes]] = deque()
        with _local(each.target):
            partial = _partial(each)
            total = _new_hash(each.blob)
            with partial.open("ab") as file:
                begin = self._resume(file.tell(), partial, each, total)
                for start in range(begin, each.blob.size, BLOCK):
                    running.append(pool.submit(self._range, each, start, min(BLOCK, each.blob.size - start)))
                    if len(running) >= concurrency:
                        self._write(file, running.popleft().result(), total)
                while running:
                    self._write(file, running.popleft().result(), total)
        self._finish(each, partial, total.hexdigest() if total else "")
        self._received(0, True)

    def _resume(self, size: int, partial: Path, each: Wanted, total: Any) -> int:
        """How much of an earlier try is there; it goes into the hash."""
        if size > each.blob.size:
            os.truncate(partial, 0)
            return 0
        if total:
            with partial.open("rb") as earlier:
                while block := earlier.read(_READ):
                    total.update(block)
        if size:
            self._received(size, False)
        return size

    def _write(self, file: Any, block: bytes, total: Any) -> None:
        file.write(block)
        if total:
            total.update(block)
        self._received(len(block), False)

    def _range(self, each: Wanted, start: int, length: int) -> bytes:
        blob = each.blob
        with translated("read blob", f"{self._container.url}/{blob.name}"):
            content: bytes = self._container.download_blob(
                blob.name,
                offset=start,
                length=length,
                max_concurrency=1,
                validate_content=_new_hash(blob) is None,
                etag=blob.etag,
                match_condition=MatchConditions.IfNotModified,
            ).readall()
        if len(content) != length:
            raise BlobError(
                f"read blob: {len(content)} bytes came where {length} were asked for",
                code="LengthMismatch",
                arm_id=f"{self._container.url}/{blob.name}",
            )
        return content

    def _finish(self, each: Wanted, partial: Path, found: str) -> None:
        """Give the whole file its name, if it is what the blob says that it is."""
        expected = _expected(each.blob)
        size = partial.stat().st_size
        if size != each.blob.size or (expected and found != expected):
            partial.unlink()
            raise BlobError(
                f"read blob: what came is not what {each.blob.name} is ({size} bytes of {each.blob.size}, hash "
                f"{found or 'none'}, expected {expected or 'none'}); it was thrown away, run again",
                code="HashMismatch",
                arm_id=f"{self._container.url}/{each.blob.name}",
            )
        with _local(each.target):
            if os.path.lexists(each.target) and not self._overwrite:
                same = each.target.is_file() and filecmp.cmp(partial, each.target, shallow=False)
                partial.unlink()
                if not same:
                    raise FolderError(f"{each.target}: is there with other content, and is left as it is")
                return
            partial.replace(each.target)


class _local:  # reads as the context that it is
    """OSError, of the file itself or of the folder it lies in, leaves as a FolderError."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise FolderError(f"{self._target}: cannot be written ({error.strerror or error})") from error


def _partial(each: Wanted) -> Path:
    tag = re.sub(r"[^0-9A-Za-z]", "", each.blob.etag) or "0"
    return each.target.with_name(f"{each.target.name}.{tag}.partial")


def _clear(wanted: Sequence[Wanted]) -> None:
    """Make the folders, and remove what earlier tries left in them of content that is no more."""
    names: dict[Path, set[str]] = {}
    for each in wanted:
        names.setdefault(each.target.parent, set()).add(each.target.name)
    current = {_partial(each) for each in wanted}
    for folder, targets in names.items():
        with _local(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for file in folder.glob("*.partial"):
                if file.name.rsplit(".", 2)[0] in targets and file not in current:
                    file.unlink(missing_ok=True)


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else -1


def _is(each: Wanted) -> bool:
    """Whether the file that is there has the blob's content, as far as hash and length tell."""
    total = _new_hash(each.blob)
    if total is None or _size(each.target) != each.blob.size:
        return False
    with each.target.open("rb") as file:
        while block := file.read(_READ):
            total.update(block)
    return bool(total.hexdigest() == _expected(each.blob))


def _new_hash(blob: Blob) -> Any:
    """MD5 where the service keeps one, else SHA-256 where `upload` noted it, else None."""
    if blob.md5:
        return hashlib.md5(usedforsecurity=False)
    return hashlib.sha256() if blob.sha256 else None


def _expected(blob: Blob) -> str:
    return blob.md5.hex() if blob.md5 else blob.sha256


def _hash_of(blob: Blob, content: bytes) -> str:
    total = _new_hash(blob)
    if total is None:
        return ""
    total.update(content)
    return str(total.hexdigest())
