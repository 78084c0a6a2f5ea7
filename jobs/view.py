"""How a job that is watched looks: drawn over itself on a terminal, or a line at a time. Pure."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from providers.aml.progress import Progress

_COLOURS = {"Completed": "green", "Failed": "red", "Canceled": "yellow", "CancelRequested": "yellow"}


@dataclass(frozen=True)
class Look:
    """A job at one moment; times in seconds."""

    job: str
    deployment: str
    status: str
    phase: str
    """What is going on, in words."""
    elapsed: float
    """Since the service took the job."""
    progress: Progress | None = None
    tail: tuple[str, ...] = ()
    log: str = ""
    """Name of the log that `tail` is the end of."""
    trouble: str = ""
    """Why the service could not be asked just now; empty where it could."""

    def facts(self) -> dict[str, object]:
        """For programs."""
        progress = self.progress
        return {
            "job": self.job,
            "status": self.status,
            "phase": self.phase,
            "elapsed_seconds": round(self.elapsed, 1),
            "mini_batches": progress
            and {
                "total": progress.total,
                "processed": progress.processed,
                "failed": progress.failed,
                "per_minute": progress.per_minute and round(progress.per_minute, 1),
            },
            "remaining_seconds": progress and progress.remaining,
            "trouble": self.trouble or None,
        }


def render(look: Look) -> RenderableType:
    """The live view."""
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(look.job, style="bold"),
        Text(look.status, style=_COLOURS.get(look.status, "cyan")),
        Text(look.phase),
    )
    parts: list[RenderableType] = [head, _counts(look)]
    if look.progress and look.progress.total:
        parts.append(ProgressBar(total=look.progress.total, completed=look.progress.processed, width=60))
    if look.trouble:
        parts.append(Text(f"no answer just now: {look.trouble}", style="yellow", overflow="ellipsis", no_wrap=True))
    if look.tail:
        lines = Text("\n".join(look.tail), style="dim", overflow="ellipsis", no_wrap=True)
        parts.append(Panel(lines, title=look.log, title_align="left", border_style="dim"))
    return Group(*parts)


def line(look: Look) -> str:
    """The same in one line, without the log."""
    parts = [look.status, look.phase, _sentence(look.progress), f"{span(look.elapsed)} elapsed", _left(look.progress)]
    if look.trouble:
        parts.append(f"no answer just now: {look.trouble}")
    return ", ".join(part for part in parts if part)


def span(seconds: float | None) -> str:
    """`95.2` -> `1:35`; `?` for what is not known."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def counted(progress: Progress | None) -> str:
    """`8 of 8 mini-batches, 0 failed`."""
    if progress is None:
        return ""
    failed = f", {progress.failed} failed" if progress.failed is not None else ""
    return f"{progress.processed} of {progress.total} mini-batches{failed}"


def _counts(look: Look) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    progress = look.progress
    rate = f"{progress.per_minute:.1f} a minute" if progress and progress.per_minute else ""
    grid.add_row(
        counted(progress) or "no mini-batch yet",
        rate,
        f"{span(look.elapsed)} elapsed",
        _left(progress),
        look.deployment,
    )
    return grid


def _sentence(progress: Progress | None) -> str:
    if progress is None or not progress.processed:
        return counted(progress)
    return counted(progress) + (f", {progress.per_minute:.1f} a minute" if progress.per_minute else "")


def _left(progress: Progress | None) -> str:
    if progress is None or progress.remaining is None or progress.processed >= progress.total:
        return ""
    return f"{span(progress.remaining)} left"
