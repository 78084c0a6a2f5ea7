"""What the scoring driver is told about one job: places instead of Azure's ids. Nothing of ARM is left in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import ids, workspaces
from lab.emulator.config import EmulatorConfig
from lab.emulator.invocation import Invocation
from lab.emulator.locations import Elsewhere, input_type, locate
from lab.emulator.plays import Plays

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud


def driver_spec(
    cloud: Cloud, record: dict[str, Any], deployment: Mapping[str, Any], invocation: Invocation
) -> dict[str, Any]:
    """The content of `spec.json`, with the account's name for its `storage`; adds the output's place to the record.

    Raises Elsewhere when something lies outside the lab.
    """
    workspace = ids.workspace_of(record["endpoint"])
    output = locate(record["output"]["uri"], cloud, workspace)
    record["output"] |= output.as_json()
    return {
        "name": record["name"],
        "step": record["child"],
        "directory": str(cloud.executions.directory(record["name"])),
        "account": workspaces.account_of(cloud, workspace),
        "code": _code(cloud, workspace, deployment["codeConfiguration"]),
        "model": _model(cloud, workspace, deployment["model"]),
        "environment": _environment(cloud, workspace, deployment["environmentId"]),
        "input": {
            "type": input_type(invocation.input_uri, invocation.input_type, cloud.store),
            "uri": invocation.input_uri,
            **locate(invocation.input_uri, cloud, workspace).as_json(),
        },
        "output": record["output"],
        "logs": {"container": identity.LOGS_CONTAINER, "prefix": f"ExperimentRun/dcid.{record['name']}"},
        "settings": {**invocation.settings, **_plays(cloud.plays)},
        "limits": {"max_workers": cloud.plays.max_workers},
        "cache": str(cloud.config.cache),
    }


def storage_section(config: EmulatorConfig, account: str) -> dict[str, Any]:
    """How the driver reaches a storage account: true of this emulator, whose port a later one may not have."""
    return {
        "account": account,
        "endpoint": f"{config.blob_endpoint.rstrip('/')}/{account}",
        "key": config.storage_key,
        "ca_file": str(config.ca_file),
    }


def _plays(plays: Plays) -> dict[str, Any]:
    """What the documentation leaves open of how a job is run."""
    return {
        "azureml_core": plays.azureml_core,
        "max_retries_counts": plays.max_retries_counts,
        "task_overhead_seconds": plays.task_overhead_seconds,
        "row_order": plays.row_order,
        "gpus_per_node": plays.gpus_per_node,
    }


def _code(cloud: Cloud, workspace: str, configuration: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if configuration is None or not configuration["codeId"]:
        return None
    uri = _asset(cloud, workspace, configuration["codeId"])["codeUri"]
    return {"uri": uri, "scoring_script": configuration["scoringScript"], **locate(uri, cloud, workspace).as_json()}


def _model(cloud: Cloud, workspace: str, reference: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if reference is None:
        return None
    properties = _asset(cloud, workspace, reference["assetId"])
    parts = reference["assetId"].split("/")
    return {
        "uri": properties["modelUri"],
        "type": properties["modelType"],
        "name": parts[-3],
        "version": parts[-1],
        **locate(properties["modelUri"], cloud, workspace).as_json(),
    }


def _environment(cloud: Cloud, workspace: str, environment_id: str | None) -> dict[str, Any] | None:
    if not environment_id:
        return None
    parts = environment_id.split("/")
    said = {"name": parts[-3], "version": parts[-1], "image": None, "conda_file": None}
    properties = _asset(cloud, workspace, environment_id)
    if "build" in properties and not properties["condaFile"]:
        raise Elsewhere(f"environment {environment_id} is built from a Dockerfile, and the lab builds no images")
    return said | {"image": properties["image"], "conda_file": properties["condaFile"]}


def _asset(cloud: Cloud, workspace: str, id_: str) -> dict[str, Any]:
    """A registry's asset is played by the workspace's own of the same kind, name and version."""
    shared = re.match("azureml://registries/[^/]+/", id_, re.IGNORECASE)
    body = cloud.store.get(f"{workspace}/{id_[shared.end() :]}" if shared else id_)
    if body is None and shared:
        raise Elsewhere(
            f"{id_} lies in a registry, which the lab does not reach, and workspace {ids.name_of(workspace)} has "
            "nothing of that name and version in its place"
        )
    if body is None:
        raise Elsewhere(f"{id_} does not exist in the lab")
    properties: dict[str, Any] = body["properties"]
    return properties
