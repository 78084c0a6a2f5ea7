"""`watch`: a job followed to its end, which is the exit code. Ctrl-C ends the watching, not the job."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rich.console import RenderableType
from rich.live import Live

from jobs import OF_STATUS, view
from jobs.clock import Clock
from jobs.log_tail import LogTail
from jobs.records import deployment_of
from jobs.target import Target
from jobs.view import Look
from jobs.voice import Voice
from providers.aml import job as aml_job
from providers.aml import progress, run_history
from providers.aml.outputs import outputs_of
from providers.aml.refusal import Refusal
from providers.aml.run_history import BUILD_LOG, DRIVER_LOG, Run
from providers.arm.errors import (
    ArmError,
    BadAnswer,
    DeadlineExceeded,
    NotFound,
    ServerTrouble,
    Throttled,
    Unreachable,
)

_POLL = (1.0, 5.0)  # seconds: the first pause between looks, and the longest
_SELDOM = 10.0  # seconds between plain lines that differ in numbers alone
PATIENCE = 600.0
"""Seconds without any answer of the service after which watching is given up."""
_TAIL = 8  # lines of a log
_PASSING = (Unreachable, ServerTrouble, Throttled, DeadlineExceeded, BadAnswer)
"""What a later look may not meet any more: the network, a restart, a proxy's page."""
_PHASES = {
    "NotStarted": "taken, not started",
    "Queued": "waiting for nodes",
    "Provisioning": "nodes are coming",
    "Starting": "starting",
    "Finalizing": "writing the output",
    "CancelRequested": "being cancelled",
    "NotResponding": "the nodes do not answer",
    "Paused": "paused",
}


def watch(name: str, target: Target, voice: Voice, clock: Clock, *, deployment: str = "") -> int:
    """Show the job until it ends; its exit code.

    Raises KeyboardInterrupt, having said how to go on, and ArmError when the service gave no answer for ten minutes or
    says that it gives none to us.
    """
    watcher = Watcher(name, target, deployment, clock.now)
    try:
        last = _follow(watcher, voice, clock)
    except KeyboardInterrupt:
        voice.note(
            f"\nno longer watching; {name} goes on:\n  {target.command('watch', name)}\n  "
            f"{target.command('cancel', name)}"
        )
        raise
    except ArmError:
        voice.note(f"{name} goes on, whatever this says: {target.command('watch', name)}")
        raise
    return tell_end(last, target, voice)


def tell_end(look: Look, target: Target, voice: Voice) -> int:
    """How a job ended, why where it did not complete, and what to do now."""
    lines = [f"{look.job} {look.status} after {view.span(look.elapsed)}"]
    if look.progress:
        lines[0] += f": {view.counted(look.progress)}"
    reason = run_history.reason(target.workspace, look.job) if look.status == "Failed" else None
    if reason:
        lines.append(str(reason))
        lines += [f"  | {each}" for each in reason.context]
        if reason.log:
            lines.append(f"the whole log: {target.command('logs', look.job, '--file', reason.log)}")
    if look.status == "Completed":
        lines += [f"results  {target.command('show', look.job)}", f"files    {target.command('download', look.job)}"]
    code = OF_STATUS.get(look.status, 1)
    voice.tell(
        "ended",
        "\n".join(lines),
        **look.facts(),
        exit_code=code,
        outputs=_outputs(target, look) if voice.as_json else None,
        reason=reason and _reason_facts(reason),
    )
    return code


def _reason_facts(reason: run_history.Reason) -> dict[str, object]:
    return {
        "text": str(reason),
        "exception": reason.exception or None,
        "on": reason.on or None,
        "package": reason.package or None,
        "said": reason.said,
        "log": reason.log or None,
        "context": list(reason.context),
    }


def _outputs(target: Target, look: Look) -> dict[str, str] | None:
    if look.status != "Completed":
        return None
    try:
        return outputs_of(target.workspace, target.workspace.get(f"jobs/{look.job}") or {"name": look.job})
    except (ArmError, Refusal):
        return None  # the job has ended all the same; `show` and `download` say what is wrong


def _follow(watcher: "Watcher", voice: Voice, clock: Clock) -> Look:
    pause, longest = _POLL
    answered = clock.monotonic()
    with _shown(voice, watcher.age, clock) as show:
        while True:
            try:
                look = watcher.look()
                answered = clock.monotonic()
            except _PASSING as error:
                if clock.monotonic() - answered >= PATIENCE or (isinstance(error, BadAnswer) and not watcher.seen):
                    raise
                look = replace(watcher.last, trouble=error.message)
            show(look)
            if look.status in aml_job.ENDED and not look.trouble:
                return look
            clock.sleep(pause)
            pause = min(longest, pause * 1.3)


@dataclass
class Watcher:
    """Looks at one job: its status at ARM, how far it is in the logs of its step."""

    name: str
    target: Target
    deployment: str
    now: Callable[[], float]
    seen: bool = False
    created: float | None = None
    last: Look = field(init=False)
    tail: LogTail = field(init=False)

    def __post_init__(self) -> None:
        self.tail = LogTail(self.target.workspace.arm)
        self.last = Look(self.name, self.deployment, "NotStarted", _PHASES["NotStarted"], 0.0)

    def age(self) -> float:
        return max(0.0, self.now() - self.created) if self.created else 0.0

    def look(self) -> Look:
        body = self.target.workspace.get(f"jobs/{self.name}")
        status = aml_job.status_of(body)
        if body:
            self.seen = True
            self.created = self.created or aml_job.created_of(body)
            self.deployment = self.deployment or deployment_of(body)
        elif not self.seen and self.created is None:
            self.created = self.now()
        found = replace(self.last, status=status, elapsed=self.age(), deployment=self.deployment, trouble="")
        self.last = self._with_logs(found)
        return self.last

    def _with_logs(self, found: Look) -> Look:
        """What the logs add. They come later than the status, and their absence is no trouble of the job's."""
        try:
            steps = run_history.step_names(self.target.workspace, self.name)
            run = run_history.run(self.target.workspace, steps[0], is_step=True) if steps else None
            ended = found.status in aml_job.ENDED
            how_far = self._progress(run, whole=ended) if run else None
            if ended and run and (how_far is None or how_far.failed is None):
                how_far = self._with_failures(run, how_far)
            how_far = how_far or found.progress
            log = self._log(run) if run else ""
        except (*_PASSING, NotFound) as error:
            return replace(found, phase=_phase(found.status, None, found.progress), trouble=error.message)
        return replace(
            found,
            progress=how_far,
            phase=_phase(found.status, run, how_far),
            log=log,
            tail=self.tail.lines(log, _TAIL) if log else (),
        )

    def _progress(self, run: Run, *, whole: bool) -> progress.Progress | None:
        """`whole`: read from its beginning, once at the end, where it counts."""
        name = run.log(progress.OVERVIEW, newest=True)
        if name is None:
            return None
        if whole:
            return progress.read_overview(self.target.workspace.arm.fetch_text(run.log_files[name]))
        self.tail.look(name, run.log_files[name])
        return progress.read_overview(self.tail.text(name))

    def _with_failures(self, run: Run, how_far: progress.Progress | None) -> progress.Progress | None:
        """The service's overview does not count failures; its report, which is whole at the end, does."""
        name = run.log(progress.REPORT)
        if how_far is None or name is None:
            return how_far
        failed = progress.read_report(self.target.workspace.arm.fetch_text(run.log_files[name]))
        return replace(how_far, failed=len(failed))

    def _log(self, run: Run) -> str:
        name = run.log(DRIVER_LOG) or run.log(BUILD_LOG)
        if name is None:
            return ""
        self.tail.look(name, run.log_files[name])
        return name


def _phase(status: str, run: Run | None, how_far: progress.Progress | None) -> str:
    if status in aml_job.ENDED:
        return ""
    if status == "Preparing":
        building = run is not None and run.log(BUILD_LOG) is not None and run.log(progress.OVERVIEW) is None
        return "building the environment" if building else "nodes and environment"
    if status == "Running":
        return "scoring" if how_far and how_far.total else "starting the script"
    return _PHASES.get(status, "")


@contextmanager
def _shown(voice: Voice, age: Callable[[], float], clock: Clock) -> Iterator[Callable[[Look], None]]:
    """A function that shows a look: in the live view, whose clock goes on by itself, else as lines that differ."""
    if voice.is_live:
        latest: list[Look] = []

        def drawn() -> RenderableType:
            return view.render(replace(latest[-1], elapsed=age())) if latest else ""

        with Live(get_renderable=drawn, console=voice.console, refresh_per_second=4, transient=True) as live:

            def show(look: Look) -> None:
                latest[:] = [look]
                live.refresh()

            yield show
        return
    said: list[tuple[object, ...]] = []
    at = 0.0

    def tell(look: Look) -> None:
        nonlocal at
        if look.status in aml_job.ENDED:
            return  # the end is told by itself
        mark = (look.status, look.phase, bool(look.trouble), look.progress and look.progress.processed)
        now = clock.monotonic()
        if said and (mark == said[-1] or (mark[:3] == said[-1][:3] and now - at < _SELDOM)):
            return
        said[:], at = [mark], now
        voice.tell("progress", view.line(look), **look.facts())

    yield tell
