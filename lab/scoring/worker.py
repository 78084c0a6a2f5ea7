"""One worker process: loads the user's scoring script, calls init() once and run(mini_batch) as it is told.

This file is run by the interpreter of the job's own environment, by its path, so it uses the standard library only and
imports nothing of the lab. It works on Python 3.8 and later, because conda files name old versions.

    python worker.py COMMANDS_FD REPLIES_FD

Commands and replies are JSON objects, each behind its length in 4 bytes, big-endian. Commands: one `start`
(code_root, script, argv, logging_level, output_action, rows_of_files, log_dir, output_dir, agent_name, driver_pid),
then `run` (files, part) and `stop`. Replies: `ready`, `done` (items, rows, run_seconds, cpu_seconds), `failed` (stage
import|init|run, error, and after a run() its seconds). stdout and stderr belong to the script alone.
"""

from __future__ import annotations

import ctypes
import io
import json
import logging
import os
import signal
import struct
import sys
import time
import traceback
import types
from collections.abc import Callable
from typing import Any

_MAX_TRACEBACK = 65536
"""Characters of a traceback that travel to the driver."""

LOG_FORMAT = "%(asctime)s|%(levelname)s|%(name)s|%(message)s"

WRONG_TYPE = (
    "The run() method in the entry script should return a list or a pandas DataFrame. The length of returned result is "
    "considered as succeeded number of items. For --output_action=append_row, the returned result is what to write "
    "into the result file. The actual type of output is {}."
)
"""Azure ML's own text: https://github.com/microsoft/MLOpsPython/issues/328."""


class Channel:
    """The two pipes to the driver, kept away from the script and from processes that it forks."""

    def __init__(self, commands: int, replies: int) -> None:
        self._commands = commands
        self._replies = replies
        for descriptor in (commands, replies):
            os.set_inheritable(descriptor, False)
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        for descriptor in (self._commands, self._replies):
            os.close(descriptor)

    def receive(self) -> dict[str, Any] | None:
        """The next command, or None when the driver is gone."""
        head = self._read(4)
        body = head and self._read(struct.unpack(">I", head)[0])
        if not body:
            return None
        command: dict[str, Any] = json.loads(body.decode("utf-8"))
        return command

    def send(self, **reply: Any) -> None:
        data = json.dumps(reply).encode("utf-8")
        data = struct.pack(">I", len(data)) + data
        while data:
            data = data[os.write(self._replies, data) :]

    def _read(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            chunk = os.read(self._commands, count - len(data))
            if not chunk:
                return None
            data += chunk
        return data


class EntryScriptException(Exception):
    """The script loads but does not define what the driver calls, or run() returned what cannot be counted."""


def main(commands: int, replies: int) -> None:
    pid = os.getpid()
    channel = Channel(commands, replies)
    start = channel.receive()
    if start is None:
        return
    _die_with_driver(start["driver_pid"])
    _prepare_process(start)
    stage = "import"
    try:
        module = _load(start["script"], start["code_root"])
        run = _function(module, "run")
        init = _function(module, "init")
        stage = "init"
        init()
    except BaseException as error:  # noqa: BLE001 - SystemExit of a script must not look like a normal end of the worker
        _flush()
        if os.getpid() != pid:
            os._exit(1)
        channel.send(event="failed", stage=stage, error=describe(error, start["code_root"]))
        return
    _flush()
    if os.getpid() != pid:
        os._exit(0)  # a fork of the script that returned from init()
    channel.send(event="ready")
    while True:
        command = channel.receive()
        if command is None or command["command"] == "stop":
            break
        reply = _run(run, command, start)
        if os.getpid() != pid:
            os._exit(0)  # a fork of the script that returned from run(): the reply is the parent's to give
        _flush()
        channel.send(**reply)
    shutdown = getattr(module, "shutdown", None)
    if command is not None and callable(shutdown):
        shutdown()
    _flush()


def _run(run: Callable[..., Any], command: dict[str, Any], start: dict[str, Any]) -> dict[str, Any]:
    cpu, begin = time.process_time(), time.monotonic()
    end = None
    try:
        result = run(list(command["files"]))
        end = time.monotonic()
        part = command["part"] if start["output_action"] == "AppendRow" else None
        rows = write_result(result, part, rows_of_files=start["rows_of_files"])
        reply: dict[str, Any] = {"event": "done", "items": rows, "rows": rows}
    except BaseException as error:  # noqa: BLE001 - sys.exit() in run() fails the mini-batch, not the worker
        described = describe(error, start["code_root"])
        code = getattr(run, "__code__", None)
        if isinstance(error, EntryScriptException) and code is not None:
            described.update(file=relative(code.co_filename, start["code_root"]), line=code.co_firstlineno)
        reply = {"event": "failed", "stage": "run", "error": described}
    seconds = (time.monotonic() if end is None else end) - begin
    return {**reply, "run_seconds": seconds, "cpu_seconds": time.process_time() - cpu}


def write_result(result: Any, part: str | None, *, rows_of_files: bool = False) -> int:
    """Writes what run() returned to the file `part` (None: counted only); gives the number of rows.

    A list or tuple is one `str(element)` a line; a DataFrame is space-separated without header and index, quoted as
    pandas does; with `rows_of_files`, which is for MLflow models, comma-separated with its index. Raises
    EntryScriptException for everything else.
    """
    pandas = sys.modules.get("pandas")  # whoever returns a DataFrame has imported pandas
    if pandas is not None and isinstance(result, pandas.DataFrame):
        if part is not None:
            result.to_csv(part, sep="," if rows_of_files else " ", header=False, index=rows_of_files)
    elif isinstance(result, (list, tuple)):
        if part is not None:
            with open(part, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:  # noqa: PTH123
                file.writelines(str(element) + "\n" for element in result)
    else:
        raise EntryScriptException(WRONG_TYPE.format(type(result).__name__))
    return len(result)


def describe(error: BaseException, code_root: str) -> dict[str, Any]:
    """An exception as the driver reports it: type, message, place in the user's code, traceback without our frames."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    place, line = None, None
    for frame in traceback.extract_tb(trace):
        if relative(frame.filename, code_root) is not None:
            place, line = relative(frame.filename, code_root), frame.lineno
    if isinstance(error, SyntaxError) and error.filename and relative(error.filename, code_root) is not None:
        place, line = relative(error.filename, code_root), error.lineno
    try:
        message = str(error)
    except Exception as failure:  # noqa: BLE001 - an exception of the user's own may fail to print itself
        message = f"(its message could not be read: {type(failure).__name__})"
    text = "".join(lines)
    if len(text) > _MAX_TRACEBACK:
        text = text[: _MAX_TRACEBACK // 2] + "\n[...]\n" + text[-_MAX_TRACEBACK // 2 :]
    return {"type": type(error).__name__, "message": message[:4000], "file": place, "line": line, "traceback": text}


def relative(filename: str, code_root: str) -> str | None:
    """A file's path relative to the code folder, or None when it lies elsewhere."""
    path, root = os.path.realpath(filename), os.path.realpath(code_root)
    return os.path.relpath(path, root).replace(os.sep, "/") if path.startswith(root + os.sep) else None


def _is_ours(filename: str) -> bool:
    return os.path.realpath(filename) == os.path.realpath(__file__) or filename.startswith("<frozen importlib")


def _prepare_process(start: dict[str, Any]) -> None:
    sys.argv = [start["script"], *start["argv"]]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    level = {"debug": logging.DEBUG, "warning": logging.WARNING}.get(start["logging_level"], logging.INFO)
    logging.basicConfig(stream=sys.stdout, level=level, format=LOG_FORMAT)
    # The folder of this file must not shadow modules of the script; the script's own folder and the code folder lead.
    folders = [os.path.dirname(start["script"]), start["code_root"]]  # noqa: PTH120
    sys.path[:1] = list(dict.fromkeys(folders))
    _offer_entry_script(start)


def _load(script: str, code_root: str) -> types.ModuleType:
    """The user's script as a module under its own name, as an import from its folder would give it."""
    import importlib.util

    name = os.path.splitext(os.path.basename(script))[0]  # noqa: PTH119, PTH122
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise EntryScriptException(f"The entry script {relative(script, code_root)} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _function(module: types.ModuleType, name: str) -> Callable[..., Any]:
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None or not callable(function):
        raise EntryScriptException(f"The entry script should define a function {name}().")
    return function


def _offer_entry_script(start: dict[str, Any]) -> None:
    """`from azureml_user.parallel_run import EntryScript`, which the service's driver offers to scripts."""

    class EntryScript:
        """One and the same object, however often it is made (documented)."""

        _only: EntryScript | None = None

        def __new__(cls) -> EntryScript:
            cls._only = cls._only or super().__new__(cls)
            return cls._only

        def __init__(self) -> None:
            self.log_dir = start["log_dir"]
            self.output_dir = start["output_dir"]
            self.working_dir = os.getcwd()  # noqa: PTH109
            self.dir = os.path.dirname(start["script"])  # noqa: PTH120
            self.agent_name = start["agent_name"]
            self.logger = logging.getLogger("EntryScript")

    own = os.path.join(start["log_dir"], start["agent_name"] + ".log.txt")  # noqa: PTH118
    file = logging.FileHandler(own, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.getLogger("EntryScript").addHandler(file)
    package, module = types.ModuleType("azureml_user"), types.ModuleType("azureml_user.parallel_run")
    package.__path__ = []
    vars(package)["parallel_run"], vars(module)["EntryScript"] = module, EntryScript
    sys.modules.update({"azureml_user": package, "azureml_user.parallel_run": module})


def _die_with_driver(driver_pid: int) -> None:
    """Ends this worker when the driver is killed (Linux); elsewhere it ends at its next read of a command."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != driver_pid:
        os._exit(1)  # it died before the line above


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the script closed it: then nothing is waiting in it
            continue


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
