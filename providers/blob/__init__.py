"""Folders and blobs: a scan that touches no network, uploads that can be broken off, and small reads."""

from .container import (
    Blob,
    Container,
    Dated,
    container,
    delete_below,
    delete_blob,
    list_blobs,
    put_if_absent,
    read_bytes,
    read_dated,
    read_text,
)
from .digests import Digests, kept
from .download import Plan, Wanted, download, plan, target_below
from .errors import BlobError, BlobMissing
from .folder import FileEntry, Folder, FolderError, manifest, scan, summary
from .upload import Uploaded, delete_prefix, exists, recorded, upload

__all__ = [
    "Blob",
    "BlobError",
    "BlobMissing",
    "Container",
    "Dated",
    "Digests",
    "FileEntry",
    "Folder",
    "FolderError",
    "Plan",
    "Uploaded",
    "Wanted",
    "container",
    "delete_below",
    "delete_blob",
    "delete_prefix",
    "download",
    "exists",
    "kept",
    "list_blobs",
    "manifest",
    "plan",
    "put_if_absent",
    "read_bytes",
    "read_dated",
    "read_text",
    "recorded",
    "scan",
    "summary",
    "target_below",
    "upload",
]
