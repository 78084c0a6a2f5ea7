"""`list`: the endpoint's jobs, the newest first."""

import argparse
import time
from itertools import islice

from rich.table import Table

from jobs import COMPLETED
from jobs.clock import Clock
from jobs.records import Record, records
from jobs.target import Target
from jobs.voice import Voice

_LOOKED_AT = 1000
_WIDTHS = {"job": 45}
"""A name is there to be copied: it is never cut."""


def list_jobs(asked: argparse.Namespace, target: Target, voice: Voice, _clock: Clock) -> int:
    found = [each for each in islice(records(target), _LOOKED_AT) if _fits(each, asked)]
    found.sort(key=lambda each: each.created or 0.0, reverse=True)
    shown = found[: asked.limit]
    if voice.as_json:
        voice.document({"endpoint": target.endpoint_name, "jobs": [each.facts() for each in shown]})
        return COMPLETED
    if not shown:
        voice.note(
            f"the endpoint {target.endpoint_name} has no such job" if asked.status or asked.deployment else "no job"
        )
        return COMPLETED
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("job", "status", "deployment", "created", "input"):
        table.add_column(column, no_wrap=column != "input", overflow="fold", min_width=_WIDTHS.get(column))
    for each in shown:
        table.add_row(each.name, each.status, each.deployment, _moment(each.created), _short(each, target))
    voice.show(table)
    if len(found) > len(shown):
        voice.note(f"{len(found) - len(shown)} more; --limit shows them")
    return COMPLETED


def _fits(record: Record, asked: argparse.Namespace) -> bool:
    status = asked.status is None or record.status.lower() == asked.status.lower()
    return status and (asked.deployment is None or record.deployment == asked.deployment)


def _moment(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def _short(record: Record, target: Target) -> str:
    return ", ".join(target.short(uri) for uri in record.inputs.values())
