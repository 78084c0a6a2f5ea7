"""`show`: what a job was asked, how it went, and what it wrote."""

import argparse
import codecs
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from jobs import COMPLETED, plot, results, view
from jobs.clock import Clock
from jobs.progress_bar import progress_bar
from jobs.records import arm_job, batch_record, deployment_of
from jobs.results import Results
from jobs.target import Target
from jobs.voice import Voice
from providers.aml import job as aml_job
from providers.aml import progress, run_history
from providers.aml.datastore import BlobLocation, open_located
from providers.aml.outputs import SCORE, outputs_of
from providers.aml.refusal import Refusal
from providers.aml.run_history import Reason, Run
from providers.arm.errors import ArmError
from providers.blob import Blob, Container, list_blobs
from providers.blob.errors import translated
from providers.blob.size import size

_LIMIT = 1024 * 1024 * 1024
"""Bytes of a predictions file that are read."""
_FILES = 10  # other files that are named
_FAILED = 10  # failed mini-batches that are named
NOTES = "notes/"
"""The folder of a submission's own notes, which are no results."""


@dataclass(frozen=True)
class Written:
    """What lies at a job's output."""

    uri: str
    container: Container
    location: BlobLocation
    file: Blob | None
    """The output file itself, where the output is one and it is there."""
    others: tuple[Blob, ...]
    """Beside it, or in the folder that the output is."""


@dataclass(frozen=True)
class Shown:
    """All that `show` knows of a job."""

    facts: Mapping[str, Any]
    how_far: progress.Progress | None
    failed: list[progress.FailedMiniBatch]
    reason: Reason | None
    written: Mapping[str, Written]
    results: Results | None


def show(asked: argparse.Namespace, target: Target, voice: Voice, _clock: Clock) -> int:
    if asked.plot:
        plot.refuse_without_matplotlib(Path(asked.plot))
    job = arm_job(target, asked.job)
    name, status = str(job["name"]), aml_job.status_of(job)
    record = batch_record(target, name)
    runs = _runs(target, name)
    how_far, failed = _progress(target, runs)
    reason = run_history.reason(target.workspace, name) if status == "Failed" else None
    found: Results | None = None
    written: dict[str, Written] = {}
    if status in aml_job.ENDED:
        written = {output: written_at(target, uri, job) for output, uri in outputs_of(target.workspace, job).items()}
        found = _results(asked, written, voice)
    shown = Shown(_facts(job, record, runs), how_far, failed, reason, written, found)
    if voice.as_json:
        voice.document(_document(shown))
    else:
        _print(voice, target, shown)
    if asked.plot:
        _plot(asked, found, name, voice)
    return COMPLETED


def written_at(target: Target, uri: str, job: Mapping[str, Any]) -> Written:
    """What the job wrote at an output: nothing that was there before it, and no notes of a submission."""
    location, container = open_located(target.workspace.arm, uri, shared_key=target.shared_key)
    folder = location.path if location.path.endswith("/") else location.path.rpartition("/")[0] + "/"
    created = aml_job.created_of(job) or 0.0
    file = None
    others = []
    for blob in list_blobs(container, folder.lstrip("/")):
        if blob.name == location.path:
            file = blob
        elif not blob.name.removeprefix(folder).startswith(NOTES) and (
            blob.modified is None or blob.modified.timestamp() >= created - 1
        ):
            others.append(blob)
    return Written(uri, container, location, file, tuple(others))


def _runs(target: Target, name: str) -> list[Run]:
    try:
        return run_history.runs(target.workspace, name)
    except ArmError:
        return []  # what the history would add is left out; the job's own record is shown all the same


def _progress(target: Target, runs: list[Run]) -> tuple[progress.Progress | None, list[progress.FailedMiniBatch]]:
    """How far the job's step is, and which of its mini-batches failed at last."""
    arm = target.workspace.arm
    for run in runs:
        overview = run.log(progress.OVERVIEW, newest=True)
        report = run.log(progress.REPORT)
        if overview is None:
            continue
        how_far = progress.read_overview(arm.fetch_text(run.log_files[overview]))
        return how_far, progress.read_report(arm.fetch_text(run.log_files[report])) if report else []
    return None, []


def _results(asked: argparse.Namespace, written: Mapping[str, Written], voice: Voice) -> Results | None:
    there = next((each for each in written.values() if each.file is not None), None)
    if there is None or there.file is None:
        return None
    names = [name.strip() for name in asked.columns.split(",")] if asked.columns else []
    with progress_bar(voice, f"reading {size(there.file.size)}"):
        try:
            return results.read(
                _lines(there.container, there.file.name),
                first=asked.rows,
                names=names,
                column=asked.column,
                wanted=bool(asked.plot),
            )
        except results.NoSuchColumn as error:
            raise Refusal(f"--column: {error}", name="usage") from None


def _lines(container: Container, path: str) -> Iterator[str]:
    """The lines of a blob, as they come; of an enormous one the beginning."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    rest, seen = "", 0
    with translated("read blob", f"{container.url}/{path}"):
        for chunk in container.download_blob(path, max_concurrency=1).chunks():
            seen += len(chunk)
            rest += decoder.decode(chunk)
            lines = rest.split("\n")
            rest = lines.pop()
            yield from lines
            if seen >= _LIMIT:
                return
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


def _facts(job: Mapping[str, Any], record: Mapping[str, Any], runs: list[Run]) -> dict[str, Any]:
    properties = job.get("properties") or {}
    asked = record.get("properties") or {}
    own = next((run for run in runs if not run.is_step), None)
    return {
        "job": job["name"],
        "status": aml_job.status_of(job),
        "deployment": deployment_of(job) or deployment_of(record),
        "experiment": properties.get("experimentName"),
        "created": aml_job.created_of(job),
        "started": own.started if own else "",
        "ended": own.ended if own else "",
        "inputs": {
            name: (each or {}).get("uri") or (each or {}).get("value")
            for name, each in (asked.get("inputData") or {}).items()
        },
        "overrides": {
            name: asked[name]
            for name in (
                "miniBatchSize",
                "errorThreshold",
                "loggingLevel",
                "maxConcurrencyPerInstance",
                "outputFileName",
            )
            if asked.get(name) is not None
        },
        "studio": ((properties.get("services") or {}).get("Studio") or {}).get("endpoint"),
    }


def _document(shown: Shown) -> dict[str, Any]:
    how_far, reason, found = shown.how_far, shown.reason, shown.results
    return {
        **shown.facts,
        "mini_batches": how_far and {"total": how_far.total, "processed": how_far.processed, "failed": how_far.failed},
        "failed_mini_batches": [
            {"id": each.id, "reason": each.reason, "tries": each.tries, "files": list(each.files)}
            for each in shown.failed
        ],
        "reason": reason and {"text": str(reason), "log": reason.log, "context": list(reason.context)},
        "outputs": {
            name: {
                "uri": each.uri,
                "files": [{"name": blob.name, "bytes": blob.size} for blob in (*_file(each), *each.others)],
            }
            for name, each in shown.written.items()
        },
        "results": found
        and {"rows": found.rows, "columns": found.columns, "form": found.form.words, "first": found.first},
    }


def _print(voice: Voice, target: Target, shown: Shown) -> None:
    voice.show(_head(target, shown))
    say = functools.partial(voice.tell, "")
    for line in shown.reason.context if shown.reason else ():
        say(f"  | {line}")
    for mini_batch in shown.failed[:_FAILED]:
        say(f"failed after {mini_batch.tries} tries: {mini_batch}: {mini_batch.reason}")
    if len(shown.failed) > _FAILED:
        say(f"and {len(shown.failed) - _FAILED} mini-batches more failed")
    if shown.results:
        say(_counted(shown.results))
        voice.show(_table(shown.results))
    elif shown.facts["status"] == "Completed" and not any(each.others for each in shown.written.values()):
        say("nothing lies at its output: somebody deleted it, or it lies where nobody says")


def _head(target: Target, shown: Shown) -> Table:
    facts = shown.facts
    head = Table.grid(padding=(0, 2))
    head.add_column(no_wrap=True)
    head.add_column(overflow="fold")
    rows = {
        "job": facts["job"],
        "status": facts["status"],
        "deployment": facts["deployment"],
        "started": facts["started"][:19].replace("T", " "),
        "ended": facts["ended"][:19].replace("T", " "),
        "input": ", ".join(target.short(str(each)) for each in facts["inputs"].values()),
        "overrides": ", ".join(f"{name} {value}" for name, value in facts["overrides"].items()),
        "mini-batches": view.counted(shown.how_far),
        "reason": str(shown.reason) if shown.reason else "",
        "studio": facts["studio"] or "",
    }
    for name, value in rows.items():
        if value:
            head.add_row(name, Text(str(value)))
    for name, each in shown.written.items():
        head.add_row("output" if name == SCORE else f"output {name}", target.short(each.uri))
        for blob in each.others[:_FILES]:
            head.add_row("", f"{blob.name.rpartition('/')[2]}, {size(blob.size)}")
        if len(each.others) > _FILES:
            head.add_row("", f"and {len(each.others) - _FILES} files more")
    return head


def _counted(found: Results) -> str:
    ragged = f", {found.ragged} of them with another number of columns" if found.ragged else ""
    return f"\n{found.rows} rows, {found.columns} columns ({found.form.words}){ragged}; the first:"


def _table(found: Results) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in found.header():
        table.add_column(name)
    for row in found.first:
        table.add_row(*(Text(cell[:60]) for cell in row[: found.columns]))
    return table


def _plot(asked: argparse.Namespace, found: Results | None, name: str, voice: Voice) -> None:
    if found is None or found.column is None:
        raise Refusal(f"--plot: {name} has no predictions file to draw from", name="nothing-to-plot")
    file = Path(asked.plot)
    try:
        plot.draw(found.column, file, title=f"{name}: {found.rows} rows")
    except OSError as error:
        raise Refusal(f"--plot: {file} cannot be written: {error.strerror}", name="usage") from error
    voice.note(f"drew {found.column.name} to {file}")


def _file(written: Written) -> tuple[Blob, ...]:
    return (written.file,) if written.file else ()
