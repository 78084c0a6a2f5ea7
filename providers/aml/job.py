"""A job of a workspace as ARM has it: its id, its status, its end."""

from collections.abc import Mapping
from typing import Any

from .workspace import Workspace

ENDED = ("Completed", "Failed", "Canceled")
FAILED = ("Failed", "Canceled")


def job_id(workspace_id: str, name: str) -> str:
    return f"{workspace_id}/jobs/{name}"


def status_of(job: Mapping[str, Any] | None) -> str:
    """The service's word; a job that is not there yet has not started: a new one takes a moment to be readable."""
    return str((job.get("properties") or {}).get("status")) if job else "NotStarted"


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
