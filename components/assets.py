"""Code, models, data and environments: uploads and versions whose names carry their content.

A Pulumi logical name carries the same hash as the ARM name, so that other content is another resource beside the
old one and never a replacement (docs/decisions/0002-content-in-names.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_azure_native.machinelearningservices as aml
from pulumi import Input, ResourceOptions

from components.placement import Placement, colour
from components.sources import Sources
from providers import checks
from providers.aml.datastore import datastore_uri
from providers.asset_version import CodeVersion, CodeVersionArgs, ModelVersion, ModelVersionArgs, version_id
from providers.blob_folder import BlobFolder, BlobFolderArgs
from providers.ownership import TAG
from providers.schema import prop


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings:
    """Either `id` alone, or an image with a conda file."""

    id: str | None = prop(
        "ARM id or azureml://registries/... of a registered version.",
        default=None,
        check=checks.version_of("environments"),
    )
    image: str | None = prop("Base image.", default=None)
    conda_file: str | None = prop("Local path of the conda file.", default=None)
    description: str | None = prop("Text for people.", default=None)
    os_type: str = prop("Operating system.", default="Linux", check=checks.one_of("Linux", "Windows"))


@dataclass(frozen=True)
class Asset:
    """An id that a deployment refers to, and what must exist before it does."""

    id: str
    needs: Sequence[pulumi.Resource] = ()
    digest: str = ""


@dataclass(frozen=True)
class Shelf:
    """Builds the assets of one stack."""

    placement: Placement
    sources: Sources
    owner: Input[str]
    shared_key: bool
    opts: ResourceOptions
    azure_native: ResourceOptions
    roles: Sequence[str] = ()
    """ARM ids of role assignments of the stack that uploads need."""
    role_wait: str | None = None
    """Longest wait for one of them that was just made."""
    keep: bool = False
    """Whether code, models and environments stay where they are when the stack lets go of them.

    One that was kept is taken up again by its name, which carries project, stack and content, under a new marker too.
    """

    def folder(self, name: str, path: str, *, keep: bool = False) -> tuple[str, BlobFolder, str]:
        """Upload a local folder or file: its datastore uri, the resource, and the hash that names made of it carry.

        The last part of the uri is the folder's (or file's) own name: below AZUREML_MODEL_DIR, a registered folder
        keeps it.
        """
        found = self.sources.folders[path]
        place = self.placement.path(name, found.digest)
        hash8 = colour(place)
        uri = datastore_uri(self.placement.datastore_id, place)
        own_name = found.path.rstrip("/").rsplit("/", 1)[-1]
        upload = BlobFolder(
            f"{name}-{hash8}",
            BlobFolderArgs(
                **self.placement.azure,
                uri=uri,
                root="" if found.is_file else own_name,
                source=found.path,
                digest=found.digest,
                files=found.files,
                bytes=found.bytes,
                shared_key=self.shared_key,
                roles=list(self.roles) or None,
                role_wait=self.role_wait,
            ),
            self._kept(self.opts) if keep else self.opts,
        )
        return f"{uri}/{own_name}", upload, hash8

    def code(self, name: str, path_or_id: str, tags: Mapping[str, str] | None, *, adopt: bool) -> Asset:
        if is_id(path_or_id):
            return Asset(path_or_id)
        uri, upload, hash8 = self.folder(f"{name}-code", path_or_id, keep=self.keep)
        asset = f"{self.placement.stack}-{name}-{hash8}"
        version = CodeVersion(
            f"{name}-code-{hash8}",
            CodeVersionArgs(**self._version(asset, uri, tags), adopt=adopt or self.keep),
            after(self._kept(self.opts), [upload]),
        )
        return Asset(version_id(self.placement.workspace_id, "codes", asset, "1"), (upload, version))

    def model(
        self, name: str, path_or_id: str, model_type: str, tags: Mapping[str, str] | None, *, adopt: bool
    ) -> Asset:
        """A model is `<name>-<hash8>` version 1: versions must be whole numbers, so the name carries the content."""
        if is_id(path_or_id):
            return Asset(path_or_id)
        uri, upload, hash8 = self.folder(f"{name}-model", path_or_id, keep=self.keep)
        asset = f"{name}-{hash8}"
        version = ModelVersion(
            f"{name}-model-{hash8}",
            ModelVersionArgs(**self._version(asset, uri, tags), model_type=model_type, adopt=adopt or self.keep),
            after(self._kept(self.opts), [upload]),
        )
        return Asset(version_id(self.placement.workspace_id, "models", asset, "1"), (upload, version))

    def environment(self, name: str, settings: EnvironmentSettings, tags: Mapping[str, str] | None) -> Asset:
        if settings.id:
            return Asset(settings.id)
        conda = self.sources.texts[settings.conda_file] if settings.conda_file else None
        hash8 = colour(
            self.placement.project,
            self.placement.stack,
            settings.image or "",
            conda or "",
            settings.os_type,
            settings.description or "",
        )
        version = aml.EnvironmentVersion(
            f"{name}-environment-{hash8}",
            name=name,
            version=hash8,
            resource_group_name=self.placement.resource_group,
            workspace_name=self.placement.workspace,
            properties=aml.EnvironmentVersionPropertiesArgs(
                image=settings.image,
                conda_file=conda,
                os_type=settings.os_type,
                description=settings.description,
                tags={**(tags or {}), TAG: self.owner},
            ),
            opts=self._kept(self.azure_native),
        )
        return Asset(version_id(self.placement.workspace_id, "environments", name, hash8), (version,))

    def _kept(self, opts: ResourceOptions) -> ResourceOptions:
        return ResourceOptions.merge(opts, ResourceOptions(retain_on_delete=True)) if self.keep else opts

    def _version(self, asset: str, uri: str, tags: Mapping[str, str] | None) -> dict[str, Any]:
        return {
            **self.placement.azure,
            "workspace_id": self.placement.workspace_id,
            "asset_name": asset,
            "version": "1",
            "uri": uri,
            "tags": tags,
            "owner": self.owner,
        }


def after(opts: ResourceOptions, resources: Sequence[pulumi.Resource]) -> ResourceOptions:
    """The same options, and wait for these."""
    return ResourceOptions.merge(opts, ResourceOptions(depends_on=list(resources)))


def is_id(text: str) -> bool:
    """Whether a setting names a registered asset rather than a local path."""
    return text.startswith(("/subscriptions/", "azureml://", "azureml:"))
