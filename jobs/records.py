"""The jobs of an endpoint, found: by name, the newest, or all of them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jobs.target import Target
from providers.aml.job import created_of, status_of
from providers.aml.refusal import Refusal
from providers.arm.errors import ArmError, Unauthorized

_LOOKED_AT = 300
"""Jobs of the endpoint's list among which one is looked for by name."""


@dataclass(frozen=True)
class Record:
    """A job in a list."""

    name: str
    status: str
    deployment: str
    created: float | None
    """Seconds since the epoch."""
    inputs: Mapping[str, str]
    tags: Mapping[str, str]
    display_name: str

    def facts(self) -> dict[str, Any]:
        return {
            "job": self.name,
            "status": self.status,
            "deployment": self.deployment,
            "created": self.created,
            "inputs": dict(self.inputs),
            "tags": dict(self.tags),
            "display_name": self.display_name,
        }


def records(target: Target) -> Iterator[Record]:
    """The endpoint's jobs, from the data plane's list; where that is refused, from ARM's list of the workspace.

    The data plane's list is known to misbehave (https://github.com/Azure/azureml-examples/pull/4041): the jobs of the
    workspace whose experiment is called as the endpoint are the same ones, with less said of each.
    """
    listed = target.workspace.jobs_of(target.endpoint_id)
    try:
        first = next(listed, None)
    except Unauthorized:
        raise
    except ArmError:
        yield from _of_workspace(target)
        return
    if first is not None:
        yield _record(first)
        for each in listed:
            yield _record(each)


def arm_job(target: Target, name: str | None) -> dict[str, Any]:
    """The job of that name, or the endpoint's newest, as ARM has it. Raises Refusal where there is none."""
    if name is None:
        newest = max(islice(records(target), _LOOKED_AT), key=lambda each: each.created or 0.0, default=None)
        if newest is None:
            raise Refusal(f"the endpoint {target.endpoint_name} has no job yet", name="job-missing")
        name = newest.name
    if not re.fullmatch(r"[\w.-]+", name):
        raise Refusal(f"{name!r} is no name of a job", name="job-missing")
    body = target.workspace.get(f"jobs/{name}")
    if body is None:
        there = [each.name for each in islice(records(target), _LOOKED_AT)]
        close = get_close_matches(name, there, n=2, cutoff=0.5) or there[:2]
        hint = f"; the newest of {target.endpoint_name} are {', '.join(close)}" if close else ""
        raise Refusal(f"there is no job {name} in {target.workspace.id.rpartition('/')[2]}{hint}", name="job-missing")
    return body


def batch_record(target: Target, name: str) -> dict[str, Any]:
    """What the data plane says of the job: inputs, outputs and overrides; empty where it does not list it."""
    try:
        listed = islice(target.workspace.jobs_of(target.endpoint_id), _LOOKED_AT)
        return next((each for each in listed if each.get("name") == name), {})
    except ArmError:
        return {}  # beside the matter: ARM's record says the rest


def deployment_of(job: Mapping[str, Any]) -> str:
    """The name of the deployment that a job ran on; empty where nobody says."""
    tags = (job.get("properties") or {}).get("tags") or {}
    found = re.search(r"/deployments/([^/]+)/jobs/", str(job.get("id") or ""))
    return str(tags.get("azureml.deploymentname") or (found[1] if found else ""))


def _of_workspace(target: Target) -> Iterator[Record]:
    for each in target.workspace.list("jobs", jobType="Pipeline"):
        if (each.get("properties") or {}).get("experimentName") == target.endpoint_name:
            yield _record(each)


def _record(body: Mapping[str, Any]) -> Record:
    properties = body.get("properties") or {}
    inputs = {
        name: str((each or {}).get("uri") or (each or {}).get("value") or "")
        for name, each in (properties.get("inputData") or {}).items()
    }
    return Record(
        name=str(body.get("name")),
        status=status_of(body),
        deployment=deployment_of(body),
        created=created_of(body),
        inputs=inputs,
        tags={
            str(name): str(value)
            for name, value in (properties.get("tags") or {}).items()
            if not str(name).startswith(("azureml.", "batch-scoring.")) and name not in ("inputType", "outputType")
        },
        display_name=str(properties.get("displayName") or properties.get("name") or ""),
    )
