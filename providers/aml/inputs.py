"""What a job would read, counted before it is started: a smoke job that turns out to read a year of data costs days."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from providers.blob import Blob, BlobError, Container, container, list_blobs

from .data_asset import data_version
from .datastore import long_uri, open_located
from .refusal import Refusal
from .workspace import Workspace

_DATA = re.compile(r"/subscriptions/.*/data/(?P<name>[^/]+)/versions/(?P<version>[^/]+)", re.IGNORECASE)
_NOT_SEEN_FROM_HERE = ("datastore-of-another-kind", "datastore-uri-unreadable")


@dataclass(frozen=True)
class Extent:
    """How much an input is. `files` is one more than the limit where it is more than that."""

    files: int
    bytes: int


def measure(workspace: Workspace, uri: str, *, one_file: bool, limit: int, shared_key: bool = False) -> Extent:
    """Count an input's files, up to one more than `limit`; nothing is read of them.

    Raises Refusal `input-missing` when nothing is there, and `input-uncountable` where nobody can know.
    """
    asset = _DATA.fullmatch(uri)
    if asset:
        found = data_version(workspace, asset["name"], asset["version"])
        one = one_file or found.input_type == "UriFile"
        return measure(workspace, found.uri, one_file=one, limit=limit, shared_key=shared_key)
    if not uri.startswith("azureml://"):
        return Extent(1, 0) if one_file else _elsewhere(workspace, uri, limit)
    try:
        location, opened = open_located(workspace.arm, long_uri(uri, workspace.id), shared_key=shared_key)
        return _counted(uri, _below(opened, location.path, one_file=one_file), limit)
    except Refusal as refusal:
        if refusal.name not in _NOT_SEEN_FROM_HERE:
            raise
        raise _uncountable(uri, str(refusal)) from refusal
    except BlobError as error:
        if error.status != 403:  # the compute's identity may read what we may not
            raise
        raise _uncountable(uri, str(error)) from error


def _below(opened: Container, path: str, *, one_file: bool) -> Iterator[Blob]:
    prefix = path.rstrip("/")
    if one_file:
        return (blob for blob in list_blobs(opened, prefix) if blob.name == prefix)
    return list_blobs(opened, f"{prefix}/" if prefix else "")


def _elsewhere(workspace: Workspace, uri: str, limit: int) -> Extent:
    """Blobs behind an https address: as anybody may list them, else as we may."""
    parts = urlsplit(uri)
    name, _, path = unquote(parts.path).lstrip("/").partition("/")
    for anonymous in (True, False):
        try:
            opened = container(f"https://{parts.netloc}", name, workspace.arm.cloud, anonymous=anonymous)
            return _counted(uri, _below(opened, path, one_file=False), limit)
        except (ValueError, BlobError) as error:
            refused = error
    raise _uncountable(uri, str(refused)) from refused


def _counted(uri: str, blobs: Iterator[Blob], limit: int) -> Extent:
    sizes = [blob.size for blob in itertools.islice(blobs, limit + 1)]
    if not sizes:
        raise Refusal(
            f"{uri} has no files: nothing is at that path, and a job on it would fail; correct `smoke_job.input`",
            name="input-missing",
        )
    return Extent(len(sizes), sum(sizes))


def _uncountable(uri: str, why: str) -> Refusal:
    return Refusal(
        f"how many files {uri} has cannot be known before a job reads them: {why}; give it as a datastore uri or data "
        "asset, or set `smoke_job.max_files: 0` to start it all the same",
        name="input-uncountable",
    )
