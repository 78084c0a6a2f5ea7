"""What became of a job, from the run history that the service keeps of it and of the steps that did its work.

ARM's job says `Failed` and no more. The run's details have an error and signed links to logs; the user's own exception
stands in the logs of the child run.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.arm.errors import ArmError, BadAnswer

from . import failures
from .workspace import Workspace

BUILD_LOG = re.compile(r"(^|/)20_image_build_log.*\.txt$")
DRIVER_LOG = re.compile(r"user_logs/std_log.*\.txt$")
_ERROR_LOG = re.compile(r"logs/user/error(\.txt|/.*\.txt)$")
_NO_REASON = "the service gives no reason; see the job's logs in the studio"
_LONGEST = 1500  # characters of an explanation
_CONTEXT = 12  # lines of a log


@dataclass(frozen=True)
class Run:
    """One run of a job: the job's own, or that of a step."""

    name: str
    status: str
    is_step: bool
    error: str = ""
    """What the service says went wrong, empty where nothing did."""
    log_files: Mapping[str, str] = field(default_factory=dict)
    """Name of a log, such as `user_logs/std_log_0.txt` -> signed link to it, which is good for about an hour."""
    started: str = ""
    """ISO 8601, UTC; empty while it has not."""
    ended: str = ""

    def log(self, pattern: re.Pattern[str], *, newest: bool = False) -> str | None:
        """The name of the first log that fits, in order of name; or of the last, where names carry a time."""
        return next((name for name in sorted(self.log_files, reverse=newest) if pattern.search(name)), None)


@dataclass(frozen=True)
class Reason:
    """Why a job failed, as far as anybody says."""

    exception: str = ""
    """`ValueError: bad image (score.py, line 12)`: the first of the user's script; empty where no log has one."""
    on: str = ""
    """What the script was given when it raised: `mini-batch 3 (a.png, b.png and 8 more)`; empty where not known."""
    package: str = ""
    """The line of an environment's build that names what could not be installed; empty where no build failed."""
    said: str = _NO_REASON
    """The service's own words."""
    log: str = ""
    """Name of the log that `context` is from."""
    context: tuple[str, ...] = ()
    """The part of that log around the exception."""

    def __str__(self) -> str:
        found = self.package or self.exception
        on = f", on {self.on}" if self.exception and self.on else ""
        parts = [f"{found}{on}"] if found else []
        if not found or (self.said != _NO_REASON and found not in self.said):
            parts.append(self.said)
        text = "; ".join(parts)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def explain(workspace: Workspace, job_name: str) -> str:
    """The user's exception with file and line where the logs have one, else what the service says; one line."""
    return str(reason(workspace, job_name))


def reason(workspace: Workspace, job_name: str) -> Reason:
    """Why the job failed; its logs are read for that."""
    try:
        found = runs(workspace, job_name)
    except ArmError as error:
        return Reason(said=f"its run history cannot be read: {error}")
    said = next((run.error for run in found if run.error), _NO_REASON)
    for run in found:
        for name in _telling(run):
            text = _read(workspace, run.log_files[name])
            first = failures.first(text)
            if first:
                return Reason(
                    exception=str(first), on=first.on, said=said, log=name, context=first.around(text, _CONTEXT)
                )
    for run in found:
        build = run.log(BUILD_LOG)
        text = _read(workspace, run.log_files[build]) if build else ""
        package = failures.failed_package(text)
        if build and package:
            return Reason(package=package, said=said, log=build, context=failures.around(text, package, _CONTEXT))
    return Reason(said=said)


def runs(workspace: Workspace, job_name: str) -> list[Run]:
    """The job's steps, which do the work, and at last the job itself."""
    steps = [str(each["runId"]) for each in _children(workspace, job_name)]
    return [*(run(workspace, name, is_step=True) for name in steps), run(workspace, job_name, is_step=False)]


def step_names(workspace: Workspace, job_name: str) -> list[str]:
    """The names of the job's steps; they are jobs of the workspace, too."""
    return [str(each["runId"]) for each in _children(workspace, job_name)]


def run(workspace: Workspace, name: str, *, is_step: bool) -> Run:
    body = _ask(workspace, f"{name}/details")
    error = ((body.get("error") or {}).get("error")) or {}
    return Run(
        name=name,
        status=str(body.get("status") or ""),
        is_step=is_step,
        error=" ".join(str(error.get("message") or "").split()),
        log_files={str(key): str(value) for key, value in (body.get("logFiles") or {}).items()},
        started=str(body.get("startTimeUtc") or ""),
        ended=str(body.get("endTimeUtc") or ""),
    )


def _children(workspace: Workspace, job_name: str) -> Iterator[dict[str, Any]]:
    for each in _ask(workspace, f"{job_name}/children").get("value") or []:
        if isinstance(each, dict) and each.get("runId"):
            yield each


def _ask(workspace: Workspace, path: str) -> dict[str, Any]:
    arm = workspace.arm
    url = f"{workspace.history_url}/history/v1.0{workspace.id}/runs/{path}?api-version=v1.0"
    answer = arm.call("GET", url, audience=arm.cloud.arm_audience, idempotent=True)
    if not isinstance(answer.body, dict):
        raise BadAnswer(f"the run history of {path} is no object", status=answer.status, arm_id=path, operation="GET")
    return answer.body


def _telling(run: Run) -> list[str]:
    """The logs worth reading for an exception, the user's errors first."""
    errors = sorted(name for name in run.log_files if _ERROR_LOG.search(name))
    return [*errors, *sorted(name for name in run.log_files if DRIVER_LOG.search(name))]


def _read(workspace: Workspace, url: str) -> str:
    """The beginning of a log: what went wrong first stands there."""
    try:
        return workspace.arm.fetch_bytes(url).decode("utf-8-sig", errors="replace")
    except ArmError as error:
        return f"(a log could not be read: {error.message})"
