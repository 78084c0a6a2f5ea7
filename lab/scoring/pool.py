"""The worker processes of a job, and which mini-batch each of them is on.

One thread, one selector: it feeds workers, reads their replies and whatever the script prints, notices processes that
ended, hang or talk nonsense, and starts others in their place. Each worker leads a process group (and session) of its
own, so that ending the group ends what the script started too.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import struct
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

from lab.scoring import worker as worker_program
from lab.scoring.blobs import Cancellation
from lab.scoring.logs import ERRORS, MINI_BATCHES, JobLogs
from lab.scoring.mini_batches import NO_PROGRESS, MiniBatch, Tally, init_gives_up, patience
from lab.scoring.report import Attempt, AttemptStatus
from lab.scoring.results import Parts
from lab.scoring.spec import Settings
from lab.scoring.status import now

_MAX_REPLY = 16 * 1024 * 1024
_SHUTDOWN_SECONDS = 10.0
_TOLD_FAILURES = 100
_STATUSES: Mapping[str, AttemptStatus] = {"Timeout": "RUN_TIMEOUT", "WorkerProcessEnded": "PROCESS_ENDED"}
"""Type of a failure that the driver found -> what the report calls it; the script's own are RUN_EXCEPTION."""


@dataclass(frozen=True)
class ScriptError:
    """Why a try failed: an exception of the user's script, or what became of its process."""

    stage: str
    """import, init or run."""
    type: str
    message: str
    file: str | None = None
    """Relative to the code folder."""
    line: int | None = None
    traceback: str = ""
    mini_batch: MiniBatch | None = None

    def __str__(self) -> str:
        place = f", {self.file} line {self.line}" if self.file else ""
        where = {"import": "while the script was imported", "init": "in init()", "run": "in run()"}[self.stage]
        on = f" on {self.mini_batch}" if self.mini_batch else ""
        said = f": {self.message}" if self.message else ""
        return f"{self.type}{said}{place}, {where}{on}"


class ScriptFailed(Exception):
    """The job cannot go on; the text says why and carries the script's own error."""

    def __init__(self, sentence: str, error: ScriptError | None) -> None:
        super().__init__(f"{sentence} {error}" if error else sentence)
        self.error = error


@dataclass(frozen=True)
class WorkerLaunch:
    """What all workers of a job have in common."""

    python: Path
    environment: Mapping[str, str]
    """The complete environment of a worker process."""
    start: Mapping[str, Any]
    """The `start` command, without what differs per worker."""
    scratch: Path
    """Folder in which each worker gets a working directory of its own."""
    input_folder: Path


class Observer(Protocol):
    def __call__(self, process_groups: list[int]) -> None:
        """Hears, several times a second, which process groups are alive; the tally has the counts."""


@dataclass
class _Task:
    mini_batch: MiniBatch
    tries: int = 0
    last: ScriptError | None = None


@dataclass
class _Worker:
    slot: int
    node: int
    process: int
    gpu: int | None
    popen: subprocess.Popen[bytes]
    commands: int
    """Descriptor, non-blocking."""
    replies: int
    deadline: float
    outgoing: bytes = b""
    incoming: bytearray = field(default_factory=bytearray)
    task: _Task | None = None
    began: tuple[float, str] = (0.0, "")
    """When it got its task: by the clock, and in UTC."""
    ready: bool = False
    stopping: bool = False

    def __str__(self) -> str:
        return f"process{self.process:03d} on node {self.node}"


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
        self._workers: dict[int, _Worker] = {}
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
            if worker.popen.poll() is not None:
                self._drain(worker)
                if worker.slot in self._workers and self._workers[worker.slot] is worker:
                    self._lost(worker, _ending(worker.popen.returncode))
            elif moment > worker.deadline:
                self._late(worker)
        self._check_progress(moment)
        self._observe([worker.popen.pid for worker in self._workers.values()])

    def _turn(self, timeout: float) -> None:
        """One round of the selector."""
        for key, _ in self._selector.select(timeout):
            kind: str = key.data[0]
            worker: _Worker = key.data[1]
            if self._workers.get(worker.slot) is not worker:
                continue  # ended earlier in this round
            if kind == "replies":
                self._receive(worker)
            elif kind == "commands":
                self._send_more(worker)
            else:
                self._log_output(worker, kind, key.fd)

    def _start(self, slot: int) -> None:
        node = slot % self._settings.instance_count
        process = self._processes[node]
        self._processes[node] += 1
        gpu = self._free_gpus[node].pop(0) if self._free_gpus[node] else None
        environment = {
            **self._launch.environment,
            # A store of its own: processes that begin one together would trip over each other.
            "MLFLOW_TRACKING_URI": self._logs.path(f"logs/mlruns/{node}-{process:03d}").as_uri(),
            **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": str(gpu)}),
        }
        scratch = self._launch.scratch / f"{node}-{process:03d}"
        log_dir = self._logs.path(f"logs/user/entry_script_log/{node}")
        for folder in (scratch, log_dir):
            folder.mkdir(parents=True, exist_ok=True)
        commands_read, commands = os.pipe()
        replies, replies_write = os.pipe()
        try:
            popen = subprocess.Popen(  # noqa: S603 - the interpreter of the job's environment and our own file
                [str(self._launch.python), worker_program.__file__, str(commands_read), str(replies_write)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=scratch,
                pass_fds=(commands_read, replies_write),
                start_new_session=True,
            )
        except OSError as error:
            os.close(commands)
            os.close(replies)
            raise ScriptFailed(f"the environment's interpreter cannot be started: {error}", None) from error
        finally:
            os.close(commands_read)
            os.close(replies_write)
        deadline = self._clock() + patience(self._settings)
        worker = _Worker(slot, node, process, gpu, popen, commands, replies, deadline)
        self._workers[slot] = worker
        os.set_blocking(commands, False)
        os.set_blocking(replies, False)
        self._selector.register(replies, selectors.EVENT_READ, ("replies", worker))
        for kind, stream in (("stdout", popen.stdout), ("stderr", popen.stderr)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream.fileno(), selectors.EVENT_READ, (kind, worker))
        agent = {"agent_name": f"process{process:03d}", "log_dir": str(log_dir), "driver_pid": os.getpid()}
        self._send(worker, {**self._launch.start, **agent, "command": "start"})

    def _send(self, worker: _Worker, command: Mapping[str, Any]) -> None:
        data = json.dumps(command).encode("utf-8")
        idle = not worker.outgoing
        worker.outgoing += struct.pack(">I", len(data)) + data
        if idle:
            self._selector.register(worker.commands, selectors.EVENT_WRITE, ("commands", worker))
            self._send_more(worker)

    def _send_more(self, worker: _Worker) -> None:
        if not worker.outgoing:
            return
        try:
            sent = os.write(worker.commands, worker.outgoing)
        except BlockingIOError:
            return
        except BrokenPipeError:
            sent = len(worker.outgoing)  # the process is ending; its end is noticed elsewhere
        worker.outgoing = worker.outgoing[sent:]
        if not worker.outgoing:
            self._selector.unregister(worker.commands)

    def _receive(self, worker: _Worker) -> None:
        try:
            data = os.read(worker.replies, 65536)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(worker.replies)
            try:
                code: int | None = worker.popen.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                code = None  # it closed the pipe and lives on: it can never answer, so it is lost as well
            self._lost(worker, "closed its pipe to the driver" if code is None else _ending(code))
            return
        worker.incoming += data
        while self._workers.get(worker.slot) is worker and len(worker.incoming) >= 4:
            length = struct.unpack(">I", worker.incoming[:4])[0]
            if length > _MAX_REPLY:
                self._lost(worker, "sent a reply that is none")
                return
            if len(worker.incoming) < 4 + length:
                return
            body = bytes(worker.incoming[4 : 4 + length])
            del worker.incoming[: 4 + length]
            try:
                reply = json.loads(body)
                event = reply["event"]
            except (ValueError, KeyError, TypeError):
                self._lost(worker, "sent a reply that is none")
                return
            self._heard(worker, event, reply)

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
        self._send(worker, {"command": "run", "files": files, "part": part})

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
                f"process{worker.process:03d}",
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
        self._logs.error(worker.node, worker.process, heading, f"{trace.rstrip()}{on}")

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
                self._send(worker, {"command": "stop"})
        deadline = self._clock() + _SHUTDOWN_SECONDS
        while self._clock() < deadline:
            self._cancellation.check()
            waiting = [w for w in self._workers.values() if w.stopping and w.popen.poll() is None]
            if not waiting:
                return
            for key, _ in self._selector.select(0.02):
                kind, worker = key.data
                if kind == "commands":
                    self._send_more(worker)
                elif kind == "replies":
                    self._selector.unregister(worker.replies)
                else:
                    self._log_output(worker, kind, key.fd)

    def _log_output(self, worker: _Worker, kind: str, descriptor: int) -> bool:
        """Keeps what the script printed; False when there is nothing more for now."""
        try:
            data = os.read(descriptor, 1024 * 1024)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(descriptor)
            return False
        name = f"logs/user/{kind}/{worker.node}/process{worker.process:03d}.{kind}.txt"
        self._logs.capped(name).write(data)
        return True

    def _drain(self, worker: _Worker) -> None:
        """Reads the replies that a process left behind when it ended."""
        while self._workers.get(worker.slot) is worker and worker.replies in self._selector.get_map():
            before = len(worker.incoming), worker.task, worker.ready
            self._receive(worker)
            if before == (len(worker.incoming), worker.task, worker.ready):
                return

    def _end(self, worker: _Worker) -> None:
        """Kills a worker with everything it started, keeps its last output, and forgets it."""
        del self._workers[worker.slot]
        end_group(worker.popen)
        if worker.gpu is not None:
            self._free_gpus[worker.node].insert(0, worker.gpu)
        registered = self._selector.get_map()
        for kind, stream in (("stdout", worker.popen.stdout), ("stderr", worker.popen.stderr)):
            if stream is None:
                continue
            for _ in range(16):  # at most 16 MiB: a process that escaped may still be printing
                if stream.fileno() not in registered or not self._log_output(worker, kind, stream.fileno()):
                    break
            if stream.fileno() in registered:
                self._selector.unregister(stream.fileno())
            stream.close()
        for descriptor in (worker.commands, worker.replies):
            if descriptor in registered:
                self._selector.unregister(descriptor)
            os.close(descriptor)


def end_group(popen: subprocess.Popen[bytes]) -> None:
    """Kills a process that leads its group, the group, and descendants that left the group; then reaps it."""
    descendants: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):  # it ended before; its group is still ended below
        descendants = psutil.Process(popen.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left (macOS says EPERM for zombies)
        os.killpg(popen.pid, signal.SIGKILL)
    for process in descendants:
        try:
            process.kill()
        except psutil.Error:
            continue  # it ended with the group
    popen.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"
