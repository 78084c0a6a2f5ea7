"""The one place that knows the SDK's dynamic-provider server from the inside (pulumi/dynamic/__main__.py, 3.260.0).

That server withholds four things from a provider: more than 4 operations at once, the resource's URN and custom
timeout, a failed create that is not forgotten, and live progress. It also answers every failure with a Python
traceback, and outlives an engine that is killed. Each is had here by a look at the calling frames. Where a look finds
nothing (another SDK, a unit test), the stock behaviour stays.
tests/providers/test_providers_dynamic_host.py runs all of it against the pinned SDK.
"""

import asyncio
import contextlib
import inspect
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import ResourceProviderServicer, engine_pb2, engine_pb2_grpc, provider_pb2

from providers.aml.refusal import Named
from providers.arm.redact import redact
from providers.blob import Digests, kept

OPERATIONS_AT_ONCE = 64
_PHRASES_APART = 0.3  # seconds
Progress = Callable[[str], None]
_log = logging.getLogger("providers")


@dataclass(frozen=True)
class Call:
    """The RPC that the current thread is answering."""

    request: Any
    context: Any

    @property
    def urn(self) -> str:
        return str(getattr(self.request, "urn", ""))

    @property
    def timeout(self) -> float | None:
        """Pulumi's customTimeouts for this operation, in seconds; None where the user set none."""
        return float(getattr(self.request, "timeout", 0.0)) or None


class InitFailed(Named):
    """A resource that exists and did not come up: Pulumi keeps its id and state, and the next `up` updates it."""

    def __init__(self, resource_id: str, outs: Mapping[str, Any], reason: str, *, name: str) -> None:
        """`name` is its entry in providers/explanations.py."""
        super().__init__(reason)
        self.name = name
        self.resource_id = resource_id
        self.outs = dict(outs)

    @classmethod
    def after(cls, error: Exception, name: str, resource_id: str, outs: Mapping[str, Any]) -> "InitFailed":
        """For a resource that another error kept from coming up; `name` is that error's entry."""
        return cls(resource_id, outs, str(error), name=name)


def current_call() -> Call | None:
    """The RPC being answered by this thread, None outside the dynamic-provider server."""
    frame = inspect.currentframe()
    while frame is not None:
        found = frame.f_locals
        if isinstance(found.get("self"), ResourceProviderServicer) and "request" in found and "context" in found:
            return Call(found["request"], found["context"])
        frame = frame.f_back
    return None


def allow_operations(at_once: int = OPERATIONS_AT_ONCE) -> None:
    """Let the server answer `at_once` RPCs at a time; the stock executor has 4 threads and long creates fill them."""
    arguments = getattr(threading.current_thread(), "_args", ())
    executor = arguments[0]() if arguments and callable(arguments[0]) else None
    if isinstance(executor, ThreadPoolExecutor) and hasattr(executor, "_max_workers"):
        executor._max_workers = max(executor._max_workers, at_once)
        _start_what_waits(executor)
    elif current_call() is not None:
        _warn_once(f"4 operations run at once, not {at_once}")


def _start_what_waits(executor: ThreadPoolExecutor) -> None:
    """An executor starts threads when it is given something: what it had before there was more room has none yet."""
    if hasattr(executor, "_work_queue") and hasattr(executor, "_adjust_thread_count"):
        with getattr(executor, "_shutdown_lock", contextlib.nullcontext()):  # as its own `submit` does
            for _ in range(executor._work_queue.qsize()):
                executor._adjust_thread_count()


def end_with_engine(looks_apart: float = 2.0) -> None:
    """End this process when its engine is no more; a second call does nothing.

    An engine that is killed leaves its provider processes behind for good, each with its half-done work. The engine's
    own port says whether it lives: the process above this one may be a shell that outlives it, too.
    """
    with _engines_lock:
        if len(sys.argv) < 2 or _watching:
            return
        _watching.append(sys.argv[1])
    threading.Thread(target=_watch, args=(sys.argv[1], looks_apart), daemon=True, name="engine watch").start()


def _watch(address: str, looks_apart: float) -> None:
    host, _, port = address.rpartition(":")
    while True:
        time.sleep(looks_apart)
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except ConnectionRefusedError:
            os._exit(1)
        except OSError as error:  # out of sockets or time: says nothing about the engine
            _log.info("the engine at %s cannot be looked at: %s", address, error)


def progress() -> Progress:
    """A function that shows a phrase beside the resource of the current call; usable from other threads, too.

    Identical phrases are sent once, others at most every 0.3 s: an upload of 10,000 files has 10,000 phrases.
    Without an engine it writes nothing: there is nobody to show it to.
    """
    call = current_call()
    if call is None or len(sys.argv) < 2:
        return lambda phrase: _log.info("%s", phrase)
    engine = _engine(sys.argv[1])
    last, at = "", 0.0

    def show(phrase: str) -> None:
        nonlocal last, at
        now = time.monotonic()
        if phrase == last or now - at < _PHRASES_APART:
            return
        last, at = phrase, now
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=phrase, urn=call.urn, ephemeral=True)
        try:
            engine.Log(request, timeout=5)
        except grpc.RpcError as error:  # progress is a courtesy: its loss must not fail a deployment
            _log.info("%s (engine not told: %s)", phrase, error)

    return show


def answer_cleanly(error: Exception, text: str, hide: Callable[[str], str] = str) -> None:
    """Make the server answer `error` by `text` alone; the caller re-raises it at once.

    The server calls `context.abort(UNKNOWN, traceback.format_exc())` for whatever a provider raises. With
    AML_BATCH_DEBUG=1 that traceback follows the text, without what `hide` takes out.
    """
    call = current_call()
    if call is None:
        return
    if isinstance(error, InitFailed):
        try:
            call.context.set_trailing_metadata((("grpc-status-details-bin", _init_failed(call, error, text)),))
        except (AttributeError, KeyError, TypeError) as unlike:
            _warn_once(f"what fails to come up is not recorded, and found again by the next `up` ({unlike!r})")
    abort = getattr(call.context, "abort", None)
    if abort is None:
        _warn_once("errors are told by tracebacks")
        return
    debug = debugging(os.environ)
    call.context.abort = lambda code, traceback: abort(code, f"{text}\n{hide(redact(traceback))}" if debug else text)


def _warn_once(what: str) -> None:
    """Say that something stays as the SDK has it, since this is not the SDK that this file knows."""
    with _engines_lock:
        if what in _warned:
            return
        _warned.add(what)
    _log.warning("the provider server of this Pulumi SDK is unknown here: %s", what)


def debugging(environment: Mapping[str, str]) -> bool:
    """Whether the user asks for tracebacks: AML_BATCH_DEBUG, of the engine's environment, which is handed on to us."""
    return environment.get("AML_BATCH_DEBUG", "") not in ("", "0")


def digests() -> Digests | None:
    """What is known of local files that were read before; nothing where AML_BATCH_VERIFY=1 asks to read them all."""
    return kept(os.environ)


def _init_failed(call: Call, error: InitFailed, text: str) -> bytes:
    """google.rpc.Status with Pulumi's ErrorResourceInitFailed, as the engine's plugin client unpacks it."""
    given = rpc.deserialize_properties(getattr(call.request, "news", None) or call.request.properties)
    outs = {**error.outs, "__provider": given["__provider"]}
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id, properties=_struct(outs), inputs=_struct(given), reasons=[text]
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    return bytes(status_pb2.Status(code=2, message=text, details=[packed]).SerializeToString())


def _struct(values: Mapping[str, Any]) -> Any:
    return asyncio.run(rpc.serialize_properties(dict(values), {}))


def _engine(address: str) -> Any:
    with _engines_lock:
        if address not in _engines:
            _engines[address] = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
        return _engines[address]


# One channel to the engine per process: an RPC thread would otherwise open one for each resource.
_engines: dict[str, Any] = {}
_engines_lock = threading.Lock()
_watching: list[str] = []
_warned: set[str] = set()


def stopwatch(clock: Callable[[], float] = time.monotonic) -> Callable[[], str]:
    """A function that tells the time since now as people say it: `9 s`, `25 s`, `3 min`.

    It gets coarser as time passes, so that an hour of waiting is not a line for every second.
    """
    begun = clock()

    def elapsed() -> str:
        seconds = int(clock() - begun)
        if seconds < 10:
            return f"{seconds} s"
        return f"{seconds // 5 * 5} s" if seconds < 120 else f"{seconds // 60} min"

    return elapsed
