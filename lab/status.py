"""What is in the lab, as its emulator tells it: JSON, or a page to read on a terminal."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from lab.errors import LabError
from lab.home import Facts
from lab.running import control_get

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

JOBS = 8
"""How many jobs a terminal gets to see."""
_STYLES = {"Succeeded": "green", "Completed": "green", "Failed": "red", "Canceled": "yellow", "Deleting": "yellow"}
_ASSETS = ("models", "codes", "environments", "data")


def read_status(facts: Facts) -> dict[str, Any]:
    """The emulator's own account: lists of ids by kind, and numbers of blobs below `blobs`.

    Raises LabError: it does not answer.
    """
    return _read(facts, "/_lab/status")


def read_overview(facts: Facts) -> dict[str, Any]:
    """The account that people are shown: `lab.emulator.overview`.

    Raises LabError: it does not answer.
    """
    return _read(facts, "/_lab/overview")


def status_page(
    facts: Facts, where: str, seen: Mapping[str, Any], blobs: Mapping[str, int]
) -> Iterator[RenderableType]:
    """What `lab status` prints, part by part. `where`: the lab's home. `seen`: an overview. `blobs`: number by sort."""
    from rich.text import Text

    running = span(seen["now"] - datetime.fromisoformat(facts.started).timestamp())
    yield _facts(
        {
            "lab": f"running for {running} (pid {facts.pid}), workspace {seen['workspace']} in {seen['location']}",
            "page": facts.page if facts.page_port else "none: started by an older version; stop and start it",
            "proxy": f"127.0.0.1:{facts.proxy_port}",
            "state": where,
            "assets": _counted({kind: seen["counts"][kind] for kind in _ASSETS}),
            "blobs": _counted(blobs),
        }
    )
    yield Text()
    yield from _endpoints(seen)
    if seen["computes"]:
        table = _table("compute", "state", "size", ">nodes")
        for each in seen["computes"]:
            least, most = each["nodes"]
            table.add_row(Text(each["name"]), _state(each["state"]), Text(each["vm_size"] or ""), f"{least} to {most}")
        yield table
        yield Text()
    yield from _jobs(seen)


def span(seconds: float) -> str:
    """Seconds as people say them: the two largest units."""
    seconds = max(0, int(seconds))
    for size, unit, below, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // below
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def age(seconds: float) -> str:
    """The largest unit of `span` alone."""
    return " ".join(span(seconds).split()[:2])


def _endpoints(seen: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    if not seen["endpoints"]:
        yield Text("no endpoint; `make up` deploys one\n", style="dim")
    for endpoint in seen["endpoints"]:
        head = Text(f"{endpoint['name']}  ", style="bold")
        head.append_text(_state(endpoint["state"]))
        yield head
        yield Text(endpoint["scoring_uri"] or "no scoring URI yet", style="dim")
        table = _table("  ", "deployment", "state", "model", "on", ">age")
        for each in endpoint["deployments"]:
            table.add_row(
                Text("* " if each["is_default"] else "  ", style="green"),
                Text(each["name"], style="bold" if each["is_default"] else ""),
                _state(each["state"]),
                Text(each["model"]),
                Text(f"{each['instances']} x {each['compute']}"),
                age(seen["now"] - each["created"]),
            )
        yield table if endpoint["deployments"] else Text("  no deployment", style="dim")
        yield Text("* is the default\n" if endpoint["default"] else "there is no default deployment\n", style="dim")
    hidden = seen["counts"]["endpoints"] - len(seen["endpoints"])
    if hidden > 0:
        yield Text(f"and {hidden} older endpoints\n", style="dim")


def _jobs(seen: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    if not seen["jobs"]:
        yield Text("no job", style="dim")
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for job in seen["jobs"][:JOBS]:
        said = Text(f"{job['name']}\n")
        said.append(f"on {job['deployment']}, {_progress(job)}, begun {age(seen['now'] - job['created'])} ago", "dim")
        if job["error"]:
            said.append(f"\n{job['error']['message']}", "red")
        table.add_row(_state(job["status"]), said)
    yield table
    if seen["counts"]["jobs"] > JOBS:
        yield Text(f"the newest {JOBS} of {seen['counts']['jobs']} jobs", style="dim")


def _progress(job: Mapping[str, Any]) -> str:
    batches = job["mini_batches"]
    parts = [
        job["phase"] if job["active"] else "",
        f"{batches['done']} of {batches['total']} mini-batches" if batches["total"] else "",
        f"{batches['failed']} failed" if batches["failed"] else "",
        f"{job['rows']} row{'' if job['rows'] == 1 else 's'}" if job["rows"] or not job["active"] else "",
        "" if job["seconds"] is None else f"{job['seconds']:.1f} s",
    ]
    return ", ".join(part for part in parts if part)


def _facts(rows: Mapping[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _table(*heads: str) -> Table:
    """Columns by head; one that begins with > is of numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head.removeprefix(">"), justify="right" if head.startswith(">") else "left", overflow="fold")
    return table


def _state(word: str) -> Text:
    from rich.text import Text

    return Text(word, style=_STYLES.get(word, "cyan"))


def _counted(numbers: Mapping[str, int]) -> str:
    """`1 model, 2 codes`; `data` is as many."""
    return ", ".join(f"{number} {name.removesuffix('s') if number == 1 else name}" for name, number in numbers.items())


def _read(facts: Facts, path: str) -> dict[str, Any]:
    try:
        status, body = control_get(facts, path, seconds=60)
        if status == 200:
            return cast("dict[str, Any]", json.loads(body))
        what = f"status {status}"
    except (OSError, http.client.HTTPException, ValueError) as problem:
        what = str(problem) or type(problem).__name__
    raise LabError(f"the lab does not tell its status ({what}); see `python -m lab logs`")
