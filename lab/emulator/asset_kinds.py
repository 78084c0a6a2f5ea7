"""The kinds of asset: what a version of each may hold, and how the service writes it back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from lab.emulator.errors import AzureError, Fault, validation_error
from lab.emulator.shapes import Anything, ListOf, MapOf, Property, Shape, Text, Texts, Truth

_READ_ONLY = ("provisioningState", "environmentType", "autoDeleteSetting", "intellectualProperty")
_BASE = {
    "description": Property(Text()),
    "tags": Property(Texts(tags=True), default={}),
    "properties": Property(Texts(), default={}),
    "isArchived": Property(Truth(), default=False),
    "isAnonymous": Property(Truth(), default=False),
}
MUTABLE = frozenset({"description", "tags", "properties", "isArchived", "stage"})
"""What a later PUT of the same version may change."""


@dataclass(frozen=True)
class AssetKind:
    """`segment` is ARM's collection name, `noun` the service's word in texts."""

    segment: str
    noun: str
    shape: Shape
    written: Callable[[dict[str, Any]], dict[str, Any]]
    """The properties as the service writes them back, from those that were read."""
    put_again: int
    """Status of a PUT of a version that is there already."""
    frozen_text: str
    """Error text when the content differs; {name} and {version} are filled in."""
    whole_versions: bool = False
    """Versions must be positive whole numbers."""

    @property
    def container_kind(self) -> str:
        return f"{self.segment} container"


def _body(properties: dict[str, Property]) -> Shape:
    return Shape(
        {"properties": Property(Shape(properties, read_only=_READ_ONLY), required=True)},
        read_only=("id", "name", "type", "systemData"),
    )


def _code(read: dict[str, Any]) -> dict[str, Any]:
    # Recorded: port 443 written out; isAnonymous false even where true was sent.
    uri = re.sub(r"^(https://[^/:]+)(?=/|$)", r"\1:443", read["codeUri"])
    return {**_base(read), "isAnonymous": False, "codeUri": uri, "provisioningState": "Succeeded"}


def _model(read: dict[str, Any]) -> dict[str, Any]:
    if "modelFormat" in read:
        # Until 2022-01 the type had this name and these words; the answer has both.
        kinds = {"Custom": "custom_model", "MLFlow": "mlflow_model", "Triton": "triton_model"}
        read = read | {"modelType": kinds[read["modelFormat"]]}
    return {
        **_base(read),
        "autoDeleteSetting": None,
        "flavors": read["flavors"],
        "modelType": read["modelType"],
        "modelUri": re.sub("/resourcegroups/", "/resourceGroups/", read["modelUri"], flags=re.IGNORECASE),
        "jobName": read["jobName"],
        "provisioningState": "Succeeded",
        "stage": read["stage"],
        "intellectualProperty": None,
    } | {name: read[name] for name in ("datasets", "modelFormat") if name in read}


def _environment(read: dict[str, Any]) -> dict[str, Any]:
    if not read["image"] and "build" not in read:
        raise validation_error("Environment", [Fault("Image", "Either 'Image' or 'Build' must be given.", None)])
    written = {
        **_base(read),
        "properties": {"azureml.labels": "", **read["properties"]},
        "autoDeleteSetting": None,
        "environmentType": "UserCreated",
        "image": read["image"],
        "condaFile": _conda(read["condaFile"]),
        "osType": read["osType"],
        "autoRebuild": read["autoRebuild"],
        "provisioningState": "Succeeded",
        "stage": read["stage"],
        "intellectualProperty": None,
    }
    return written | {name: read[name] for name in ("build", "inferenceConfig") if name in read}


def _data(read: dict[str, Any]) -> dict[str, Any]:
    uris = {name: read[name] for name in ("referencedUris",) if name in read}
    written = {**_base(read), "dataType": read["dataType"], "dataUri": read["dataUri"], **uris}
    return {**written, "provisioningState": "Succeeded"}


def _dataset(read: dict[str, Any]) -> dict[str, Any]:
    return {**_base(read), "paths": read["paths"]}


def _component(read: dict[str, Any]) -> dict[str, Any]:
    """The specification is kept as it comes: the lab runs no pipelines, so it reads none."""
    return {
        **_base(read),
        "componentSpec": read["componentSpec"],
        "stage": read["stage"],
        "provisioningState": "Succeeded",
    }


def _base(read: dict[str, Any]) -> dict[str, Any]:
    return {name: read[name] for name in ("description", "tags", "properties", "isArchived", "isAnonymous")}


def _conda(text: str | None) -> str | None:
    """YAML in, JSON with two spaces out (recorded); keys stay in order."""
    if text is None or not text.strip():
        return None
    try:
        value = yaml.safe_load(text)
        if not isinstance(value, dict):
            raise _no_conda_file("The conda file must be a mapping.", text)
        return _json(value)
    except yaml.YAMLError as error:
        raise _no_conda_file(f"The conda file is no YAML: {error}", text) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise _no_conda_file(f"The conda file: {error}.", text) from error


def _json(value: dict[str, Any]) -> str:
    """Bounded: a few aliases of aliases are a text of terabytes. Raises ValueError for a longer one."""
    parts: list[str] = []
    length = 0
    for part in json.JSONEncoder(indent=2, default=str).iterencode(value):
        length += len(part)
        if length > _MOST_CONDA:
            raise ValueError("it is too long when its aliases are written out")
        parts.append(part)
    return "".join(parts)


_MOST_CONDA = 1024 * 1024


def _no_conda_file(text: str, attempted: str) -> AzureError:
    return validation_error("Environment", [Fault("CondaFile", text, attempted)])


CODE = AssetKind(
    "codes",
    "Code",
    _body({**_BASE, "codeUri": Property(Text(pattern="[a-zA-Z0-9_]"), required=True)}),
    _code,
    200,
    "Asset paths cannot be updated.",
)
MODEL = AssetKind(
    "models",
    "Model",
    _body(
        {
            **_BASE,
            "flavors": Property(MapOf(Anything()), default={}),
            "modelType": Property(
                Text(("custom_model", "mlflow_model", "triton_model", "CustomModel", "MLFlowModel", "TritonModel")),
                default="custom_model",
            ),
            "modelUri": Property(Text(pattern="[a-zA-Z0-9_]"), required=True),
            "modelFormat": Property(Text(("Custom", "MLFlow", "Triton")), sparse=True),
            "jobName": Property(Text()),
            "stage": Property(Text()),
            "datasets": Property(Anything(), sparse=True),
        }
    ),
    _model,
    200,
    "Model {name} with version {version} is already registered and cannot be changed.",
    whole_versions=True,
)
ENVIRONMENT = AssetKind(
    "environments",
    "Environment",
    _body(
        {
            **_BASE,
            "image": Property(Text()),
            "condaFile": Property(Text()),
            "build": Property(
                Shape(
                    {
                        "contextUri": Property(Text(pattern="[a-zA-Z0-9_]"), required=True),
                        "dockerfilePath": Property(Text(), default="Dockerfile"),
                    }
                ),
                sparse=True,
            ),
            "inferenceConfig": Property(Anything(), sparse=True),
            "osType": Property(Text(("Linux", "Windows")), default="Linux"),
            "autoRebuild": Property(Text(("Disabled", "OnBaseImageUpdate")), default="Disabled"),
            "stage": Property(Text(), default="Logged"),
        }
    ),
    _environment,
    201,
    "Environment {name} with version {version} is already registered and cannot be changed.",
)
DATA = AssetKind(
    "data",
    "Data",
    _body(
        {
            **_BASE,
            "dataType": Property(Text(("uri_file", "uri_folder", "mltable")), required=True),
            "dataUri": Property(Text(pattern="[a-zA-Z0-9_]"), required=True),
            "referencedUris": Property(ListOf(Text(), empty=True), sparse=True),
        }
    ),
    _data,
    200,
    "Data {name} with version {version} is already registered and cannot be changed.",
)

DATASET = AssetKind(
    "datasets",
    "Dataset",
    _body(
        {
            **_BASE,
            "paths": Property(ListOf(Shape({"file": Property(Text()), "folder": Property(Text())})), required=True),
        }
    ),
    _dataset,
    200,
    "Dataset {name} with version {version} is already registered and cannot be changed.",
)
"""What data assets were until 2022-05-01."""

COMPONENT = AssetKind(
    "components",
    "Component",
    _body({**_BASE, "componentSpec": Property(Anything(), required=True), "stage": Property(Text())}),
    _component,
    200,
    "Component {name} with version {version} is already registered and cannot be changed.",
)

KINDS = {kind.segment: kind for kind in (CODE, MODEL, ENVIRONMENT, DATA, DATASET, COMPONENT)}
