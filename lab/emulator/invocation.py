"""What one invocation asks for, read from the current body (since 2022) or the one before it (2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from lab.emulator.errors import Fault, validation_error
from lab.emulator.shapes import (
    INT32,
    Anything,
    Duration,
    MapOf,
    OneOf,
    Property,
    Shape,
    Text,
    Texts,
    Truth,
    Whole,
    duration_seconds,
    read_body,
)

_MODES = ("ReadOnlyMount", "ReadWriteMount", "Download", "Direct", "EvalMount", "EvalDownload")
_DATA = ("UriFile", "UriFolder", "MLTable", "CustomModel", "MLFlowModel", "TritonModel")
_INPUT = Shape(
    {
        "description": Property(Text()),
        "uri": Property(Text(pattern="[a-zA-Z0-9_]"), required=True),
        "mode": Property(Text(_MODES), default="ReadOnlyMount"),
    }
)
_LITERAL = Shape({"description": Property(Text()), "value": Property(Text(), required=True)})
_OUTPUT = Shape(
    {
        "description": Property(Text()),
        "uri": Property(Text()),
        "mode": Property(Text(("ReadWriteMount", "Upload")), default="ReadWriteMount"),
    }
)
_DATASET = OneOf(
    "dataInputType",
    {
        "DataUrl": Shape({"path": Property(Text(pattern="[a-zA-Z0-9_]"), required=True)}),
        "DatasetVersion": Shape(
            {"datasetName": Property(Text(), required=True), "datasetVersion": Property(Text(), required=True)}
        ),
        "DatasetId": Shape({"datasetId": Property(Text(), required=True)}),
    },
)
_OUTPUT_DATASET = Shape(
    {
        "datastoreId": Property(Text()),
        "path": Property(Text(pattern="[a-zA-Z0-9_]"), required=True),
        "datasetType": Property(Text(("Simple", "Dataflow")), sparse=True),
        "description": Property(Text(), sparse=True),
        "isAnonymous": Property(Truth(), sparse=True),
        "properties": Property(Texts(), sparse=True),
        "tags": Property(Texts(), sparse=True),
    }
)
_BODY = Shape(
    {
        "properties": Property(
            Shape(
                {
                    "inputData": Property(
                        MapOf(OneOf("jobInputType", {**dict.fromkeys(_DATA, _INPUT), "Literal": _LITERAL}))
                    ),
                    "outputData": Property(MapOf(OneOf("jobOutputType", dict.fromkeys(_DATA, _OUTPUT)))),
                    "dataset": Property(_DATASET),
                    "outputDataset": Property(_OUTPUT_DATASET),
                    "compute": Property(
                        Shape(
                            {
                                "instanceCount": Property(Whole(1, INT32)),
                                "instanceType": Property(Text()),
                                "isLocal": Property(Truth(), default=False),
                                "location": Property(Text()),
                                "properties": Property(Anything()),
                                "target": Property(Text()),
                            }
                        )
                    ),
                    "description": Property(Text()),
                    "errorThreshold": Property(Whole(-1, INT32)),
                    "loggingLevel": Property(Text(("Info", "Warning", "Debug"))),
                    "maxConcurrencyPerInstance": Property(Whole(1, INT32)),
                    "miniBatchSize": Property(Whole(1)),
                    "name": Property(Text()),
                    "outputFileName": Property(Text()),
                    "partitionKeys": Property(Anything()),
                    "properties": Property(Texts(), default={}),
                    "retrySettings": Property(
                        Shape({"maxRetries": Property(Whole(0, INT32)), "timeout": Property(Duration())})
                    ),
                    "tags": Property(Texts(tags=True), default={}),
                },
                read_only=("interactionEndpoints", "output", "provisioningState", "status"),
            ),
            required=True,
        )
    },
    read_only=("id", "type", "systemData"),
)
_ECHOED_WHEN_GIVEN = (
    "description",
    "errorThreshold",
    "loggingLevel",
    "maxConcurrencyPerInstance",
    "miniBatchSize",
    "outputFileName",
    "partitionKeys",
    "dataset",
    "outputDataset",
)


@dataclass(frozen=True)
class Invocation:
    """`settings` are the deployment's with this job's overrides; `echo` is what the reply repeats of the request."""

    input_type: str
    """UriFile or UriFolder."""
    input_uri: str
    output_uri: str | None
    """Of the output file; None for the default place."""
    settings: dict[str, Any]
    retry_settings: dict[str, Any]
    echo: dict[str, Any]
    name: str | None
    tags: dict[str, str]
    properties: dict[str, str]


def read_invocation(body: Any, deployment: Mapping[str, Any], workspace: str) -> Invocation:
    """Read the body of `POST /jobs`. `deployment`: its properties. `workspace`: its id. Raises 400 with every fault."""
    given = read_body(_BODY, body, "Batch job")["properties"]
    faults = list(_input_faults(given)) + list(_output_faults(given))
    if faults:
        raise validation_error("Batch job", faults)
    kind, uri = _input(given, workspace)
    retries = {
        key: value if value is not None else deployment["retrySettings"][key]
        for key, value in (given["retrySettings"] or dict.fromkeys(("maxRetries", "timeout"))).items()
    }
    compute = given["compute"] or {}
    settings = {
        "mini_batch_size": given["miniBatchSize"] or deployment["miniBatchSize"],
        "max_concurrency_per_instance": given["maxConcurrencyPerInstance"] or deployment["maxConcurrencyPerInstance"],
        "instance_count": compute.get("instanceCount") or deployment["resources"]["instanceCount"],
        "max_retries": retries["maxRetries"],
        "timeout_seconds": duration_seconds(retries["timeout"]),
        "error_threshold": _first(given["errorThreshold"], deployment["errorThreshold"]),
        "logging_level": str(given["loggingLevel"] or deployment["loggingLevel"]).lower(),
        "output_action": deployment["outputAction"],
        "output_file_name": given["outputFileName"] or deployment["outputFileName"],
        "environment_variables": dict(deployment["environmentVariables"] or {}),
    }
    echo = {key: given[key] for key in _ECHOED_WHEN_GIVEN if given[key] is not None}
    echo["inputData"] = given["inputData"]
    if given["outputData"]:
        echo["outputData"] = given["outputData"]
    echo["compute"] = {
        "target": compute.get("target") or deployment["compute"],
        "instanceCount": compute.get("instanceCount"),
        "isLocal": compute.get("isLocal", False),
        "location": compute.get("location"),
        "instanceType": compute.get("instanceType"),
        "properties": compute.get("properties"),
    }
    return Invocation(
        input_type=kind,
        input_uri=uri,
        output_uri=_output_file(given, settings["output_file_name"]),
        settings=settings,
        retry_settings=retries,
        echo=echo,
        name=given["name"],
        tags=given["tags"],
        properties=given["properties"],
    )


def _input_faults(given: Mapping[str, Any]) -> list[Fault]:
    inputs = given["inputData"] or {}
    if given["dataset"] is not None and not inputs:
        return []
    if len(inputs) != 1 or given["dataset"] is not None:
        text = "A model deployment takes exactly one data input."
        return [Fault("InputData", text, sorted(inputs))]
    kind = next(iter(inputs.values()))["jobInputType"]
    if kind == "Literal":
        return [Fault("InputData.Values[0].JobInputType", "Literal inputs need a pipeline component deployment.", kind)]
    if kind not in {"UriFile", "UriFolder"}:
        text = "Job input type must be 'uri_file' or 'uri_folder'."
        return [Fault("InputData.Values[0].JobInputType", text, kind)]
    return []


def _output_faults(given: Mapping[str, Any]) -> list[Fault]:
    outputs = list((given["outputData"] or {}).values())
    if len(outputs) > 1:
        return [Fault("OutputData", "A model deployment has exactly one output.", sorted(given["outputData"]))]
    return [
        Fault(
            f"OutputData.Values[{number}].JobOutputType", "Job output type must be 'uri_file'.", each["jobOutputType"]
        )
        for number, each in enumerate(outputs)
        if each["jobOutputType"] != "UriFile"
    ]


def _input(given: Mapping[str, Any], workspace: str) -> tuple[str, str]:
    for each in (given["inputData"] or {}).values():
        return each["jobInputType"], each["uri"]
    dataset = given["dataset"]
    if dataset["dataInputType"] == "DatasetVersion":
        return "UriFolder", f"{workspace}/datasets/{dataset['datasetName']}/versions/{dataset['datasetVersion']}"
    uri = dataset.get("path") or dataset["datasetId"]
    return ("UriFile" if PurePosixPath(uri).suffix and not uri.endswith("/") else "UriFolder"), uri


def _output_file(given: Mapping[str, Any], file_name: str) -> str | None:
    """The uri of the output file: as given where it ends in a file's name, else a file in the folder that it names."""
    for each in (given["outputData"] or {}).values():
        uri = each["uri"]
        if not uri:
            return None
        last = uri.rstrip("/").rpartition("/")[2]
        is_file = not uri.endswith("/") and (last == file_name or PurePosixPath(last).suffix)
        return uri if is_file else f"{uri.rstrip('/')}/{file_name}"
    dataset = given["outputDataset"]
    if dataset is None:
        return None
    store = (dataset["datastoreId"] or "workspaceblobstore").rpartition("/")[2]
    return f"azureml://datastores/{store}/paths/{dataset['path'].strip('/')}/{file_name}"


def _first(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
