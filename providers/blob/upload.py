"""Folders in blob storage: sent once, whole, and told apart from half of one.

The files of a folder lie at `<prefix><root>/<path>`; `prefix` ends with a slash, and its last part names the content,
such as `shop/prod/code/<digest>/`. Each blob carries its sha256 as metadata. When all of them are there, the manifest
is written to `manifests/<last part>.json` beside it (`shop/prod/code/manifests/<digest>.json`): that blob is the mark
of a whole upload. It lies beside the folder, not in it, so that it is no part of the code or the model, and not at
`<digest>.json` either, where a listing by the prefix without its slash would take it along.

A broken upload goes on where it stopped: files that are there are not sent again, nor are blocks of large files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from .container import Blob, Container, delete_below, delete_blob, list_blobs, put_if_absent, read_bytes
from .digests import Digests
from .errors import BlobError, BlobMissing, translated
from .folder import FileEntry, Folder, FolderError, digest, local_file, manifest
from .pace import MOST, Pace
from .sending import Progress, Sending, Tally

_MANIFEST_LIMIT = 64 * 1024 * 1024  # bytes
_EARLIER = 3
"""Earlier uploads of the same name, newest first, whose files are looked at for copying."""


@dataclass(frozen=True)
class Uploaded:
    """What an upload did: files in the folder, bytes that were sent from here, files copied inside the account."""

    files: int
    bytes_sent: int
    copied: int


def upload(
    folder: Folder,
    container: Container,
    prefix: str,
    *,
    root: str = "",
    progress: Progress | None = None,
    concurrency: int = MOST,
    digests: Digests | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Uploaded:
    """Bring `folder` to `prefix`, and write its manifest when everything is there.

    `root` names a folder below `prefix` that the files go to: a registered model keeps its folder's name below
    AZUREML_MODEL_DIR.

    What is there with the same content is left alone; files that an earlier upload of the same name holds are copied
    inside the account; the rest is sent, at most `concurrency` requests at a time and IN_FLIGHT bytes in memory
    (providers/blob/pace.py), large files in blocks. With `digests`, a file that is as it was when it was read before is
    not read again unless it is sent.

    Raises FolderError when the folder is no longer what was scanned, BlobError for all else.
    """
    manifest_path = manifest_of(prefix)
    entries = _verified(folder, digests)
    below = f"{prefix}{root}/" if root else prefix
    there = {blob.name.removeprefix(below): blob for blob in list_blobs(container, prefix)}
    strangers = sorted(there.keys() - {entry.path for entry in entries})
    if strangers:
        raise BlobError(
            f"{len(strangers)} blobs below {prefix} are not of this folder, {strangers[0]!r} for one; "
            "delete them: nothing else may write there",
            code="StrangerInUpload",
            arm_id=f"{container.url}/{prefix}",
        )
    missing = [entry for entry in entries if not _is_there(entry, there.get(entry.path))]
    pace = Pace(concurrency, clock)
    tally = Tally(entries, missing, progress, clock)
    sending = Sending(folder.path, container, below, there, tally=tally, pace=pace, clock=clock, sleep=sleep)
    if missing:
        sending.run(missing, _earlier(container, prefix, missing), concurrency)
    _commit(container, manifest_path, root, entries)
    return Uploaded(len(entries), sending.tally.sent, sending.tally.copied)


def exists(container: Container, prefix: str, digest: str) -> bool:
    """Whether a whole upload of the folder with that digest lies at `prefix`, by its manifest."""
    try:
        return _digest_of(read_bytes(container, manifest_of(prefix), _MANIFEST_LIMIT)) == digest
    except BlobMissing:
        return False


def recorded(container: Container, prefix: str) -> tuple[FileEntry, ...] | None:
    """The files of the whole upload at `prefix`, by its manifest; None where there is none, or none of ours."""
    try:
        document = json.loads(read_bytes(container, manifest_of(prefix), _MANIFEST_LIMIT))
        return tuple(FileEntry(str(each["path"]), int(each["size"]), str(each["sha256"])) for each in document["files"])
    except BlobMissing:
        return None
    except (ValueError, KeyError, TypeError):
        return None  # somebody else's blob at that place: nothing is known of it


def delete_prefix(container: Container, prefix: str) -> int:
    """Delete an upload: its manifest first, so that no half of it ever passes for whole. How many blobs there were."""
    marked = delete_blob(container, manifest_of(prefix))
    return delete_below(container, prefix) + marked


def manifest_of(prefix: str) -> str:
    """Where the manifest of the upload at `prefix` lies. Raises ValueError for a prefix that is not a folder's."""
    parent, _, last = prefix.removesuffix("/").rpartition("/")
    if not prefix.endswith("/") or not last or prefix.startswith("/") or last == "manifests":
        raise ValueError(f"prefix: must read like project/stack/name/digest/, got {prefix!r}")
    return f"{parent}/manifests/{last}.json" if parent else f"manifests/{last}.json"


def _verified(folder: Folder, digests: Digests | None) -> tuple[FileEntry, ...]:
    entries = manifest(folder.path, digests)
    found = digest(entries)
    if found != folder.digest:
        newest = max((local_file(folder.path, entry) for entry in entries), key=lambda file: file.stat().st_mtime)
        raise FolderError(
            f"{folder.path}: changed since it was scanned ({folder.files} files, {folder.bytes} bytes, "
            f"digest {folder.digest[:12]}; now {len(entries)} files, {sum(e.size for e in entries)} bytes, "
            f"digest {found[:12]}); the file changed last is {newest}; run again"
        )
    return entries


def _is_there(entry: FileEntry, blob: Blob | None) -> bool:
    return blob is not None and (blob.size, blob.sha256) == (entry.size, entry.sha256)


def _earlier(container: Container, prefix: str, missing: list[FileEntry]) -> dict[str, str]:
    """sha256 -> name of a blob that holds it, out of the newest whole uploads of the same name."""
    own = manifest_of(prefix)
    folder = own.rpartition("/")[0] + "/"
    with translated("list blobs", folder):
        marks = sorted(
            (item for item in container.list_blobs(name_starts_with=folder) if item.name != own),
            key=lambda item: item.last_modified,
            reverse=True,
        )
    wanted = {entry.sha256 for entry in missing if entry.size > 0}
    found: dict[str, str] = {}
    for mark in marks[:_EARLIER]:
        if wanted <= found.keys():
            break
        try:
            document = json.loads(read_bytes(container, mark.name, _MANIFEST_LIMIT))
            base = prefix.removesuffix("/").rpartition("/")[0]
            upload_folder = f"{base}/" if base else ""
            upload_folder += mark.name.removeprefix(folder).removesuffix(".json") + "/"
            upload_folder += f"{document['root']}/" if document["root"] else ""
            for file in document["files"]:
                if file["sha256"] in wanted:
                    found.setdefault(file["sha256"], upload_folder + file["path"])
        except (BlobMissing, ValueError, KeyError, TypeError):
            continue  # deleted meanwhile, or not one of ours: copying is only ever a short cut
    return found


def _commit(container: Container, path: str, root: str, entries: tuple[FileEntry, ...]) -> None:
    document = {
        "version": 1,
        "digest": digest(entries),
        "root": root,
        "files": [{"path": entry.path, "size": entry.size, "sha256": entry.sha256} for entry in entries],
    }
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if put_if_absent(container, path, content):
        return
    found = _digest_of(read_bytes(container, path, _MANIFEST_LIMIT))
    if found != document["digest"]:
        raise BlobError(
            f"{path} is the manifest of other content (digest {found[:12]!r}); delete it: nothing else may write there",
            code="StrangerInUpload",
            arm_id=f"{container.url}/{path}",
        )


def _digest_of(content: bytes) -> str:
    try:
        document = json.loads(content)
    except ValueError:
        return ""
    return str(document.get("digest", "")) if isinstance(document, dict) else ""
