"""The worker processes of a job, and which mini-batch each of them is on.

One thread, one selector: it feeds workers, reads their replies and whatever the script prints, notices processes that
ended, hang or talk nonsense, and starts others in their place. `worker_process.py` is the process itself.
"""

from __future__ import annotations

import selectors
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lab.scoring.blobs import Cancellation
from lab.scoring.failures import ScriptError, ScriptFailed
from lab.scoring.logs import ERRORS, MINI_BATCHES, JobLogs
from lab.scoring.mini_batches import NO_PROGRESS, MiniBatch, Tally, init_gives_up, patience
from lab.scoring.report import Attempt, AttemptStatus
from lab.scoring.results import Parts
from lab.scoring.spec import Settings
from lab.scoring.status import now
from lab.scoring.worker_process import Unanswerable, WorkerLaunch, WorkerProcess

_SHUTDOWN_SECONDS = 10.0
_TOLD_FAILURES = 100
_STATUSES: Mapping[str, AttemptStatus] = {"Timeout": "RUN_TIMEOUT", "WorkerProcessEnded": "PROCESS_ENDED"}
"""Type of a failure that the driver found -> what the report calls it; the script's own are RUN_EXCEPTION."""


class Observer(Protocol):
    def __call__(self, process_groups: list[int]) -> None:
        """Hears, several times a second, which process groups are alive; the tally has the counts."""


@dataclass
class _Task:
    mini_batch: MiniBatch
    tries: int = 0
    last: ScriptError | None = None


@dataclass(eq=False)
class _Worker:
    slot: int
    node: int
    number: int
    """Of the process, on its node."""
    gpu: int | None
    deadline: float
    process: WorkerProcess
    task: _Task | None = None
    began: tuple[float, str] = (0.0, "")
    """When it got its task: by the clock, and in UTC."""
    ready: bool = False
    stopping: bool = False

    def __str__(self) -> str:
        return f"process{self.number:03d} on node {self.node}"


class WorkerPool:
    """Scores mini-batches in worker processes until all are done, the job fails or is cancelled.

    A try fails by an exception, a wrong return type, the end of its process, or the timeout; each mini-batch has
    `settings.tries` tries. Counts go to `tally`; the first error of the script is kept in `first_error`.
    """

    def __init__(
        self,
        launch: WorkerLaunch,
        settings: Settings,
        mini_batches: list[MiniBatch],
        workers: int,
        *,
        tally: Tally,
        parts: Parts,
        logs: JobLogs,
        cancellation: Cancellation,
        observe: Observer,
        record: Callable[[Attempt], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`record` hears of each try of each mini-batch when it has ended."""
        self.first_error: ScriptError | None = None
        self._launch = launch
        self._settings = settings
        self._waiting = deque(_Task(mini_batch) for mini_batch in mini_batches)
        self._count = workers
        self._tally = tally
        self._parts = parts
        self._logs = logs
        self._cancellation = cancellation
        self._observe = observe
        self._record = record
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._workers: dict[WorkerProcess, _Worker] = {}
        """Those that were not ended; what the selector still says of others in one round is passed over."""
        self._init_failures: dict[int, int] = {}
        self._processes: Counter[int] = Counter()
        self._free_gpus = {node: list(range(settings.gpus_per_node)) for node in range(settings.instance_count)}
        self._progress_at: float | None = None
        self._told = 0

    def run(self) -> None:
        """Raises ScriptFailed or Cancelled; no process of a worker is left in any case."""
        self._began = self._clock()
        try:
            for slot in range(self._count):
                self._start(slot)
            while not self._tally.finished:
                self._step()
            self._shut_down()
        finally:
            for worker in list(self._workers.values()):
                self._end(worker)
            self._selector.close()

    def _step(self) -> None:
        self._cancellation.check()
        self._turn(0.1)
        moment = self._clock()
        for worker in list(self._workers.values()):
            if ended := worker.process.ended:
                self._drain(worker)
                if self._lives(worker):
                    self._lost(worker, ended)
            elif moment > worker.deadline:
                self._late(worker)
        self._check_progress(moment)
        self._observe([process.pid for process in self._workers])

    def _turn(self, timeout: float) -> None:
        """One round of the selector."""
        for key, _ in self._selector.select(timeout):
            kind, process = key.data
            worker = self._workers.get(process)
            if not worker:
                continue  # ended earlier in this round
            if kind == "replies":
                self._receive(worker)
            elif kind == "commands":
                process.writable()
            else:
                process.keep_output(kind, key.fd)

    def _lives(self, worker: _Worker) -> bool:
        return worker.process in self._workers

    def _start(self, slot: int) -> None:
        node = slot % self._settings.instance_count
        number = self._processes[node]
        self._processes[node] += 1
        gpu = self._free_gpus[node].pop(0) if self._free_gpus[node] else None
        process = WorkerProcess(self._launch, self._logs, self._selector, node=node, number=number, gpu=gpu)
        deadline = self._clock() + patience(self._settings)
        self._workers[process] = _Worker(slot, node, number, gpu, deadline, process)

    def _receive(self, worker: _Worker) -> bool:
        """Hears what a worker has to say; False when there is nothing more for now."""
        try:
            more = worker.process.receive()
            for event, reply in worker.process.replies():
                self._heard(worker, event, reply)
                if not self._lives(worker):
                    return False
        except Unanswerable as why:
            self._lost(worker, str(why))
            return False
        return more

    def _heard(self, worker: _Worker, event: str, reply: Mapping[str, Any]) -> None:
        if event == "ready" and not worker.ready:
            worker.ready = True
            self._feed(worker)
        elif event == "done" and worker.task is not None:
            finished, worker.task = worker.task, None
            self._parts.accept(finished.mini_batch.index, finished.tries)
            self._tally.succeed(finished.mini_batch, reply["items"], reply["rows"])
            self._record_try(worker, finished, reply, None)
            self._check_threshold()
            self._feed(worker)
        elif event == "failed":
            error = reply["error"]
            task = worker.task
            failure = ScriptError(
                reply["stage"],
                error["type"],
                error["message"],
                error["file"],
                error["line"],
                error["traceback"],
                task.mini_batch if task else None,
            )
            if failure.stage == "run":
                worker.task = None
                self._failed_try(worker, task, failure, reply)
                self._feed(worker)
            else:
                self._end(worker)
                self._failed_start(worker, failure)
        else:
            self._lost(worker, "sent a reply that is none")

    def _feed(self, worker: _Worker) -> None:
        """Gives a worker its next mini-batch, if it is idle and there is one: never two at once."""
        if worker.task is not None:
            return
        if not self._waiting:
            worker.deadline = float("inf")
            return
        task = self._waiting.popleft()
        task.tries += 1
        worker.task = task
        moment = self._clock()
        worker.began = moment, now()
        worker.deadline = moment + self._settings.run_seconds
        if self._progress_at is None:
            self._progress_at = moment
        files = [str(self._launch.input_folder / name) for name in task.mini_batch.files]
        part = str(self._parts.attempt(task.mini_batch.index, task.tries))
        worker.process.send({"command": "run", "files": files, "part": part})

    def _failed_try(
        self, worker: _Worker, task: _Task | None, failure: ScriptError, reply: Mapping[str, Any] | None = None
    ) -> None:
        self._note(worker, failure)
        if task is None:
            return
        self._record_try(worker, task, reply, failure)
        task.last = failure
        if task.tries < self._settings.tries:
            self._say(f"try {task.tries} of {self._settings.tries} failed: {failure}")
            self._waiting.append(task)
            self._feed_idle()
            return
        self._say(f"{task.mini_batch} failed after {task.tries} tries: {failure}")
        self._tally.fail(task.mini_batch)
        self._check_threshold()

    def _record_try(
        self, worker: _Worker, task: _Task, reply: Mapping[str, Any] | None, failure: ScriptError | None
    ) -> None:
        """Tells the report. A try that ended in any other way than by the timeout is progress."""
        moment = self._clock()
        began, instant = worker.began
        status = _STATUSES.get(failure.type, "RUN_EXCEPTION") if failure else "RUN_DONE"
        if status != "RUN_TIMEOUT":
            self._progress_at = moment
        self._record(
            Attempt(
                task.mini_batch,
                task.tries,
                worker.node,
                f"process{worker.number:03d}",
                instant,
                0 if failure or not reply else reply["items"],
                moment - began,
                reply["cpu_seconds"] if reply else 0.0,
                reply["run_seconds"] if reply else moment - began,
                status,
                failure.type if failure else "",
                str(failure) if failure else "",
            )
        )

    def _feed_idle(self) -> None:
        """Workers that found nothing to do take what came back."""
        for other in self._workers.values():
            if other.ready and other.task is None and self._waiting:
                self._feed(other)

    def _failed_start(self, worker: _Worker, failure: ScriptError) -> None:
        """Import errors fail the job at once, as every worker would meet them; init() is tried a number of times."""
        self._note(worker, failure)
        if failure.stage == "import":
            raise ScriptFailed("User program failed with Exception:", failure)
        self._init_failures[worker.node] = self._init_failures.get(worker.node, 0) + 1
        on_node = sum(1 for slot in range(self._count) if slot % self._settings.instance_count == worker.node)
        seconds = self._clock() - self._began
        failures = sum(self._init_failures.values())
        if init_gives_up(self._init_failures[worker.node], on_node, failures, self._count, seconds):
            raise ScriptFailed(f"User program failed with Exception: init() failed {failures} times, last:", failure)
        self._say(f"{worker} is replaced: {failure}")
        self._start(worker.slot)

    def _late(self, worker: _Worker) -> None:
        """A worker that hangs is ended; what hung counts as a failed try, or as a failed init()."""
        if not worker.ready:
            self._end(worker)
            limit = patience(self._settings)
            self._failed_start(worker, ScriptError("init", "Timeout", f"init() did not end within {limit:g} seconds"))
            return
        limit = self._settings.run_seconds
        self._lost(worker, f"Stop for run() unable to finish within {limit:g} seconds", kind="Timeout")

    def _lost(self, worker: _Worker, what: str, *, kind: str = "WorkerProcessEnded") -> None:
        """Ends a worker that can give no answer any more, and starts another in its place."""
        self._end(worker)
        message = what if kind == "Timeout" else f"{worker} {what}"
        if not worker.ready:
            self._failed_start(worker, ScriptError("init", kind, message))
            return
        task, worker.task = worker.task, None
        failure = ScriptError("run", kind, message, mini_batch=task.mini_batch if task else None)
        self._failed_try(worker, task, failure)
        if self._waiting:
            self._start(worker.slot)

    def _check_progress(self, moment: float) -> None:
        """Fails a job in which run() has done nothing but time out for too long, whatever the threshold."""
        limit = patience(self._settings)
        if not self._tally.finished and self._progress_at is not None and moment - self._progress_at > limit:
            raise ScriptFailed(f"{NO_PROGRESS.format(n=f'{limit:g}')} First error:", self.first_error)

    def _check_threshold(self) -> None:
        threshold = self._settings.error_threshold
        if self._tally.exceeds(threshold):
            raise ScriptFailed(
                f"The error threshold is exceeded: {self._tally.failed_items} items failed, {threshold} are allowed."
                + (" First error:" if self.first_error else " run() returned fewer elements than it got files."),
                self.first_error,
            )

    def _note(self, worker: _Worker, failure: ScriptError) -> None:
        self.first_error = self.first_error or failure
        heading = f"The {worker} failed with error: "
        trace = failure.traceback or f"{failure.type}: {failure.message}"
        on = f"\nThis was {failure.stage}() on {failure.mini_batch}." if failure.mini_batch else ""
        self._logs.error(worker.node, worker.number, heading, f"{trace.rstrip()}{on}")

    def _say(self, failure: str) -> None:
        """Tells the main log of a failure, but not of thousands: its end must stay readable."""
        self._told += 1
        if self._told <= _TOLD_FAILURES:
            self._logs.say(failure)
        elif self._told == _TOLD_FAILURES + 1:
            self._logs.say(f"further failures are told in {ERRORS} and {MINI_BATCHES} only")

    def _shut_down(self) -> None:
        """Lets idle workers end by themselves (the script may have a shutdown()), for a bounded time."""
        for worker in self._workers.values():
            if worker.ready:
                worker.stopping = True
                worker.process.send({"command": "stop"})
        deadline = self._clock() + _SHUTDOWN_SECONDS
        while self._clock() < deadline:
            self._cancellation.check()
            waiting = [w for w in self._workers.values() if w.stopping and w.process.ended is None]
            if not waiting:
                return
            for key, _ in self._selector.select(0.02):
                kind, process = key.data
                if kind == "commands":
                    process.writable()
                elif kind == "replies":
                    process.forget_replies()
                else:
                    process.keep_output(kind, key.fd)

    def _drain(self, worker: _Worker) -> None:
        """Reads the replies that a process left behind when it ended."""
        while self._lives(worker) and self._receive(worker):
            continue

    def _end(self, worker: _Worker) -> None:
        """Ends a worker, and forgets it."""
        del self._workers[worker.process]
        if worker.gpu is not None:
            self._free_gpus[worker.node].insert(0, worker.gpu)
        worker.process.end()
