"""providers/dynamic_host.py against the pinned SDK's own dynamic-provider server, over real gRPC."""

import base64
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import dill
import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import ResourceProviderServicer, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from providers import dynamic_host
from providers.dynamic_host import InitFailed
from providers.kind import deadline, gone
from tests.providers import kinds_under_test

ROOT = Path(__file__).resolve().parents[2]
URN = "urn:pulumi:s::p::pulumi-python:dynamic/azureml:Lamp::lamp"


class RecordingEngine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.logs: list[Any] = []

    def Log(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.logs.append(request)
        return empty_pb2.Empty()


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[RecordingEngine, str]]:
    recording = RecordingEngine()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    engine_pb2_grpc.add_EngineServicer_to_server(recording, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield recording, f"127.0.0.1:{port}"
    server.stop(0).wait()


def serve(engine: str, **environment: str) -> "subprocess.Popen[bytes]":
    """The SDK's dynamic-provider server, as the language host starts it."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.dynamic", engine],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PULUMI_PROJECT": "p", **environment},
        stdout=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def plugin(engine: tuple[RecordingEngine, str]) -> Iterator[Any]:
    process = serve(engine[1])
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with process, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
        process.terminate()


def lamp(mood: str) -> struct_pb2.Struct:
    bag = struct_pb2.Struct()
    pickled = base64.b64encode(dill.dumps(kinds_under_test.LampKind(), protocol=4, recurse=True)).decode()
    bag.update(
        {"__provider": pickled, "mood": mood, "cloud": "public", "deadline": "PT30M", "api_version": "2025-12-01"}
    )
    return bag


def create(plugin: Any, mood: str, timeout: float = 0) -> Any:
    return plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=lamp(mood), timeout=timeout), timeout=180)


def test_an_expected_error_is_one_sentence_without_a_traceback(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        create(plugin, "refuse")

    assert raised.value.details() == "the lamp is taken; choose another name\n-> docs/errors.md#not-ours"


def test_a_bug_is_told_in_two_lines_too(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        create(plugin, "bug")

    first, second = str(raised.value.details()).splitlines()
    assert re.fullmatch(r"KeyError: 'socket' \(kinds_under_test\.py, line \d+\)", first)
    assert second.endswith("(docs/errors.md#bug)")
    assert "AML_BATCH_DEBUG=1" in second


def test_the_debug_setting_adds_the_traceback(engine: tuple[RecordingEngine, str]) -> None:
    process = serve(engine[1], AML_BATCH_DEBUG="1")
    assert process.stdout is not None
    with process, grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            create(provider_pb2_grpc.ResourceProviderStub(channel), "bug")
        process.terminate()

    said = str(raised.value.details())
    assert said.startswith("KeyError: 'socket'")
    assert "Traceback (most recent call last)" in said


@pytest.mark.parametrize("debug", ["", "1"], ids=["plain", "with tracebacks"])
def test_an_error_does_not_quote_environment_variables(engine: tuple[RecordingEngine, str], debug: str) -> None:
    """A refusal of the service may repeat what it was sent; the engine prints that, and keeps it in state."""
    process = serve(engine[1], AML_BATCH_DEBUG=debug)
    assert process.stdout is not None
    bag = lamp("quote")
    bag.update({"environment_variables": {"LICENCE": 'zebra"quartz', "PASSWORD": 'lantern"7193', "PLAIN": "true"}})
    with process, grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            provider_pb2_grpc.ResourceProviderStub(channel).Create(
                provider_pb2.CreateRequest(urn=URN, properties=bag), timeout=180
            )
        process.terminate()

    said = str(raised.value.details())
    assert said.startswith('the lamp does not take {"LICENCE": "<hidden>", "PASSWORD": "<hidden>", "PLAIN": "true"}')
    assert "quartz" not in said
    assert "7193" not in said
    assert ("Traceback" in said) is bool(debug)


def test_a_failed_create_keeps_its_id_and_state(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        create(plugin, "half")

    error: Any = raised.value
    trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status_pb2.Status.FromString(trailer).details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("lamp-1", ["the bulb is broken\n-> docs/errors.md#job-failed"])
    assert detail.properties["lit"] is False
    assert detail.properties["__provider"] == lamp("half")["__provider"]


def test_the_custom_timeout_comes_before_the_input(plugin: Any) -> None:
    assert create(plugin, "plain").properties["timeout"] == 1800.0
    assert create(plugin, "plain", timeout=45).properties["timeout"] == 45.0


def test_progress_is_shown_beside_the_resource(plugin: Any, engine: tuple[RecordingEngine, str]) -> None:
    create(plugin, "talk")

    shown = [(log.urn, log.message, log.ephemeral) for log in engine[0].logs]
    assert (URN, "warming up, 1 s", True) in shown


def test_many_operations_run_at_once(plugin: Any) -> None:
    """The stock server answers four at a time; here all must be under way before any may end."""
    with futures.ThreadPoolExecutor(kinds_under_test.MEETING) as pool:
        created = list(pool.map(lambda _: create(plugin, "together"), range(kinds_under_test.MEETING)))

    assert {each.id for each in created} == {"lamp-1"}


def test_operations_that_waited_before_there_was_more_room_get_it_too() -> None:
    """All are asked for before the first of them is begun, as when an engine creates everything at once."""
    asked, together = threading.Event(), threading.Barrier(kinds_under_test.MEETING)

    def operation() -> None:
        asked.wait(timeout=60)
        dynamic_host.allow_operations()
        together.wait(timeout=60)

    with futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(operation) for _ in range(kinds_under_test.MEETING)]
        asked.set()
        for each in waiting:
            each.result()


@pytest.mark.parametrize(("setting", "threads"), [(None, 64), ("128", 128), ("4", 4)])
def test_how_many_operations_run_at_once_is_a_setting(
    engine: tuple[RecordingEngine, str], setting: str | None, threads: int
) -> None:
    """It reaches the provider as Pulumi hands over the stack's configuration: full key, text."""
    process = serve(engine[1])
    assert process.stdout is not None
    with process, grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        given = struct_pb2.Struct()
        given.update({} if setting is None else {"p:operations_at_once": setting})
        stub.Configure(provider_pb2.ConfigureRequest(args=given))
        created = create(stub, "count")
        process.terminate()

    assert created.properties["threads"] == threads


def test_a_read_of_what_is_gone_leaves_nothing_for_the_next(plugin: Any) -> None:
    """The server writes the provider into what `read` gives."""
    for _ in range(2):
        read = plugin.Read(provider_pb2.ReadRequest(id="lamp-1", urn=URN, properties=lamp("gone")))
        assert (read.id, set(read.properties)) == ("", {"__provider"})
    assert gone().outs == {}


class OtherServer(ResourceProviderServicer):
    """A later SDK's server, perhaps: its context lacks what is needed, and its request, too."""

    def answer(self, request: Any, context: Any, act: Callable[[], object]) -> object:
        return act()


class Bare:
    """A request, or a context, that has nothing."""


def test_a_server_without_what_is_needed_keeps_its_own_ways_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dynamic_host, "_warned", set())
    failed = InitFailed("lamp-1", {}, "the bulb is broken", name="job-failed")

    def act() -> tuple[float | None, float]:
        dynamic_host.allow_operations(64)
        dynamic_host.answer_cleanly(failed, "told")
        call = dynamic_host.current_call()
        assert call is not None
        return call.timeout, deadline({"deadline": "PT7M"}, "create")

    for _ in range(2):
        assert OtherServer().answer(Bare(), Bare(), act) == (None, 420.0)

    said = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert len(said) == 3
    assert all("the provider server of this Pulumi SDK is unknown here" in each for each in said)
    for part in ("4 operations run at once, not 64", "is not recorded, and found again", "are told by tracebacks"):
        assert sum(part in each for each in said) == 1


def test_a_failed_create_that_is_not_recorded_is_raised_as_it_is() -> None:
    """Outside the server nothing can be recorded: the next `up` finds what is there by its marker."""
    with pytest.raises(InitFailed, match="the bulb is broken"):
        kinds_under_test.LampKind().create({"mood": "half", "cloud": "public"})


@pytest.mark.parametrize(
    ("deadlines", "operation", "seconds"),
    [(None, "create", 420.0), ({"create": "PT1H"}, "create", 3600.0), ({"create": "PT1H"}, "delete", 420.0)],
)
def test_without_a_custom_timeout_the_inputs_say_how_long(
    deadlines: dict[str, str] | None, operation: Any, seconds: float
) -> None:
    assert deadline({"deadline": "PT7M", "deadlines": deadlines}, operation) == seconds


def test_progress_to_an_engine_that_is_no_more_is_written_to_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr(sys, "argv", ["pulumi.dynamic", address])
    caplog.set_level("INFO", logger="providers")

    OtherServer().answer(Bare(), Bare(), lambda: dynamic_host.progress()("warming up, 1 s"))

    assert any("warming up, 1 s (engine not told:" in each.message for each in caplog.records)


def test_the_server_ends_with_its_engine() -> None:
    """An engine that is killed leaves its provider processes behind; they notice by its port."""
    engine = grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(RecordingEngine(), engine)
    port = engine.add_insecure_port("127.0.0.1:0")
    engine.start()
    process = serve(f"127.0.0.1:{port}")
    assert process.stdout is not None
    with process, grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        create(provider_pb2_grpc.ResourceProviderStub(channel), "plain")

        engine.stop(0).wait()

        assert process.wait(timeout=120) == 1


def test_without_a_server_nothing_is_shown_and_nothing_fails() -> None:
    assert dynamic_host.current_call() is None
    dynamic_host.allow_operations()
    dynamic_host.progress()("unheard")
    dynamic_host.answer_cleanly(ValueError("unanswered"), "unanswered")


def test_another_executor_keeps_what_it_has() -> None:
    seen: list[int] = []

    def look() -> None:
        dynamic_host.allow_operations()
        seen.append(1)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert seen == [1]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (9.9, "9 s"), (12, "10 s"), (119, "115 s"), (120, "2 min"), (3700, "61 min")]
)
def test_elapsed_time_gets_coarser(seconds: float, said: str) -> None:
    times = iter([0.0, seconds])

    elapsed = dynamic_host.stopwatch(lambda: next(times))

    assert elapsed() == said


def test_kinds_are_pickled_by_reference_and_hold_nothing() -> None:
    """Module path and class name are written into users' state: they are a public interface."""
    text = base64.b64decode(str(lamp("plain")["__provider"]))

    assert len(text) < 100
    assert b"LampKind" in text
