"""The gRPC services that programs and providers talk to. Each request becomes an event for the engine's main loop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, resource_pb2, resource_pb2_grpc

from lab.engine import goal as goals
from lab.engine import urn as urns
from lab.engine import values
from lab.engine.errors import EngineError
from lab.engine.goal import Goal, Registration
from lab.engine.plugin import MESSAGE_SIZE, Plugin
from lab.engine.project import Config
from lab.engine.state import State
from lab.engine.values import Properties, Secret

_FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "resourceReferences": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
}


@dataclass(eq=False)
class Outputs:
    """A component's (or the stack's) outputs, which arrive after its registration."""

    urn: str
    outputs: Properties
    done: Future[None] = field(default_factory=Future)


class ProgramDone:
    """The program has registered everything and waits for the end."""


@dataclass(frozen=True)
class ProgramExited:
    status: int


@dataclass(frozen=True)
class Run:
    """What programs are told about the run they are in."""

    project: str
    stack: str
    config: Config
    preview: bool
    parallel: int


class Stopped(Exception):
    """The engine has given up on this run; the program's calls end."""


Log = Callable[[str, str, str, bool], None]
"""(urn, severity, message, ephemeral)"""


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """`find` finds a loaded plugin by provider reference."""

    def __init__(self, run: Run, events: queue.SimpleQueue[Any], find: Callable[[str], Plugin | None]) -> None:
        self._run, self._events, self._find = run, events, find
        self._goals: dict[str, Goal] = {}
        self._component_providers: dict[str, Mapping[str, str]] = {}
        self._defaults: dict[str, Future[State]] = {}
        self._waiting: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._finished: Future[None] = Future()

    def finish(self) -> None:
        """Let the program that waits for the end go."""
        self._finished.set_result(None)

    def stop(self) -> None:
        """End every call that still waits."""
        with self._lock:
            waiting, self._waiting = list(self._waiting), set()
        for future in [*waiting, self._finished]:
            if not future.done():
                future.set_exception(Stopped())

    def GetDeploymentInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002
        return resource_pb2.DeploymentInfo(
            project=self._run.project,
            stack=self._run.stack,
            organization="organization",
            config=dict(self._run.config.values),
            configSecretKeys=sorted(self._run.config.secret_keys),
            dryRun=self._run.preview,
            parallel=self._run.parallel,
            supportedFeatures=list(_FEATURES.values()),
        )

    def SupportsFeature(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _told(context):
            return self._register(request)

    def RegisterResourceOutputs(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _told(context):
            event = Outputs(request.urn, values.from_struct(request.outputs))
            self._wait(event, event.done)
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _told(context):
            package = urns.package_of(request.tok)
            if package == "pulumi" or request.packageRef:
                raise EngineError(f"function {request.tok} is not supported by the embedded engine")
            reference = request.provider or self._default_provider(package, request.version, request.pluginDownloadURL)
            plugin = self._find(reference)
            if plugin is None:
                raise EngineError(f"function {request.tok}: unknown provider {reference}")
            result = plugin.invoke(request.tok, values.from_struct(request.args), self._run.preview)
            returned = values.to_struct(result.inputs, unknowns=True, secrets=True, references=request.acceptResources)
            failures = [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in result.failures]
            response = resource_pb2.ResourceInvokeResponse(failures=failures)
            getattr(response, "return").CopyFrom(returned)  # a keyword in Python
            return response

    def SignalAndWaitForShutdown(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002
        with _told(context):
            self._events.put(ProgramDone())
            self._finished.result()
            return empty_pb2.Empty()

    def _register(self, request: Any) -> Any:
        goal = goals.read(request, self._goals.get(request.parent))
        providers = dict(request.providers)
        if goal.custom:
            goal.provider = goal.provider or self._inherited_provider(request)
        else:
            providers = {**self._component_providers.get(goal.parent, {}), **providers}
        if urns.is_provider(goal.type):
            _set_plugin(goal.properties, request.version, request.pluginDownloadURL)
        elif goal.custom and not goal.provider:
            package = urns.package_of(goal.type)
            goal.provider = self._default_provider(package, request.version, request.pluginDownloadURL)
        registration = Registration(goal)
        if not goal.custom or urns.is_provider(goal.type):
            goal.provider = ""
        state = self._wait(registration, registration.done)
        with self._lock:
            self._goals[state.urn] = goal
            if not goal.custom:
                self._component_providers[state.urn] = providers
        outputs = state.outputs if goal.custom else {}
        return resource_pb2.RegisterResourceResponse(
            urn=state.urn,
            id=state.id,
            object=values.to_struct(outputs, unknowns=True, secrets=True, references=request.acceptResources),
        )

    def _inherited_provider(self, request: Any) -> str:
        package = urns.package_of(request.type)
        inherited = self._component_providers.get(request.parent, {})
        return str(request.providers.get(package) or inherited.get(package, ""))

    def _default_provider(self, package: str, version: str, url: str) -> str:
        """A reference to the package's default provider, registered by whoever asks first."""
        name = "_".join(["default", *version.replace("-", ".").replace("+", ".").split(".")]) if version else "default"
        with self._lock:
            known = f"{package} {version} {url}" in self._defaults
            future = self._defaults.setdefault(f"{package} {version} {url}", Future())
        if not known:
            given = self._run.config.of_package(package)
            inputs: Properties = {key: Secret(value) if secret else value for key, (value, secret) in given.items()}
            _set_plugin(inputs, version, url)
            kind = urns.provider_type(package)
            self._wait(Registration(Goal(kind, name, custom=True, properties=inputs), future), future)
        with self._lock:
            self._waiting.add(future)
        state = future.result()
        return f"{state.urn}::{state.id}"

    def _wait(self, event: Any, future: Future[Any]) -> Any:
        with self._lock:
            self._waiting.add(future)
        if self._finished.done():
            raise Stopped
        self._events.put(event)
        try:
            return future.result()
        finally:
            with self._lock:
                self._waiting.discard(future)


def _set_plugin(inputs: Properties, version: str, url: str) -> None:
    if version or url:
        inputs.setdefault("__internal", {})
    if version:
        inputs["version"] = version
    if url:
        inputs["__internal"]["pluginDownloadURL"] = url


@contextmanager
def _told(context: grpc.ServicerContext) -> Iterator[None]:
    """What went wrong, as a status that the SDK shows as its own."""
    try:
        yield
    except Stopped:
        context.abort(grpc.StatusCode.UNAVAILABLE, "the engine is shutting down")
    except EngineError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


class Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self, log: Log) -> None:
        self._log, self._root = log, ""

    def Log(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        self._log(request.urn, severity, request.message, request.ephemeral)
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()


class _NameRefused(grpc.ServerInterceptor):
    """Answer what this engine does not do with a sentence that names it."""

    _SERVED = frozenset(name for served in (Monitor, Engine) for name in vars(served) if name[0].isupper())

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        name = details.method.rpartition("/")[2]
        if name in self._SERVED:
            return continuation(details)

        def refuse(_: Any, context: grpc.ServicerContext) -> Any:
            shown = {"ReadResource": "ReadResource (`.get`, StackReference)"}.get(name, name)
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{shown} is not supported by the embedded engine")

        return grpc.unary_unary_rpc_method_handler(refuse)


def serve(monitor: Monitor, engine: Engine, workers: int) -> tuple[grpc.Server, str]:
    """Start both services on one free port of the loopback; the result is the server and its address."""
    server = grpc.server(
        futures.ThreadPoolExecutor(workers),
        interceptors=[_NameRefused()],
        options=[MESSAGE_SIZE, ("grpc.so_reuseport", 0)],
    )
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"
