"""What moves while something is sent or fetched; on a terminal alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from jobs.voice import Voice

Phrase = Callable[[str], None]
Received = Callable[[int, bool], None]


@contextmanager
def progress_bar(voice: Voice, what: str) -> Iterator[Phrase]:
    """A line that shows the phrase it is given last; without a terminal nothing."""
    if not voice.is_live:
        yield lambda _: None
        return
    with voice.console.status(what) as status:
        yield lambda phrase: status.update(f"{what}: {phrase}")


@contextmanager
def bytes_bar(voice: Voice, *, files: int, total: int) -> Iterator[Received]:
    """A bar of bytes, with the number of files that are whole."""
    if not voice.is_live:
        yield lambda _count, _whole: None
        return
    columns = (
        TextColumn("{task.fields[whole]} of {task.fields[files]} files"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=voice.console) as bar:
        task = bar.add_task("", total=total, whole=0, files=files)

        def received(count: int, whole: bool) -> None:
            bar.update(task, advance=count, whole=bar.tasks[0].fields["whole"] + whole)

        yield received
