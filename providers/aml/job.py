"""A job of a workspace as ARM has it: its id, its status, its end."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .workspace import Workspace

ENDED = ("Completed", "Failed", "Canceled")
FAILED = ("Failed", "Canceled")
# The service writes seven digits of a second, which Python 3.10 does not read.
_INSTANT = re.compile(r"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?P<fraction>\.\d+)?(?P<zone>Z|[+-]\d\d:\d\d|)$")


def job_id(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/jobs/{name}"


def status_of(job: Mapping[str, Any] | None) -> str:
    """The service's word; a job that is not there yet has not started: a new one takes a moment to be readable."""
    return str((job.get("properties") or {}).get("status")) if job else "NotStarted"


def created_of(job: Mapping[str, Any]) -> float | None:
    """When the service took it, in seconds since the epoch; None where it does not say."""
    text = str((job.get("systemData") or {}).get("createdAt") or "")
    found = _INSTANT.match(text)
    if not found:
        return None
    zone = found["zone"].replace("Z", "+00:00") or "+00:00"
    return datetime.fromisoformat(f"{found['second']}{zone}").timestamp() + float(f"0{found['fraction'] or '.0'}")


def status(workspace: Workspace, name: str) -> str:
    return status_of(workspace.get(f"jobs/{name}"))


def cancel(workspace: Workspace, name: str) -> bool:
    """Ask the service to cancel a job; False where there was nothing to cancel: it ended, or is not there."""
    job = workspace.get(f"jobs/{name}")
    if job is None or status_of(job) in ENDED:
        return False
    workspace.arm.post(
        f"{job_id(workspace.id, name)}/cancel", api_version=workspace.api_version, idempotent=True, wait=True
    )
    return True
