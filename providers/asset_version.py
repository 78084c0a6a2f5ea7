"""Versions of code, models and data: a name and a version for a folder of blobs.

The service never lets content of a version change, so a version's name carries its content, and `create` adopts what is
identical and ours, and refuses everything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pulumi import Input, ResourceOptions
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from providers import arm_body, checks
from providers.aml.datastore import check_datastore_uri, locate, same_place
from providers.arm.ids import same_id
from providers.kind import AzureArgs, Kind, Refusal, client, deadline, gone, resource_props, without_provider, writable
from providers.ownership import (
    marker_read,
    owner_property,
    refuse_stranger,
    refuse_taken_over,
    refuse_to_delete_stranger,
)
from providers.schema import LOCAL, REPLACE, prop


@dataclass(frozen=True, kw_only=True)
class AssetVersionArgs(AzureArgs):
    workspace_id: Input[str] = prop(
        "ARM id of the workspace.", check=checks.arm_id, change=REPLACE, wire=None, equal=same_id
    )
    asset_name: Input[str] = prop(
        "Unique among its kind in the workspace.", check=checks.asset_name, change=REPLACE, wire=None
    )
    version: Input[str] = prop(
        "The version; a model's is a positive whole number.", check=checks.asset_version, change=REPLACE, wire=None
    )
    uri: Input[str] = prop(
        "Datastore uri of the content.", check=check_datastore_uri, change=REPLACE, wire=None, equal=same_place
    )
    description: Input[str] | None = prop("Text for people.", default=None)
    tags: Input[Mapping[str, str]] | None = prop("Tags.", default=None, check=checks.tags)
    owner: Input[str] = owner_property("properties.tags")
    adopt: Input[bool] = prop(
        "Take over a version of this name and content that this stack did not make.",
        default=False,
        wire=None,
        change=LOCAL,
    )


@dataclass(frozen=True, kw_only=True)
class CodeVersionArgs(AssetVersionArgs):
    pass


@dataclass(frozen=True, kw_only=True)
class ModelVersionArgs(AssetVersionArgs):
    version: Input[str] = prop(
        "A positive whole number.", check=checks.positive_integer_text, change=REPLACE, wire=None
    )
    model_type: Input[str] = prop(
        "What the model is.",
        default="custom_model",
        check=checks.one_of("custom_model", "mlflow_model", "triton_model"),
        change=REPLACE,
    )


@dataclass(frozen=True, kw_only=True)
class DataVersionArgs(AssetVersionArgs):
    data_type: Input[str] = prop(
        "A folder or one file.", default="uri_folder", check=checks.one_of("uri_folder", "uri_file"), change=REPLACE
    )


def version_id(workspace_id: str, collection: str, name: str, version: str) -> str:
    """`collection` is ARM's word: codes, models, data, environments."""
    return f"{workspace_id}/{collection}/{name}/versions/{version}"


class AssetVersionKind(Kind):
    """`collection` is ARM's path segment, `location` the body's member that says where the content lies."""

    collection: ClassVar[str]
    location: ClassVar[str]

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        id_ = version_id(props["workspace_id"], self.collection, props["asset_name"], props["version"])
        found = client(props).get(id_, api_version=props["api_version"])
        where = self.content(props)
        if found:
            if not props["adopt"]:
                refuse_stranger(
                    found, props["owner"], "Give the asset another name, or set `adopt: true` on its deployment."
                )
            self._refuse_other_content(found, where)
        self._put(id_, found, props, where)
        return CreateResult(id_, self.owned(props))

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        live = client(props).get(id_, api_version=props["api_version"])
        if live is None:
            return gone()
        inputs = self.live(live, props)
        return ReadResult(id_, {**inputs, **marker_read(live, props)}, inputs)

    def update(self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        if not self.only_local(olds, news):
            found = client(news).get(id_, api_version=news["api_version"])
            refuse_taken_over(found, news, "`adopt: true` on its deployment")
            self._put(id_, found, news, self.content(news), olds)
        return UpdateResult(without_provider(news))

    def delete(self, id_: str, props: Mapping[str, Any]) -> None:
        found = client(props).get(id_, api_version=props["api_version"])
        if found is None:
            return
        refuse_to_delete_stranger(found, props["owner"])
        client(props).delete(id_, api_version=props["api_version"], deadline=deadline(props, "delete"))

    def content(self, props: Mapping[str, Any]) -> str:
        """Where the content lies, as this collection's body says it."""
        return str(props["uri"])

    def _put(
        self,
        id_: str,
        found: Mapping[str, Any] | None,
        news: Mapping[str, Any],
        where: str,
        olds: Mapping[str, Any] | None = None,
    ) -> None:
        body, _ = arm_body.upon(self.args, writable(found), olds or {}, news)
        body["properties"].setdefault(self.location, where)  # the service's own spelling of the same place is kept
        seconds = deadline(news, "create" if olds is None else "update")
        client(news).put(id_, body, api_version=news["api_version"], deadline=seconds)

    def _refuse_other_content(self, found: Mapping[str, Any], where: str) -> None:
        there = str(found["properties"].get(self.location))
        if _plain(there) != _plain(where):
            raise Refusal(
                f"{found['id']} is registered already with other content ({there}), and versions never change; delete "
                "it or choose another name",
                name="other-content",
            )


class CodeVersionKind(AssetVersionKind):
    args = CodeVersionArgs
    collection = "codes"
    location = "codeUri"

    def content(self, props: Mapping[str, Any]) -> str:
        """Code alone is named by its https url: no recorded traffic gives codeUri a datastore uri."""
        return locate(client(props), props["uri"]).url


class ModelVersionKind(AssetVersionKind):
    args = ModelVersionArgs
    collection = "models"
    location = "modelUri"


class DataVersionKind(AssetVersionKind):
    args = DataVersionArgs
    collection = "data"
    location = "dataUri"


class CodeVersion(Resource, module="azureml", name="CodeVersion"):
    def __init__(self, name: str, args: CodeVersionArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(CodeVersionKind(), name, resource_props(args, ()), opts)


class ModelVersion(Resource, module="azureml", name="ModelVersion"):
    def __init__(self, name: str, args: ModelVersionArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(ModelVersionKind(), name, resource_props(args, ()), opts)


class DataVersion(Resource, module="azureml", name="DataVersion"):
    def __init__(self, name: str, args: DataVersionArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__(DataVersionKind(), name, resource_props(args, ()), opts)


def _plain(uri: str) -> str:
    """The service writes :443 into https urls, and changes the case of `resourcegroups` (recorded)."""
    return uri.replace(":443/", "/").rstrip("/").lower()
