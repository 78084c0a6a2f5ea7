"""`download`: what a job wrote, brought here."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jobs import COMPLETED
from jobs.clock import Clock
from jobs.progress_bar import bytes_bar
from jobs.records import arm_job
from jobs.summary import Written, written_at
from jobs.target import Target
from jobs.voice import Voice
from providers.aml import job as aml_job
from providers.aml.outputs import SCORE, outputs_of
from providers.aml.refusal import Refusal
from providers.blob import Plan, Wanted, download, plan, target_below
from providers.blob.size import size

_NAMED = 5  # files that are in the way, in a message


def fetch(asked: argparse.Namespace, target: Target, voice: Voice, _clock: Clock) -> int:
    """Raises Refusal when the job is not at its end, wrote nothing, or when a file here would be overwritten."""
    job = arm_job(target, asked.job)
    name, status = str(job["name"]), aml_job.status_of(job)
    if status not in aml_job.ENDED:
        raise Refusal(
            f"{name} is {status}: its output is whole when it has ended; `{target.command('watch', name)}`",
            name="job-not-ended",
        )
    folder = Path(asked.to or name)
    uris = outputs_of(target.workspace, job)
    written = {output: written_at(target, uri, job) for output, uri in uris.items()}
    wanted = {output: _wanted(each, _folder(folder, output, uris)) for output, each in written.items()}
    if not any(wanted.values()):
        raise Refusal(f"{name}, which is {status}, left no output{_places(uris)}", name="nothing-to-download")
    if status != "Completed":
        voice.note(f"{name} is {status}: what it wrote so far is fetched")
    plans = {output: plan(each) for output, each in wanted.items()}
    if not asked.overwrite:
        _refuse_strangers([each for found in plans.values() for each in found.strangers])
    for output, found in plans.items():
        _fetch(found, written[output], asked, voice)
    _tell(name, folder, list(plans.values()), voice)
    return COMPLETED


def _fetch(found: Plan, written: Written, asked: argparse.Namespace, voice: Voice) -> None:
    todo = [*found.fetch, *(found.strangers if asked.overwrite else ())]
    with bytes_bar(voice, files=len(todo), total=sum(each.blob.size for each in todo)) as received:
        download(written.container, todo, received=received, overwrite=asked.overwrite, concurrency=asked.concurrency)


def _wanted(written: Written, folder: Path) -> list[Wanted]:
    """Each file by its path below the output's folder."""
    place = written.location.path
    above = place if place.endswith("/") else place.rpartition("/")[0] + "/"
    blobs = [*([written.file] if written.file else []), *written.others]
    return [Wanted(blob, target_below(folder, blob.name.removeprefix(above))) for blob in blobs]


def _folder(folder: Path, output: str, uris: dict[str, str]) -> Path:
    """Several outputs have a folder each; the one of a model's job lies where the user said."""
    return folder if list(uris) in ([SCORE], [output]) else folder / output


def _refuse_strangers(strangers: Sequence[Wanted]) -> None:
    if not strangers:
        return
    named = ", ".join(str(each.target) for each in strangers[:_NAMED])
    more = f" and {len(strangers) - _NAMED} more" if len(strangers) > _NAMED else ""
    raise Refusal(
        f"{named}{more}: there already, with other content; nothing was fetched. --to names another folder, "
        "--overwrite replaces them",
        name="file-in-the-way",
    )


def _tell(name: str, folder: Path, plans: Sequence[Plan], voice: Voice) -> None:
    fetched = [each for found in plans for each in (*found.fetch, *found.strangers)]
    kept = [each for found in plans for each in found.kept]
    total = sum(each.blob.size for each in fetched)
    count = "1 file" if len(fetched) == 1 else f"{len(fetched)} files"
    there = f"; {len(kept)} were there already" if kept else ""
    voice.tell(
        "downloaded",
        f"{count}, {size(total)} in {folder}{there}" + "".join(f"\n  {each.target}" for each in (*fetched, *kept)[:10]),
        job=name,
        folder=str(folder),
        files=[str(each.target) for each in (*fetched, *kept)],
        fetched=len(fetched),
        bytes=total,
        kept=len(kept),
    )


def _places(uris: dict[str, str]) -> str:
    return f" at {', '.join(uris.values())}" if uris else ""
