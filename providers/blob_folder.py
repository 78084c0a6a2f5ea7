"""A local folder, uploaded to a path that carries its content: `<project>/<stack>/<name>/<digest>/` in a datastore.

Nothing is ever overwritten: other content is another path, and the old one goes at the end of a successful run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import checks, dynamic_host, explanations, schema
from providers.aml.datastore import BlobLocation, check_datastore_uri, find, locate, same_place
from providers.aml.new_roles import with_new_roles
from providers.amounts import counted
from providers.blob import (
    BlobError,
    BlobMissing,
    Container,
    Folder,
    FolderError,
    container,
    delete_prefix,
    exists,
    upload,
)
from providers.blob.size import size
from providers.dynamic_host import InitFailed
from providers.kind import UNFINISHED, AzureArgs, Kind, client, container_at, gone, resource_props, without_provider
from providers.schema import LOCAL, REPLACE, prop


@dataclass(frozen=True, kw_only=True)
class BlobFolderArgs(AzureArgs):
    uri: Input[str] = prop(
        "Datastore uri of the place, whose last part is the digest.",
        check=check_datastore_uri,
        change=REPLACE,
        wire=None,
        equal=same_place,
    )
    root: Input[str] = prop(
        "Name of the folder at that place that the files go to; empty for a single file.", change=REPLACE, wire=None
    )
    source: Input[str] = prop("The local folder or file.", change=LOCAL, wire=None)
    digest: Input[str] = prop("SHA-256 over the names and contents of its files.", change=REPLACE, wire=None)
    files: Input[int] = prop("How many files.", change=LOCAL, wire=None)
    bytes: Input[int] = prop("Their size, in bytes.", change=LOCAL, wire=None)
    shared_key: Input[bool] = prop(
        "Use the storage account's key instead of an Entra ID token.", default=False, change=LOCAL, wire=None
    )
    roles: Input[list[str]] | None = prop(
        "ARM ids of role assignments of this stack that the upload needs.", default=None, change=LOCAL, wire=None
    )
    role_wait: Input[str] | None = prop(
        "Longest wait for one of them that was just made.",
        default=None,
        check=checks.duration,
        change=LOCAL,
        wire=None,
    )


class BlobFolderKind(Kind):
    args = BlobFolderArgs

    def arrival(self, inputs: Mapping[str, Any]) -> str:
        if schema.is_unknown([inputs["files"], inputs["bytes"]]):
            return ""
        return f"{counted(inputs['files'], 'file')}, {size(inputs['bytes'])} to upload"

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        return CreateResult(self._upload(props), self.owned(props))

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        """Also where the datastore is gone with its workspace: what a refresh forgot, no destroy would delete."""
        location = find(client(props), props["uri"])
        if location is not None:
            there = exists(container_at(location, props), _prefix(location), props["digest"])
        else:
            there = bool(_at_url(id_, props, lambda opened, prefix: exists(opened, prefix, props["digest"])))
        if not there:
            return gone()
        inputs = self.owned(props)
        return ReadResult(id_, inputs, inputs)

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        """Goes on with an upload that broke off. What else can change, where the folder lies, is not in the cloud."""
        if UNFINISHED in olds:
            self._upload(news)
        return UpdateResult(without_provider(news))

    def delete(self, id_: str, props: Mapping[str, Any]) -> None:
        """Also where the datastore is gone with its workspace: the storage account does not go with them."""
        location = find(client(props), props["uri"])
        if location is not None:
            delete_prefix(container_at(location, props), _prefix(location))
        else:
            _at_url(id_, props, delete_prefix)

    def _upload(self, props: Mapping[str, Any]) -> str:
        """The place's url. What breaks off is recorded: half an upload costs money too, and destroy must find it."""
        location = locate(client(props), props["uri"])
        container = container_at(location, props)
        try:
            with_new_roles(
                lambda: upload(
                    Folder(props["source"], props["digest"], int(props["files"]), int(props["bytes"])),
                    container,
                    _prefix(location),
                    root=props["root"],
                    progress=dynamic_host.progress(),
                    digests=dynamic_host.digests(),
                ),
                client(props),
                props.get("roles") or [],
                checks.seconds(props.get("role_wait") or "0s"),
                progress=dynamic_host.progress(),
            )
        except (BlobError, FolderError) as error:
            name = explanations.explain(error).name
            raise InitFailed.after(error, name, location.url, {**self.owned(props), UNFINISHED: name}) from error
        return location.url


class BlobFolder(Resource, module="azureml", name="BlobFolder"):
    def __init__(self, name: str, args: BlobFolderArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(BlobFolderKind(), name, resource_props(args, ()), opts)


def _at_url(url: str, props: Mapping[str, Any], act: Callable[[Container, str], int]) -> int:
    """What `act` gives of the upload at its url; 0 where nobody answers: the account is gone like its datastore."""
    host, name, path = url.removeprefix("https://").split("/", 2)
    try:
        with container(f"https://{host}", name, client(props).cloud) as opened:
            return act(opened, path.rstrip("/") + "/")
    except BlobMissing:
        return 0
    except BlobError as error:
        if error.status is not None:
            raise
        dynamic_host.progress()(f"{url}: no answer, the storage account is taken to be gone")
        return 0


def _prefix(location: BlobLocation) -> str:
    return location.path.rstrip("/") + "/"
