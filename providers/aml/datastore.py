"""Where a datastore's blobs really lie, and how a path in one is written."""

import re
from dataclasses import dataclass
from typing import Any

from providers.arm import ArmClient
from providers.arm.ids import ArmId, folded, same_id
from providers.blob import Container, container

from .refusal import Refusal
from .workspace import API_VERSION

_URI = re.compile(
    r"azureml://subscriptions/(?P<s>[^/]+)/resourcegroups/(?P<g>[^/]+)/workspaces/(?P<w>[^/]+)"
    r"/datastores/(?P<d>[^/]+)/paths/(?P<path>.*)",
    re.IGNORECASE,
)
_SHORT = re.compile(r"azureml://datastores/(?P<d>[^/]+)/paths/(?P<path>.*)", re.IGNORECASE)
_PROVIDER = re.compile(r"(?<=/)providers/Microsoft\.MachineLearningServices/(?=workspaces/)", re.IGNORECASE)


@dataclass(frozen=True)
class BlobLocation:
    """A path in a container: what a datastore uri comes down to."""

    datastore_id: str
    account_url: str
    container: str
    path: str

    @property
    def url(self) -> str:
        return f"{self.account_url}/{self.container}/{self.path}"


def datastore_uri(datastore_id: str, path: str) -> str:
    """The long form, which the service takes everywhere; the short one means another workspace in another call."""
    id_ = ArmId.parse(datastore_id)
    return (
        f"azureml://subscriptions/{id_.subscription}/resourcegroups/{id_.group}"
        f"/workspaces/{id_.part('workspaces')}/datastores/{id_.name}/paths/{path}"
    )


def check_datastore_uri(value: Any) -> Any:
    """For `prop(check=...)`."""
    if not _URI.fullmatch(value):
        raise ValueError(
            "must be azureml://subscriptions/<id>/resourcegroups/<g>/workspaces/<w>/datastores/<d>/paths/<p>"
        )
    return value


def same_place(one: str, other: str) -> bool:
    """Whether two uris name the same place: the ids in them in any letter case, paths and links as they are."""
    if _URI.fullmatch(one) and _URI.fullmatch(other):
        (head, _, path), (other_head, _, other_path) = one.partition("/paths/"), other.partition("/paths/")
        return head.lower() == other_head.lower() and path == other_path
    return folded(one) == folded(other)


def long_uri(uri: str, workspace_id: str) -> str:
    """A datastore uri in its long form; the short one means a datastore of this workspace. Raises Refusal."""
    short = _SHORT.fullmatch(uri)
    if short:
        return datastore_uri(f"{workspace_id}/datastores/{short['d']}", short["path"])
    try:
        return str(check_datastore_uri(_PROVIDER.sub("", uri)))
    except ValueError as error:
        raise Refusal(
            f"{uri!r} {error}, or azureml://datastores/<d>/paths/<p>", name="datastore-uri-unreadable"
        ) from None


def short_uri(uri: str, workspace_id: str) -> str:
    """For people: the short form of a datastore uri of this workspace; any other text as it is."""
    found = _URI.fullmatch(_PROVIDER.sub("", uri))
    if not found or not same_id(datastore_of(uri).partition("/datastores/")[0], workspace_id):
        return uri
    return f"azureml://datastores/{found['d']}/paths/{found['path']}"


def datastore_of(uri: str) -> str:
    """The ARM id of the datastore in a long-form uri."""
    found = _URI.fullmatch(uri)
    if not found:
        raise ValueError(f"not a datastore uri: {uri!r}")
    return (
        f"/subscriptions/{found['s']}/resourceGroups/{found['g']}/providers/Microsoft.MachineLearningServices"
        f"/workspaces/{found['w']}/datastores/{found['d']}"
    )


def locate(arm: ArmClient, uri: str) -> BlobLocation:
    """Look the datastore up and say where `uri` lies; only blob datastores have an answer."""
    found = find(arm, uri)
    if found is None:
        raise Refusal(
            f"{datastore_of(uri)} does not exist; set `datastore` to one of the workspace's datastores",
            name="datastore-missing",
        )
    return found


def find(arm: ArmClient, uri: str) -> BlobLocation | None:
    """As `locate`; None where the datastore is gone, with its workspace perhaps: nothing of ours can be there."""
    datastore_id = datastore_of(uri)
    body = arm.get(datastore_id, api_version=API_VERSION)
    if body is None:
        return None
    properties = body["properties"]
    if properties.get("datastoreType") != "AzureBlob":
        raise Refusal(
            f"{datastore_id} is {properties.get('datastoreType')}; batch scoring reads and writes AzureBlob ones",
            name="datastore-of-another-kind",
        )
    account_url = f"{properties.get('protocol') or 'https'}://{properties['accountName']}.blob.{properties['endpoint']}"
    return BlobLocation(datastore_id, account_url, properties["containerName"], uri.partition("/paths/")[2])


def open_container(arm: ArmClient, location: BlobLocation, *, shared_key: bool = False) -> Container:
    """A client of the location's container, with an Entra ID token; or the account's key where that is asked for."""
    key = None
    if shared_key:
        secrets = arm.post(f"{location.datastore_id}/listSecrets", {}, api_version=API_VERSION, idempotent=True)
        key = secrets["key"]
    return container(location.account_url, location.container, arm.cloud, key=key)


def open_located(arm: ArmClient, uri: str, *, shared_key: bool = False) -> tuple[BlobLocation, Container]:
    """Where `uri` lies, and its container. Raises Refusal as `locate`."""
    location = locate(arm, uri)
    return location, open_container(arm, location, shared_key=shared_key)
