"""What a preview says about money, without prices: nodes, their size and priority, jobs and how much they score."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from providers.blob.size import size as bytes_words
from providers.gating import Decision
from providers.scoring_job import decide
from reviews.markdown import code, value
from reviews.preview import ABSENT, CREATE, DELETE, REPLACE, SAME, UPDATE, Change, Preview, PropertyChange

COMPUTE = "azure-native:machinelearningservices:Compute"
_CLUSTER: Mapping[str, str] = {
    "properties.properties.scaleSettings.maxNodeCount": "most nodes",
    "properties.properties.scaleSettings.minNodeCount": "nodes that always run",
    "properties.properties.scaleSettings.nodeIdleTimeBeforeScaleDown": "idle time before a node goes",
    "properties.properties.vmSize": "VM size",
    "properties.properties.vmPriority": "priority",
}
_DEPLOYMENT: Mapping[str, str] = {
    "resources.instance_count": "nodes of a job",
    "resources.instance_type": "VM size",
    "max_concurrency_per_instance": "workers on a node",
    "compute": "compute",
}
_BILLED: Mapping[str, tuple[str, str]] = {
    "azure-native:storage:StorageAccount": ("storage account", "sku.name"),
    "azure-native:machinelearningservices:Workspace": ("workspace", "sku.name"),
    "azure-native:keyvault:Vault": ("key vault", "properties.sku.name"),
    "azure-native:applicationinsights:Component": ("Application Insights", "kind"),
    "azure-native:containerregistry:Registry": ("container registry", "sku.name"),
}
"""Kinds that cost something as they stand, and where their price class is."""


def costs(preview: Preview) -> list[tuple[str, str, str]]:
    """(resource, what of it, before → after), in Markdown; nothing where no cost changes."""
    return [*_clusters(preview), *_deployments(preview), *_others(preview)]


def jobs(preview: Preview) -> list[str]:
    """One line for each scoring job that `up` will run: on which deployment, how many files, how many nodes."""
    return [_job(each, preview) for each in preview.of("ScoringJob", CREATE, UPDATE, REPLACE) if runs(each)]


def runs(job: Change) -> bool:
    """Whether an `up` runs the job, and does not merely look at what an earlier one wrote (providers/gating.py)."""
    return decision(job).act == "run"


def decision(job: Change) -> Decision:
    """What an `up` does about a smoke job."""
    return decide((job.outputs or {}) if job.op == UPDATE else {}, job.inputs)


def _clusters(preview: Preview) -> Iterator[tuple[str, str, str]]:
    for each in preview.of(COMPUTE, CREATE, DELETE, REPLACE, UPDATE):
        changes = {found.path: found for found in each.properties}
        whole = each.op in (CREATE, DELETE)
        for path, words in _CLUSTER.items():
            if path in changes:
                yield code(each.name), words, _both(changes[path], whole)
        if changes.keys() & _CLUSTER.keys():
            yield code(each.name), "at most", f"{_bound(each.old)} → {_bound(each.new)}"


def _bound(inputs: Mapping[str, Any] | None) -> str:
    """`4 × Standard_DS3_v2`, which is the most that can run at a time."""
    if inputs is None:
        return "nothing"
    nodes = at(inputs, "properties.properties.scaleSettings.maxNodeCount")
    priority = at(inputs, "properties.properties.vmPriority")
    return f"{nodes} × {at(inputs, 'properties.properties.vmSize')}" + (f" ({priority})" if priority else "")


def _deployments(preview: Preview) -> Iterator[tuple[str, str, str]]:
    for each in preview.of("BatchDeployment", CREATE, UPDATE, REPLACE):
        before = preview.predecessor(each)
        old = each.old if each.old is not None else before.inputs if before else None
        for path, words in _DEPLOYMENT.items():
            was, is_ = at(old or {}, path), at(each.inputs, path)
            if was != is_ and (old is not None or path != "compute"):
                sides = PropertyChange(path, ABSENT if was is None else was, ABSENT if is_ is None else is_)
                yield code(each.name), words, _both(sides, old is None)


def _others(preview: Preview) -> Iterator[tuple[str, str, str]]:
    for kind, (words, path) in _BILLED.items():
        for each in preview.of(kind, CREATE, DELETE, REPLACE, UPDATE):
            was, is_ = at(each.old or {}, path), at(each.new or {}, path)
            if each.op in (CREATE, DELETE) or was != is_:
                sides = (
                    f"{'nothing' if each.old is None else value(was)} → {'nothing' if each.new is None else value(is_)}"
                )
                yield code(each.name), words, sides


def _both(change: PropertyChange, whole: bool) -> str:
    if whole:
        return value(change.new if change.old is ABSENT else change.old)
    return f"{value(change.old)} → **{value(change.new)}**"


def _job(job: Change, preview: Preview) -> str:
    deployment = _deployment_of(job, preview)
    nodes = at(job.inputs, "instance_count") or at(deployment, "resources.instance_count") or 1
    parts = [
        _how_much(job, deployment, preview),
        f"{nodes} {'node' if nodes == 1 else 'nodes'}{_size(deployment, preview)}",
    ]
    deadline = f", at most {job.inputs['deadline']}" if job.inputs.get("deadline") else ""
    on = code(job.inputs.get("deployment_name"))
    return f"{code(job.name)} on {on}: {', '.join(part for part in parts if part)}{deadline}"


def _deployment_of(job: Change, preview: Preview) -> Mapping[str, Any]:
    """The inputs of the deployment that a job runs on; nothing where the preview does not tell of it."""
    for each in preview.of("BatchDeployment", CREATE, UPDATE, REPLACE, SAME):
        if all(each.inputs.get(name) == job.inputs.get(name) for name in ("endpoint_id", "deployment_name")):
            return each.inputs
    return {}


def _how_much(job: Change, deployment: Mapping[str, Any], preview: Preview) -> str:
    """`180 files (22.3 kB) in 8 mini-batches`, where the input is an upload of this stack."""
    place = str(job.inputs.get("input_uri") or "")
    for each in preview.of("BlobFolder", CREATE, UPDATE, REPLACE, SAME):
        if place.startswith(str(each.inputs.get("uri"))):
            files, per_batch = each.inputs.get("files"), at(deployment, "mini_batch_size")
            if not isinstance(files, int):
                break
            batches = f" in {math.ceil(files / per_batch)} mini-batches" if isinstance(per_batch, int) else ""
            return f"{count(files, 'file')} ({size(each.inputs.get('bytes'))}){batches}"
    return f"the files at {value(place)} (how many is not known)" if place else ""


def _size(deployment: Mapping[str, Any], preview: Preview) -> str:
    compute = str(deployment.get("compute") or "")
    serverless = at(deployment, "resources.instance_type")
    if serverless:
        return f" of {serverless}"
    for each in preview.of(COMPUTE):
        if each.op != DELETE and compute.lower().endswith(f"/computes/{each.inputs.get('computeName')}".lower()):
            return f" of {at(each.inputs, 'properties.properties.vmSize')}"
    return f" of {code(compute.rsplit('/', 1)[-1])}, a compute of others" if compute else ""


def at(inputs: Mapping[str, Any], path: str) -> Any:
    """The property at a dotted path, None where there is none."""
    found: Any = inputs
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def size(given: Any) -> str:
    """Bytes as people read them."""
    return bytes_words(given) if isinstance(given, int | float) else "unknown size"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
