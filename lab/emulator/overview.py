"""What there is, told for people: `python -m lab status` and the page show it. Names, states, numbers; no secrets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lab import identity
from lab.emulator import asset_kinds, computes, deployments, endpoints, ids, workspaces

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud
    from lab.emulator.jobs import JobRecord

ENDPOINTS, JOBS = 50, 30
"""How many of each are told, the newest ones; `counts` has all."""


def overview(cloud: Cloud, now: float) -> dict[str, Any]:
    """Endpoints with their deployments, computes, the newest jobs, and counts by kind. To be called where jobs move:
    a job's driver is asked how far it is. `now` and all times are seconds since the epoch."""
    counts = _counts(cloud)
    newest = [body for arm_id in cloud.store.ids(endpoints.KIND)[-ENDPOINTS:] if (body := cloud.store.get(arm_id))]
    clusters = [body for arm_id in cloud.store.ids(computes.KIND)[:ENDPOINTS] if (body := cloud.store.get(arm_id))]
    return {
        "now": now,
        "workspace": identity.WORKSPACE,
        "made_workspaces": [ids.name_of(arm_id) for arm_id in cloud.store.ids(workspaces.KIND)],
        "location": identity.LOCATION,
        "proxy_port": cloud.config.proxy_port,
        "counts": counts,
        "endpoints": [_endpoint(cloud, body) for body in reversed(newest)],
        "computes": [_compute(body) for body in clusters],
        "jobs": [job(cloud.executions.refresh(record), now) for record in cloud.store.jobs(limit=JOBS)],
    }


def job(record: JobRecord, now: float) -> dict[str, Any]:
    """One job, from a record that is fresh."""
    started, ended = _seconds(record["started"]), _seconds(record["ended"])
    return {
        "name": record["name"],
        "display_name": record["display_name"],
        "endpoint": _last(record["endpoint"]),
        "deployment": _last(record["deployment"]),
        "status": record["status"],
        "active": record["active"],
        "phase": record.get("phase") or "",
        "mini_batches": record.get("mini_batches") or {"total": 0, "done": 0, "failed": 0},
        "items": record.get("items") or {"total": 0, "succeeded": 0, "failed": 0},
        "rows": record.get("rows") or 0,
        "error": record["error"],
        "output": record["output"]["uri"],
        "created": record["created"],
        "seconds": None if started is None else round(max(0.0, (ended or now) - started), 1),
    }


def _counts(cloud: Cloud) -> dict[str, int]:
    store = cloud.store
    kinds = {"endpoints": endpoints.KIND, "deployments": deployments.KIND, "computes": computes.KIND}
    kinds |= {kind.segment: kind.segment for kind in asset_kinds.KINDS.values()}
    return {**{name: store.count(kind) for name, kind in kinds.items()}, "jobs": store.count_jobs()}


def _endpoint(cloud: Cloud, body: dict[str, Any]) -> dict[str, Any]:
    default = body["properties"]["defaults"]["deploymentName"]
    below = cloud.store.children(deployments.KIND, body["id"])
    return {
        "name": body["name"],
        "state": body["properties"]["provisioningState"],
        "default": default,
        "scoring_uri": body["properties"].get("scoringUri"),
        "created": _seconds(body["systemData"]["createdAt"]),
        "deployments": [_deployment(each, default) for each in below],
    }


def _deployment(body: dict[str, Any], default: str | None) -> dict[str, Any]:
    properties = body["properties"]
    model = properties["model"] or {}
    return {
        "name": body["name"],
        "state": properties["provisioningState"],
        "is_default": default is not None and default.lower() == body["name"].lower(),
        "model": _version(model.get("assetId")),
        "environment": _version(properties["environmentId"]),
        "compute": _last(properties["compute"] or ""),
        "mini_batch_size": properties["miniBatchSize"],
        "instances": properties["resources"]["instanceCount"],
        "created": _seconds(body["systemData"]["createdAt"]),
    }


def _compute(body: dict[str, Any]) -> dict[str, Any]:
    inner = body["properties"].get("properties") or {}
    scale = inner.get("scaleSettings") or {}
    return {
        "name": body["name"],
        "state": body["properties"]["provisioningState"],
        "vm_size": inner.get("vmSize"),
        "nodes": [scale.get("minNodeCount") or 0, scale.get("maxNodeCount")],
    }


def _version(arm_id: str | None) -> str:
    """`name:version` of an asset's id; a registry's id as it is."""
    parts = (arm_id or "").split("/")
    return f"{parts[-3]}:{parts[-1]}" if len(parts) > 3 and parts[-2] == "versions" else arm_id or ""


def _last(arm_id: str) -> str:
    return arm_id.rpartition("/")[2]


def _seconds(instant: str | None) -> float | None:
    """Seconds since the epoch of an ISO 8601 instant. The service writes seven digits, Python 3.10 reads six."""
    if instant is None:
        return None
    whole, _, fraction = instant.removesuffix("Z").removesuffix("+00:00").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00").timestamp()
