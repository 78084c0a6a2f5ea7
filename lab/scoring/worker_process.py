"""One worker process: its pipes to the driver, what it prints, and its end. What it works on is the pool's affair.

Commands and replies are JSON behind four bytes of length. The process leads a process group (and session) of its own,
so that ending the group ends what the script started too.
"""

from __future__ import annotations

import json
import os
import selectors
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.scoring import worker as worker_program
from lab.scoring.failures import ScriptFailed
from lab.scoring.logs import JobLogs
from lab.scoring.process_group import end_group, ending

_MAX_REPLY = 16 * 1024 * 1024
_LAST_OUTPUT_READS = 16
"""Of 1 MiB each, when a process has ended: one that escaped from its group may still be printing."""


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


class Unanswerable(Exception):
    """The process can give no answer any more, or none that means anything; the text says what it did."""


class WorkerProcess:
    """A process that runs `worker.py`, registered with the selector until `end`.

    The data of each registration is (kind, this process). By kind, what is to be called when the selector names it:
    "commands" `writable`, "replies" `receive`, "stdout" and "stderr" `keep_output`.
    """

    def __init__(
        self,
        launch: WorkerLaunch,
        logs: JobLogs,
        selector: selectors.BaseSelector,
        *,
        node: int,
        number: int,
        gpu: int | None,
    ) -> None:
        """`number` is its own among those of its node. Raises ScriptFailed where the interpreter cannot be started."""
        self._logs = logs
        self._selector = selector
        self._log_name = f"logs/user/{{kind}}/{node}/process{number:03d}.{{kind}}.txt"
        self._outgoing = b""
        self._incoming = bytearray()
        log_dir = logs.path(f"logs/user/entry_script_log/{node}")
        scratch = launch.scratch / f"{node}-{number:03d}"
        for folder in (scratch, log_dir):
            folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **launch.environment,
            # A store of its own: processes that begin one together would trip over each other.
            "MLFLOW_TRACKING_URI": logs.path(f"logs/mlruns/{node}-{number:03d}").as_uri(),
            **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": str(gpu)}),
        }
        self._popen, self._commands, self._replies = _spawn(launch.python, environment, scratch)
        self._register(self._replies, "replies")
        for kind, stream in self._streams():
            self._register(stream, kind)
        agent = {"agent_name": f"process{number:03d}", "log_dir": str(log_dir), "driver_pid": os.getpid()}
        self.send({**launch.start, **agent, "command": "start"})

    @property
    def pid(self) -> int:
        """Of the process, and of the process group that it leads."""
        return self._popen.pid

    @property
    def ended(self) -> str | None:
        """How it ended, or None while it runs."""
        code = self._popen.poll()
        return None if code is None else ending(code)

    def send(self, command: Mapping[str, Any]) -> None:
        """Never waits: what the pipe does not take now is written when the selector says that it does."""
        data = json.dumps(command).encode("utf-8")
        idle = not self._outgoing
        self._outgoing += struct.pack(">I", len(data)) + data
        if idle:
            self._selector.register(self._commands, selectors.EVENT_WRITE, ("commands", self))
            self.writable()

    def writable(self) -> None:
        """Writes what is still to be sent, as far as the pipe takes it."""
        if not self._outgoing:
            return
        try:
            sent = os.write(self._commands, self._outgoing)
        except BlockingIOError:
            return
        except BrokenPipeError:
            sent = len(self._outgoing)  # the process is ending; its end is noticed elsewhere
        self._outgoing = self._outgoing[sent:]
        if not self._outgoing:
            self._selector.unregister(self._commands)

    def receive(self) -> bool:
        """Reads what there is of replies, for `replies`; False when there is nothing more for now.

        Raises Unanswerable when the process has closed the pipe.
        """
        if self._replies not in self._selector.get_map():
            return False
        try:
            data = os.read(self._replies, 65536)
        except BlockingIOError:
            return False
        if data:
            self._incoming += data
            return True
        self._selector.unregister(self._replies)
        try:
            code = self._popen.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            # It lives on, but can never answer: it is as lost as one that ended.
            raise Unanswerable("closed its pipe to the driver") from None
        raise Unanswerable(ending(code))

    def replies(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The whole replies among what was received: event, reply. Raises Unanswerable at one that is none."""
        while len(self._incoming) >= 4:
            length = struct.unpack(">I", self._incoming[:4])[0]
            if length > _MAX_REPLY:
                raise Unanswerable("sent a reply that is none")
            if len(self._incoming) < 4 + length:
                return
            body = bytes(self._incoming[4 : 4 + length])
            del self._incoming[: 4 + length]
            try:
                reply = json.loads(body)
                event = reply["event"]
            except (ValueError, KeyError, TypeError):
                raise Unanswerable("sent a reply that is none") from None
            yield event, reply

    def forget_replies(self) -> None:
        """Listens no more: whatever the process says from now on is of no interest."""
        if self._replies in self._selector.get_map():
            self._selector.unregister(self._replies)

    def keep_output(self, kind: str, descriptor: int) -> bool:
        """Keeps what the script printed (`kind` is stdout or stderr); False when there is nothing more for now."""
        try:
            data = os.read(descriptor, 1024 * 1024)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(descriptor)
            return False
        self._logs.capped(self._log_name.format(kind=kind)).write(data)
        return True

    def end(self) -> None:
        """Kills the process with everything it started, keeps its last output, and closes every pipe."""
        end_group(self._popen)
        registered = self._selector.get_map()
        for kind, stream in self._streams():
            for _ in range(_LAST_OUTPUT_READS):
                if stream not in registered or not self.keep_output(kind, stream):
                    break
        for descriptor in (self._commands, self._replies, *(stream for _, stream in self._streams())):
            if descriptor in registered:
                self._selector.unregister(descriptor)
        os.close(self._commands)
        os.close(self._replies)
        for file in (self._popen.stdout, self._popen.stderr):
            if file is not None:
                file.close()

    def _streams(self) -> list[tuple[str, int]]:
        both = (("stdout", self._popen.stdout), ("stderr", self._popen.stderr))
        return [(kind, stream.fileno()) for kind, stream in both if stream is not None]

    def _register(self, descriptor: int, kind: str) -> None:
        os.set_blocking(descriptor, False)
        self._selector.register(descriptor, selectors.EVENT_READ, (kind, self))


def _spawn(python: Path, environment: Mapping[str, str], folder: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    """The process, and our ends of its pipes: for commands (non-blocking), for replies."""
    commands_read, commands = os.pipe()
    replies, replies_write = os.pipe()
    try:
        popen = subprocess.Popen(  # noqa: S603 - the interpreter of the job's environment and our own file
            [str(python), worker_program.__file__, str(commands_read), str(replies_write)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
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
    os.set_blocking(commands, False)
    return popen, commands, replies
