"""Where a job's outputs really are.

In Azure they hang on the child run that did the work; the job itself, which is a pipeline, has none
(https://github.com/MicrosoftDocs/azure-docs/issues/106816). The data plane's record of the job repeats the place that
the request named. Where nobody says anything, azure-ai-ml looks at two places of the default datastore, and so do we.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from providers.blob import list_blobs

from . import run_history
from .datastore import datastore_uri, long_uri, open_located
from .refusal import Refusal
from .workspace import Workspace

SCORE = "score"
"""What the one output of a model's job is called."""
_UNSAID = ("azureml/{step}/score/", "dataset/{step}/score/")


def outputs_of(workspace: Workspace, job: Mapping[str, Any]) -> dict[str, str]:
    """Name of an output -> its long datastore uri; empty where nobody knows any.

    `job`: as ARM or the data plane's list has it.
    """
    said = dict(_named(workspace, job))
    if said:
        return said
    steps = run_history.step_names(workspace, str(job["name"]))
    for step in steps:
        said |= dict(_named(workspace, workspace.get(f"jobs/{step}") or {}))
    if said:
        return said
    datastore = default_datastore(workspace)
    for step in steps:
        for place in _UNSAID:
            uri = datastore_uri(datastore, place.format(step=step))
            location, container = open_located(workspace.arm, uri)
            if next(list_blobs(container, location.path), None):
                return {SCORE: uri}
    return {}


def default_datastore(workspace: Workspace) -> str:
    """ARM id of the workspace's default datastore."""
    for each in workspace.list("datastores", isDefault="true"):
        return str(each["id"])
    raise Refusal(f"{workspace.id} has no default datastore; name one with --datastore", name="datastore-missing")


def _named(workspace: Workspace, job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    properties = job.get("properties") or {}
    for outputs in (properties.get("outputData"), properties.get("outputs")):
        for name, each in (outputs or {}).items():
            uri = (each or {}).get("uri")
            if uri:
                yield str(name), long_uri(str(uri), workspace.id)
