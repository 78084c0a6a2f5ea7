"""Why a job failed, from the run history that the service keeps of it.

ARM's job says `Failed` and no more. The run's details have an error and links to logs; the user's own exception stands
in the logs of the child run that did the work.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from providers.arm import ArmClient
from providers.arm.errors import ArmError

from .workspace import Workspace

_ERROR_LOGS = re.compile(r"logs/user/error(\.txt|/.*\.txt)$")
_DRIVER_LOG = re.compile(r"user_logs/std_log.*\.txt$")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_LONGEST = 1500  # characters of an explanation


def explain(workspace: Workspace, job_name: str) -> str:
    """The user's exception with file and line where the logs have one, else what the service says; one or few lines."""
    try:
        runs = list(details(workspace, job_name))
    except ArmError as error:
        return f"its run history cannot be read: {error}"
    said = [text for text in (_error(run) for run in runs) if text]
    for run in runs:
        for log in _logs(run):
            found = first_exception(_read(workspace.arm, log))
            if found:
                return _shortened("; ".join([found, *(text for text in said[:1] if found not in text)]))
    return _shortened(said[0] if said else "the service gives no reason; see the job's logs in the studio")


def first_exception(log: str) -> str | None:
    """`ValueError: bad image (score.py, line 12)` from the first Python traceback of a log, None without one.

    The line is the innermost one of the user's own files: below the working directory, not in an installed package.
    """
    start = log.find("Traceback (most recent call last):")
    if start < 0:
        return None
    lines = log[start:].splitlines()
    for line in lines[1:]:
        if line and not line.startswith((" ", "\t")):
            block = log[start : log.find(line, start) + len(line)]
            frames = [match for match in _FRAME.finditer(block) if "site-packages" not in match["file"]]
            where = f" ({frames[-1]['file'].rsplit('/', 1)[-1]}, line {frames[-1]['line']})" if frames else ""
            return f"{line.strip()}{where}"
    return None


def details(workspace: Workspace, job_name: str) -> Iterator[dict[str, Any]]:
    """Run details of the job's children, which did the work, and then of the job itself."""
    arm = workspace.arm
    base = f"{workspace.history_url}/history/v1.0{workspace.id}/runs"

    def ask(path: str) -> Any:
        url = f"{base}/{path}?api-version=v1.0"
        return arm.call("GET", url, audience=arm.cloud.arm_audience, idempotent=True).body

    for child in ask(f"{job_name}/children").get("value") or []:
        yield dict(ask(f"{child['runId']}/details"))
    yield dict(ask(f"{job_name}/details"))


def _error(run: Mapping[str, Any]) -> str:
    error = ((run.get("error") or {}).get("error")) or {}
    return str(error.get("message") or "")


def _logs(run: Mapping[str, Any]) -> list[str]:
    """Links to the logs worth reading, the user's errors first."""
    files: Mapping[str, str] = run.get("logFiles") or {}
    errors = sorted(name for name in files if _ERROR_LOGS.search(name))
    return [files[name] for name in [*errors, *(name for name in files if _DRIVER_LOG.search(name))]]


def _read(arm: ArmClient, url: str) -> str:
    try:
        return arm.fetch_text(url)
    except ArmError as error:
        return f"(a log could not be read: {error.message})"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
