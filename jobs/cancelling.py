"""`cancel`: the end of a job before its time."""

import argparse

from jobs import COMPLETED
from jobs.clock import Clock
from jobs.records import arm_job
from jobs.target import Target
from jobs.voice import Voice
from providers.aml import job as aml_job
from providers.aml.refusal import Refusal

_POLL = (0.3, 5.0)  # seconds: the first pause, and the longest


def cancel(asked: argparse.Namespace, target: Target, voice: Voice, clock: Clock) -> int:
    """Ask for the end and wait for it, unless `--no-wait`. Raises Refusal when it has not come in `--wait` seconds."""
    job = arm_job(target, asked.job)
    name = str(job["name"])
    if not aml_job.cancel(target.workspace, name):
        status = aml_job.status(target.workspace, name)
        voice.tell("ended", f"{name} had ended already: {status}", job=name, status=status)
        return COMPLETED
    status = aml_job.status(target.workspace, name)
    began, (pause, longest) = clock.monotonic(), _POLL
    while not asked.no_wait and status not in aml_job.ENDED:
        if clock.monotonic() - began > asked.wait:
            raise Refusal(
                f"{name} is {status} {asked.wait:.0f} s after it was told to end; it was asked, and will: "
                f"`{target.command('watch', name)}`",
                name="cancellation-not-ended",
            )
        clock.sleep(pause)
        pause = min(longest, pause * 1.5)
        status = aml_job.status(target.workspace, name)
    voice.tell("cancelled", f"{name} is {status}", job=name, status=status)
    return COMPLETED
