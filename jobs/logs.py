"""`logs`: which logs a job has, and what one of them says."""

import argparse
from fnmatch import fnmatch

from jobs import COMPLETED
from jobs.clock import Clock
from jobs.log_tail import LogTail
from jobs.records import arm_job
from jobs.target import Target
from jobs.voice import Voice
from providers.aml import job as aml_job
from providers.aml import run_history
from providers.aml.refusal import Refusal
from providers.aml.run_history import BUILD_LOG, DRIVER_LOG

_POLL = 2.0  # seconds


def logs(asked: argparse.Namespace, target: Target, voice: Voice, clock: Clock) -> int:
    """The end of the log that is named, by default of the job's main one; with `--follow` what is added, to its end."""
    job = arm_job(target, asked.job)
    name = str(job["name"])
    files = _files(target, name)
    if asked.list:
        if voice.as_json:
            voice.document({"job": name, "logs": sorted(files)})
        else:
            voice.tell("", "\n".join(sorted(files)) or f"{name} has no log yet")
        return COMPLETED
    chosen = _chosen(asked.file, files, name)
    while chosen is None and asked.follow and aml_job.status(target.workspace, name) not in aml_job.ENDED:
        clock.sleep(_POLL)
        files = _files(target, name)
        chosen = _chosen(asked.file, files, name)
    if chosen is None:
        raise Refusal(f"{name} has no log yet; it is {aml_job.status_of(job)}", name="log-missing")
    tail = LogTail(target.workspace.arm)
    tail.look(chosen, files[chosen])
    while len(tail.look(chosen, files[chosen])):
        pass  # a long log comes in parts, of which the end is kept
    last = tail.text(chosen).splitlines()[-asked.lines :] if asked.lines else []
    if voice.as_json:
        voice.document({"job": name, "log": chosen, "lines": last})
        return COMPLETED
    for line in last:
        voice.tell("line", line or " ")
    while asked.follow:
        ended = aml_job.status(target.workspace, name) in aml_job.ENDED
        added = tail.look(chosen, _files(target, name).get(chosen, files[chosen]))
        for line in added.splitlines():
            voice.tell("line", line or " ")
        if ended:
            break
        clock.sleep(_POLL)
    return COMPLETED


def _files(target: Target, name: str) -> dict[str, str]:
    """Logs of the steps and of the job itself: name -> link."""
    return {log: url for run in run_history.runs(target.workspace, name) for log, url in run.log_files.items()}


def _chosen(asked: str | None, files: dict[str, str], job: str) -> str | None:
    """By its whole name, its end, or a pattern; the main log where none is named, that of the build before it."""
    if asked is None:
        found = [name for pattern in (DRIVER_LOG, BUILD_LOG) for name in sorted(files) if pattern.search(name)]
        return found[0] if found else next(iter(sorted(files)), None)
    fits = [name for name in files if name == asked] or [
        name for name in sorted(files) if name.endswith(f"/{asked}") or fnmatch(name, asked)
    ]
    if not fits and files:
        raise Refusal(f"{job} has no log {asked!r}; it has {', '.join(sorted(files))}", name="log-missing")
    if len(fits) > 1:
        raise Refusal(f"{asked!r} may be {', '.join(fits)}; name one", name="log-missing")
    return fits[0] if fits else None
