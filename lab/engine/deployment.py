"""One run over one stack: the main loop between program, generator and workers.

Source: pulumi 3.260.0, pkg/resource/deploy/deployment_executor.go.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from lab.engine import graph, state
from lab.engine import urn as urns
from lab.engine.display import Display
from lab.engine.errors import EngineError
from lab.engine.generator import Generator, Invalid
from lab.engine.goal import Registration
from lab.engine.journal import Journal
from lab.engine.monitor import Engine, Monitor, Outputs, ProgramDone, ProgramExited, Run, serve
from lab.engine.passphrase import Passphrase
from lab.engine.plugin import Plugin, Surroundings
from lab.engine.process import Process
from lab.engine.program import SHOWN
from lab.engine.registry import Registry
from lab.engine.state import State
from lab.engine.step import Step
from lab.engine.worker import Protected, Worker

_PROGRAM = Path(__file__).with_name("program.py")
_EXIT_SECONDS = 10.0
"""How long a program that has ended may take to leave."""


class _Wake:
    """Look at the flags: something failed, or the user cancels."""


@dataclass(frozen=True)
class Wish:
    """What is to be done."""

    kind: str
    """"update", "refresh" or "destroy"."""
    preview: bool
    refresh_first: bool
    run: Run
    directory: Path
    program: Path


@dataclass(frozen=True)
class Found:
    """What there was before: a loaded checkpoint."""

    resources: Sequence[State]
    pending: Sequence[dict[str, Any]]
    secrets: Passphrase


@dataclass
class Outcome:
    failed: bool = False
    cancelled: bool = False
    changes: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    former_outputs: dict[str, Any] = field(default_factory=dict)


class Deployment:
    """`save` is called with every new deployment; a preview never calls it."""

    def __init__(self, wish: Wish, found: Found, display: Display, save: Callable[[dict[str, Any]], None]) -> None:
        self._wish, self._found, self._display = wish, found, display
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._stopping = threading.Event()
        self._outcome = Outcome()
        self._registry = Registry(self._start_plugin)
        self._journal = Journal(
            found.resources, found.pending, found.secrets, (lambda _: None) if wish.preview else save
        )
        self._base = list(found.resources)
        self._prepare()
        self._pool = ThreadPoolExecutor(wish.run.parallel)
        self._chains: list[Future[None]] = []
        self._registered: dict[str, Step] = {}
        self._stack_outputs: Outputs | None = None
        self._program: Process | None = None
        self._address = ""

    def run(self) -> Outcome:
        """To the end, or as far as it goes; never raises for what providers and programs do wrong."""
        run = self._wish.run
        monitor = Monitor(run, self._events, self._registry.get)
        server, self._address = serve(monitor, Engine(self._display.log), run.parallel * 4 + 16)
        try:
            if self._found.pending and self._wish.kind != "refresh" and not self._wish.preview:
                self._display.log("", "warning", _pending_warning(self._found.pending), False)
            self._work(monitor)
        except EngineError as error:
            self._fail("", error)
        finally:
            self._end(monitor, server)
        if self._outcome.failed:
            verb = "preview" if self._wish.preview else "update"
            self._display.log("", "error", f"{verb} failed", False)
        elif self._cancelled.is_set():
            self._outcome.cancelled = True
            self._display.log("", "error", f"{'preview' if self._wish.preview else 'update'} canceled", False)
        return self._outcome

    def cancel(self) -> None:
        """Finish what runs, start nothing new. Safe in a signal handler."""
        self._cancelled.set()
        self._stopping.set()
        self._events.put(_Wake())

    def terminate(self) -> None:
        """Stop now: children are killed, and what was running stays pending in the state."""
        self._journal.close()
        self._stopping.set()
        self._registry.stop(0)
        if self._program is not None:
            self._program.stop(0)

    def _work(self, monitor: Monitor) -> None:
        if self._wish.kind == "refresh" or self._wish.refresh_first:
            self._refresh()
        if self._wish.kind == "update" and not self._stopping.is_set():
            self._start_program()
            self._follow_program()
        if self._wish.kind != "refresh" and not self._stopping.is_set():
            self._delete()
        self._drain()
        if self._stack_outputs is not None:
            self._finish_stack(self._stack_outputs)
        if not self._stopping.is_set():
            monitor.finish()
            self._await_program()

    def _end(self, monitor: Monitor, server: grpc.Server) -> None:
        self._stopping.set()
        if self._program is not None:
            self._program.stop(0)
        monitor.stop()
        self._drain()
        self._pool.shutdown(wait=True)
        self._registry.stop()
        server.stop(None).wait()

    def _prepare(self) -> None:
        run = self._wish.run
        self._generator = Generator(
            run.stack, run.project, self._base, self._registry, self._display.report, preview=run.preview
        )
        self._worker = Worker(self._registry, self._journal, self._generator, self._display.report, preview=run.preview)
        for item in self._base:
            if item.type == urns.STACK_TYPE and not item.delete:
                self._outcome.outputs = self._outcome.former_outputs = item.outputs

    def _follow_program(self) -> None:
        """Serve the program until it has registered everything, or somebody gives up."""
        while True:
            event = self._events.get()
            if self._stopping.is_set() or isinstance(event, ProgramDone):
                return
            if isinstance(event, ProgramExited):
                if event.status != SHOWN:
                    self._fail("", EngineError(f"program exited with non-zero exit code: {event.status}"))
                self._give_up()
                return
            if isinstance(event, Registration):
                self._register(event)
            elif isinstance(event, Outputs):
                self._take_outputs(event)

    def _register(self, registration: Registration) -> None:
        goal = registration.goal
        try:
            self._start(self._generator.register(registration))
        except Invalid:
            self._give_up()
        except EngineError as error:
            run = self._wish.run
            self._fail(urns.make(run.stack, run.project, goal.parent, goal.type, goal.name), error)

    def _take_outputs(self, event: Outputs) -> None:
        step = self._registered.get(event.urn)
        if step is None:
            event.done.set_exception(EngineError(f"cannot complete a resource '{event.urn}' that is not registered"))
        elif urns.type_of(event.urn) == urns.STACK_TYPE:
            self._stack_outputs = event
            event.done.set_result(None)
        else:
            self._set_outputs(step, event.outputs)
            event.done.set_result(None)

    def _set_outputs(self, step: Step, outputs: dict[str, Any]) -> None:
        step.state.outputs = outputs
        self._journal.rewrite(step.state)
        self._display.finished(step)

    def _finish_stack(self, event: Outputs) -> None:
        """After an error an output that is missing may only not have come yet, so the old ones are kept."""
        step = self._registered[event.urn]
        failed = self._outcome.failed or self._generator.failed
        former = step.old.outputs if step.old is not None else {}
        self._set_outputs(step, {**former, **event.outputs} if failed else event.outputs)
        self._outcome.outputs = step.state.outputs

    def _start(self, chain: Sequence[Step]) -> None:
        self._chains.append(self._pool.submit(self._carry_out, list(chain)))

    def _carry_out(self, chain: list[Step]) -> None:
        for step in chain:
            if self._stopping.is_set():
                return
            self._display.started(step)
            try:
                self._worker.carry_out(step)
            except EngineError as error:
                self._display.failed(step)
                self._fail("" if step.internal else step.urn, error, go_on=isinstance(error, Protected))
                return
            except Exception as error:  # noqa: BLE001  (a bug must end the run, not hang it)
                self._fail(step.urn, EngineError(f"the embedded engine failed: {error!r}"))
                return
            self._count(step)
            if step.op in ("same", "create", "update", "create-replacement"):
                self._registered[step.urn] = step
            if step.state.custom or step.op not in ("create", "update", "same"):
                self._display.finished(step)
            if step.registration is not None and not step.registration.done.done():
                step.registration.done.set_result(step.state)

    def _count(self, step: Step) -> None:
        kind = step.counted
        if kind is not None:
            with self._display.lock:
                self._outcome.changes[kind] = self._outcome.changes.get(kind, 0) + 1

    def _fail(self, urn: str, error: EngineError, *, go_on: bool = False) -> None:
        prefix = "Preview failed: " if self._wish.preview and urn else ""
        self._display.log(urn, "error", prefix + str(error), False)
        self._outcome.failed = True
        if not go_on:
            self._give_up()

    def _give_up(self) -> None:
        self._outcome.failed = True
        self._stopping.set()
        self._events.put(_Wake())

    def _drain(self) -> None:
        if self._cancelled.is_set():
            self._registry.cancel()
        wait(self._chains)
        self._outcome.failed |= self._generator.failed

    def _delete(self) -> None:
        self._drain()
        steps = self._generator.deletions() if not self._stopping.is_set() else []
        by_state = {step.state: step for step in steps}
        spared: set[int] = set()
        for wave in graph.deletion_waves(self._base, by_state):
            chains = []
            for item in wave:
                if self._stopping.is_set() or id(item) in spared:
                    continue
                step = by_state[item]
                if step.state.protect and step.op == "delete":
                    spared |= set(map(id, graph.everything_needed(self._base, item)))
                chains.append(self._pool.submit(self._carry_out, [step]))
            wait(chains)

    def _refresh(self) -> None:
        """Read everything at once; a failure of one does not keep the others from being recorded."""
        steps = [Step("refresh", item, None) for item in self._base]
        for step in steps:
            self._generator.ensure_provider(step.state.provider)
        errors: list[EngineError] = []
        wait([self._pool.submit(self._refresh_one, step, errors) for step in steps])
        self._journal.write()
        self._base = [state.from_json(record, self._found.secrets.unseal) for record in self._journal.records()]
        self._journal.rebase(self._base)
        self._prepare()
        if errors:
            self._give_up()

    def _refresh_one(self, step: Step, errors: list[EngineError]) -> None:
        if self._stopping.is_set():
            return
        self._display.started(step)
        try:
            self._worker.carry_out(step)
        except EngineError as error:
            self._display.failed(step)
            self._display.log(step.urn, "error", str(error), False)
            errors.append(error)
            return
        if self._wish.kind == "refresh":
            self._count(step)
        self._display.finished(step)

    def _start_program(self) -> None:
        run = self._wish.run
        settings = {
            "monitor": self._address,
            "engine": self._address,
            "project": run.project,
            "stack": run.stack,
            "parallel": run.parallel,
            "dry_run": run.preview,
            "organization": "organization",
            "root_directory": str(self._wish.directory),
        }
        environment = {
            **_environment(),
            "PULUMI_CONFIG": json.dumps(dict(run.config.values)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(sorted(run.config.secret_keys)),
        }
        program = Process(
            [sys.executable, "-u", str(_PROGRAM), ".", json.dumps(settings)],
            self._wish.program,
            environment,
            lambda line: self._display.log("", "info", line, False),
        )
        self._program = program
        program.follow()

        def watch() -> None:
            self._events.put(ProgramExited(program.wait()))

        threading.Thread(target=watch, daemon=True).start()

    def _await_program(self) -> None:
        if self._program is None:
            return
        try:
            status = self._program.wait(_EXIT_SECONDS)
        except TimeoutError:
            self._display.log("", "warning", f"the program did not end within {_EXIT_SECONDS:.0f} s: killed", False)
            return
        if status not in (0, SHOWN):
            self._fail("", EngineError(f"program exited with non-zero exit code: {status}"))
        elif status:
            self._outcome.failed = True

    def _start_plugin(self, package: str, version: str) -> Plugin:
        run = self._wish.run
        environment = {**_environment(), "PULUMI_CONFIG": json.dumps(dict(run.config.values))}
        surroundings = Surroundings(
            self._wish.directory,
            run.project,
            self._address,
            environment,
            lambda line: self._display.log("", "info", line, False),
        )
        return Plugin(package, version, surroundings)


def _environment() -> dict[str, str]:
    """The engine's own, in which the loopback never goes through a proxy (gRPC would obey one)."""
    environment = dict(os.environ)
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, [environment.get(name), "127.0.0.1", "localhost"]))
    return environment


def _pending_warning(pending: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"Attempting to deploy or update resources with {len(pending)} pending operations from previous deployment.",
        *(f"  * {item['resource']['urn']}, interrupted while {item['type']}" for item in pending),
        "These resources are in an unknown state because the engine was interrupted while waiting for changes to these "
        "resources to complete. An interrupted creation is now simply run again; `refresh --clear-pending-creates` "
        "forgets it.",
    ]
    return "\n".join(lines)
