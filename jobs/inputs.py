"""What a job reads: a local folder or file, which is uploaded first, a url, a datastore path, a data asset."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.keys import digest
from jobs.progress_bar import progress_bar
from jobs.target import Target
from jobs.voice import Voice
from providers.aml import data_asset
from providers.aml.datastore import datastore_uri, long_uri, open_located
from providers.aml.refusal import Refusal
from providers.arm import ArmId
from providers.blob import BlobError, Folder, exists, list_blobs, scan, upload
from providers.blob.size import size

FOLDER, FILE = "UriFolder", "UriFile"
_ASSET = re.compile(r"(?P<name>[a-zA-Z0-9][\w-]{0,254})(?::(?P<version>[^:@/\s]+)|@(?P<label>[\w-]+))")
_FILE_NAME = re.compile(r"[^/]+\.[A-Za-z0-9]{1,8}")
_DATASTORE_OF_ANOTHER_KIND = "datastore-of-another-kind"


@dataclass(frozen=True)
class Data:
    """An input that is in the cloud, or will be when `send` has been called."""

    type: str
    uri: str
    identity: str
    """What stands for its content in the key of a submission: the digest of what is uploaded, else where it lies."""
    shown: str
    """For people: what was given, and what it is."""
    folder: Folder | None = None
    """What is to be uploaded to `uri`."""
    facts: Mapping[str, Any] | None = None

    @property
    def wire(self) -> dict[str, str]:
        return {"jobInputType": self.type, "uri": self.uri}


def find(given: str, target: Target, as_type: str | None) -> Data:
    """What an input on the command line means; looks whether it is there, and sends nothing.

    `as_type`: `file` or `folder`, where the user says which. Raises Refusal, FolderError and ArmError.
    """
    forced = {"file": FILE, "folder": FOLDER}.get(as_type or "")
    lower = given.lower()
    if lower.startswith("https://"):
        return _url(given, forced)
    if lower.startswith(("http://", "wasb://", "abfs://", "adl://")):
        raise Refusal(f"{given}: only https is read; write the address with https://", name="input-unreadable")
    if lower.startswith(("azureml://datastores/", "azureml://subscriptions/")):
        return _in_datastore(given, target, forced)
    if lower.startswith("/subscriptions/"):
        return _by_id(given, target)
    asset = _ASSET.fullmatch(given.removeprefix("azureml:"))
    if asset and (given.startswith("azureml:") or not Path(given).exists()):
        return _asset(asset, target)
    if lower.startswith(("azureml:", "wasbs://", "abfss://")):
        raise Refusal(
            f"{given}: no input that is known here; give a local folder or file, https://..., "
            "azureml://datastores/..., or a data asset as name:version or name@latest",
            name="input-unreadable",
        )
    return _local(given, target, forced)


def send(data: Data, target: Target, voice: Voice) -> None:
    """Bring what is local to its place. What is there already is not sent again."""
    if data.folder is None:
        return
    location, container = open_located(target.workspace.arm, data.uri, shared_key=target.shared_key)
    prefix = _content_prefix(location.path, data.folder.digest)
    if exists(container, prefix, data.folder.digest):
        voice.tell("uploaded", f"it is there already: {target.short(data.uri)}", uri=data.uri, bytes_sent=0)
        return
    with progress_bar(voice, "uploading") as show:
        sent = upload(data.folder, container, prefix, progress=show)
    copied = f", {sent.copied} copied from an earlier upload" if sent.copied else ""
    voice.tell(
        "uploaded",
        f"uploaded {size(sent.bytes_sent)}{copied} to {target.short(data.uri)}",
        uri=data.uri,
        bytes_sent=sent.bytes_sent,
        copied=sent.copied,
    )


def registered(data: Data, asked: str, target: Target, voice: Voice) -> Data:
    """The data asset that `--register NAME[:VERSION]` makes of an input; the same content is the same version."""
    name, _, version = asked.partition(":")
    if not _ASSET.fullmatch(f"{name}:1") or (":" in asked and not version):
        raise Refusal(f"--register: must be NAME or NAME:VERSION, got {asked!r}", name="usage")
    version = version or digest(data.identity)[:12]
    found = data_asset.register(target.workspace, name, version, data.uri, data.type)
    voice.tell("registered", f"registered as {name}:{version}", name=name, version=version, id=found.id)
    return Data(found.input_type, found.id, data.identity, f"{name}:{version}")


def _local(given: str, target: Target, forced: str | None) -> Data:
    folder = scan(given)
    if forced and forced != (FILE if folder.is_file else FOLDER):
        raise Refusal(
            f"{given} is a {'file' if folder.is_file else 'folder'}, and --input-type says otherwise", name="usage"
        )
    place = datastore_uri(target.datastore_id, f"jobs/{target.endpoint_name}/inputs/{folder.digest}/")
    count = "1 file" if folder.files == 1 else f"{folder.files} files"
    return Data(
        FILE if folder.is_file else FOLDER,
        f"{place}{unicodedata.normalize('NFC', Path(given).name)}" if folder.is_file else place,
        folder.digest,
        f"{given}: {count}, {size(folder.bytes)}",
        folder,
        {"files": folder.files, "bytes": folder.bytes},
    )


def _url(given: str, forced: str | None) -> Data:
    split = urlsplit(given)
    if not split.hostname or not split.path.strip("/"):
        raise Refusal(f"{given}: names no file or folder", name="input-unreadable")
    type_ = forced or _type_by_name(split.path)
    return Data(type_, given, given.split("?", maxsplit=1)[0], f"{given.split('?', maxsplit=1)[0]} (a {_word(type_)})")


def _in_datastore(given: str, target: Target, forced: str | None) -> Data:
    uri = long_uri(given, target.workspace.id)
    type_ = forced or _look(uri, target) or _type_by_name(uri)
    return Data(type_, uri, uri, f"{given} (a {_word(type_)})")


def _look(uri: str, target: Target) -> str | None:
    """A file, a folder, or None where it cannot be looked at from here. Raises Refusal where nothing lies there."""
    try:
        location, container = open_located(target.workspace.arm, uri, shared_key=target.shared_key)
        path = location.path.rstrip("/")
        # In order of name, what is called exactly so comes before all that only begins so.
        first = next(list_blobs(container, path), None)
        if first and first.name == path and not location.path.endswith("/"):
            return FILE
        if next(list_blobs(container, f"{path}/" if path else ""), None):
            return FOLDER
    except Refusal as refusal:
        if refusal.name == _DATASTORE_OF_ANOTHER_KIND:
            return None  # the service reads other kinds, too, which are not looked at here
        raise
    except BlobError as error:
        if error.status == 403:
            return None  # the compute's identity may read what we may not
        raise
    raise Refusal(f"nothing lies at {uri}", name="input-missing")


def _by_id(given: str, target: Target) -> Data:
    try:
        id_ = ArmId.parse(given)
        name, version = id_.part("data"), id_.part("versions")
    except ValueError as error:
        raise Refusal(f"{given}: not the id of a version of a data asset: {error}", name="input-unreadable") from None
    if not given.lower().startswith(f"{target.workspace.id.lower()}/"):
        raise Refusal(f"{given} lies in another workspace than the endpoint", name="input-unreadable")
    return _of(data_asset.data_version(target.workspace, name, version), target)


def _asset(asset: re.Match[str], target: Target) -> Data:
    name = asset["name"]
    if asset["version"]:
        return _of(data_asset.data_version(target.workspace, name, asset["version"]), target)
    return _of(data_asset.data_labelled(target.workspace, name, asset["label"]), target)


def _of(found: data_asset.DataVersion, target: Target) -> Data:
    where = target.short(found.uri)
    shown = f"data asset {found.name}:{found.version} (a {_word(found.input_type)}, {where})"
    return Data(found.input_type, found.id, found.id, shown, facts={"version": found.version})


def _type_by_name(path: str) -> str:
    return FILE if _FILE_NAME.fullmatch(path.rpartition("/")[2]) else FOLDER


def _word(type_: str) -> str:
    return "file" if type_ == FILE else "folder"


def _content_prefix(path: str, digest: str) -> str:
    return path[: path.index(digest) + len(digest)] + "/"
