"""One provider process and its RPCs: the dynamic-provider server, or `pulumi-resource-<package>` found on PATH.

What is sent when follows pulumi 3.260.0, pkg/resource/plugin/provider_plugin.go.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lab.engine import urn as urns
from lab.engine import values
from lab.engine.errors import EngineError, PartialFailure, ProviderFailed
from lab.engine.process import Process
from lab.engine.state import State
from lab.engine.values import Properties, Secret, Unknown

MESSAGE_SIZE = ("grpc.max_receive_message_length", 400 * 1024 * 1024)
DYNAMIC = "pulumi-python"
_START_SECONDS = 60.0
_CANCEL_SECONDS = 5.0


class DiffUnavailable(EngineError):
    """The provider has unknown inputs in a preview, so it cannot compare."""


@dataclass
class Diff:
    """What a provider says about a change. `changes` is None where the provider leaves the comparison to the engine."""

    changes: bool | None = True
    replaces: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    detailed: dict[str, tuple[str, bool]] | None = None
    """Property path -> (kind as in "update-replace", whether it compares inputs)."""
    delete_before_replace: bool = False

    @property
    def replace(self) -> bool:
        return bool(self.replaces) or any(kind.endswith("-replace") for kind, _ in (self.detailed or {}).values())


@dataclass(frozen=True)
class Checked:
    inputs: Properties
    failures: list[tuple[str, str]]
    """(property or "", reason)"""


@dataclass(frozen=True)
class Surroundings:
    """What every plugin process is started with."""

    directory: Path
    project: str
    engine_address: str
    environment: Mapping[str, str]
    on_line: Callable[[str], None]


class Plugin:
    """A provider process. Its methods may be called from several threads."""

    def __init__(self, package: str, version: str, surroundings: Surroundings) -> None:
        self.package = package
        self._process = Process(
            [*_command(package, version), surroundings.engine_address],
            surroundings.directory,
            {**surroundings.environment, "PULUMI_PROJECT": surroundings.project},
            surroundings.on_line,
        )
        self._configured = True
        self._configuration_error: EngineError | None = None
        self._shook_hands = self._accepts_secrets = self._accepts_references = self._previews = False
        try:
            self._stub = self._connect(surroundings.engine_address)
        except BaseException:
            self._process.stop()
            raise

    def _connect(self, engine_address: str) -> provider_pb2_grpc.ResourceProviderStub:
        line = self._process.first_line()
        if not line.isdigit():
            raise ProviderFailed(f"plugin {self.package}: printed {line!r} instead of its port")
        self._process.follow()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{line}", [MESSAGE_SIZE, ("grpc.enable_http_proxy", 0)])
        stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        request = provider_pb2.ProviderHandshakeRequest(
            engine_address=engine_address, configure_with_urn=True, invoke_with_preview=True
        )
        try:
            response = stub.Handshake(request, wait_for_ready=True, timeout=_START_SECONDS)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise _failure(error) from error
        else:
            self._shook_hands = self._previews = True
            self._accepts_secrets, self._accepts_references = response.accept_secrets, response.accept_resources
        return stub

    def check_config(self, urn: str, olds: Properties, news: Properties) -> Checked:
        request = provider_pb2.CheckRequest(
            urn=urn, name=urns.name_of(urn), type=urns.type_of(urn), olds=_config(olds), news=_config(news)
        )
        try:
            response = self._stub.CheckConfig(request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return Checked(news, [])
            raise _failure(error) from error
        inputs = values.from_struct(response.inputs)
        values.mark_secrets(inputs, news)
        return Checked(inputs, [(failure.property, failure.reason) for failure in response.failures])

    def diff_config(self, urn: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        request = provider_pb2.DiffRequest(
            urn=urn,
            name=urns.name_of(urn),
            type=urns.type_of(urn),
            old_inputs=_config(old_inputs),
            olds=_config(old_outputs),
            news=_config(news),
        )
        try:
            return _diff(self._stub.DiffConfig(request))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return Diff(changes=None)
            raise _failure(error) from error

    def configure(self, urn: str, ident: str, inputs: Properties) -> None:
        """Unknown inputs leave the provider unconfigured; a refusal is told by the first call that needs it."""
        if values.contains(inputs, Unknown):
            self._configured = False
            return
        variables = {}
        for key, value in inputs.items():
            if key != "version":
                bare = values.plain(value)
                text = bare if isinstance(bare, str) else json.dumps(bare)
                variables[f"{self.package}:config:{key}"] = text
        request = provider_pb2.ConfigureRequest(
            urn=urn,
            name=urns.name_of(urn),
            type=urns.type_of(urn),
            id=ident,
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
            variables=variables,
            args=values.to_struct(inputs, unknowns=True, secrets=True, references=True),
        )
        try:
            response = self._stub.Configure(request)
        except grpc.RpcError as error:
            self._configuration_error = _failure(error)
            return
        if not self._shook_hands:
            self._accepts_secrets, self._accepts_references = response.acceptSecrets, response.acceptResources
            self._previews = response.supportsPreview

    def check(self, new: State, olds: Properties, news: Properties, seed: bytes, preview: bool) -> Checked:
        self._require_configuration()
        if not self._configured:
            return Checked(news, [])
        request = provider_pb2.CheckRequest(
            urn=new.urn,
            name=new.name,
            type=new.type,
            olds=self._wire(olds, preview),
            news=self._wire(news, preview),
            randomSeed=seed,
        )
        response = _call(self._stub.Check, request)
        inputs = self._read(response.inputs, news, preview)
        return Checked(inputs, [(failure.property, failure.reason) for failure in response.failures])

    def diff(self, old: State, news: Properties, ignore_changes: Sequence[str], preview: bool) -> Diff:
        self._require_configuration()
        if not self._configured:
            raise DiffUnavailable(
                "The provider for this resource has inputs that are not known during preview.\n"
                "This preview may not correctly represent the changes that will be applied during an update."
            )
        request = provider_pb2.DiffRequest(
            urn=old.urn,
            name=old.name,
            type=old.type,
            id=old.id,
            old_inputs=self._wire(old.inputs, preview),
            olds=self._wire(old.outputs, preview),
            news=self._wire(news, preview),
            ignoreChanges=ignore_changes,
        )
        return _diff(_call(self._stub.Diff, request))

    def create(self, new: State, preview: bool) -> tuple[str, Properties]:
        """The new id and outputs. Raises PartialFailure where the object exists but is not ready."""
        self._require_configuration()
        if preview and not self._previews:
            return "", dict(new.inputs) if self._configured else {}
        request = provider_pb2.CreateRequest(
            urn=new.urn,
            name=new.name,
            type=new.type,
            properties=self._wire(new.inputs, preview),
            timeout=new.custom_timeouts.get("create", 0.0),
            preview=preview,
        )
        with self._partly(new.inputs):
            response = _call(self._stub.Create, request)
        if not response.id and not preview:
            raise ProviderFailed(f"plugin returned empty resource.ID from create '{new.urn}'")
        return response.id, self._read(response.properties, new.inputs, preview)

    def update(self, old: State, new: State, preview: bool) -> Properties:
        """The new outputs. Raises PartialFailure where the object has changed but is not ready."""
        self._require_configuration()
        if preview and not self._previews:
            return dict(new.inputs) if self._configured else {}
        request = provider_pb2.UpdateRequest(
            urn=new.urn,
            name=new.name,
            type=new.type,
            id=old.id,
            old_inputs=self._wire(old.inputs, False),
            olds=self._wire(old.outputs, False),
            news=self._wire(new.inputs, preview),
            ignoreChanges=new.ignore_changes,
            timeout=new.custom_timeouts.get("update", 0.0),
            preview=preview,
        )
        with self._partly(new.inputs):
            return self._read(_call(self._stub.Update, request).properties, new.inputs, preview)

    def read(self, old: State) -> tuple[str, Properties, Properties | None]:
        """(id, outputs, inputs); an empty id says that the object is gone, None that the inputs are unchanged."""
        self._require_configuration()
        request = provider_pb2.ReadRequest(
            urn=old.urn,
            name=old.name,
            type=old.type,
            id=old.id,
            inputs=self._wire(old.inputs, False),
            properties=self._wire(old.outputs, False),
            timeout=old.custom_timeouts.get("read", 0.0),
        )
        with self._partly(old.outputs, old.inputs):
            response = _call(self._stub.Read, request)
        live = self._read(response.inputs, old.inputs, False) if response.HasField("inputs") else None
        return response.id, self._read(response.properties, old.outputs, False), live

    def delete(self, old: State) -> None:
        self._require_configuration()
        request = provider_pb2.DeleteRequest(
            urn=old.urn,
            name=old.name,
            type=old.type,
            id=old.id,
            old_inputs=self._wire(old.inputs, False),
            properties=self._wire(old.outputs, False),
            timeout=old.custom_timeouts.get("delete", 0.0),
        )
        _call(self._stub.Delete, request)

    def invoke(self, token: str, arguments: Properties, preview: bool) -> Checked:
        """A function's result, as `inputs`, with its check failures."""
        self._require_configuration()
        if not self._configured:
            return Checked({}, [])
        request = provider_pb2.InvokeRequest(tok=token, args=self._wire(arguments, False), preview=preview)
        response = _call(self._stub.Invoke, request)
        returned = values.from_struct(getattr(response, "return"), unknowns=False)
        if values.contains(arguments, Secret) and not self._accepts_secrets:
            returned = {key: value if isinstance(value, Secret) else Secret(value) for key, value in returned.items()}
        return Checked(returned, [(failure.property, failure.reason) for failure in response.failures])

    def cancel(self) -> None:
        """Tell the provider that its running operations should come to an end; what that means is its own affair."""
        self._stub.Cancel.future(empty_pb2.Empty(), timeout=_CANCEL_SECONDS)

    def stop(self, patience: float = 2.0) -> None:
        self._channel.close()
        self._process.stop(patience)

    def _require_configuration(self) -> None:
        if self._configuration_error is not None:
            raise self._configuration_error

    @contextmanager
    def _partly(self, outputs: Properties, inputs: Properties | None = None) -> Iterator[None]:
        """Secrets of what was sent are re-marked in a partial failure too."""
        try:
            yield
        except PartialFailure as failure:
            if not self._accepts_secrets:
                values.mark_secrets(failure.outputs, outputs)
                values.mark_secrets(failure.inputs or {}, inputs or {})
            raise

    def _wire(self, properties: Properties, preview: bool) -> struct_pb2.Struct:
        return values.to_struct(
            properties, unknowns=preview, secrets=self._accepts_secrets, references=self._accepts_references
        )

    def _read(self, struct: struct_pb2.Struct, sent: Properties, preview: bool) -> Properties:
        properties = values.from_struct(struct, unknowns=preview)
        if not self._accepts_secrets:
            values.mark_secrets(properties, sent)
        return properties


def _command(package: str, version: str) -> list[str]:
    if package == DYNAMIC:
        return [sys.executable, "-u", "-m", "pulumi.dynamic"]
    name = f"pulumi-resource-{package}"
    path = shutil.which(name)
    if path is None:
        wanted = f" (version {version})" if version else ""
        raise ProviderFailed(f"no resource plugin '{name}'{wanted} found on PATH; the embedded engine installs none")
    return [os.path.abspath(path)]  # noqa: PTH100  (keeps a symbolic link's own name)


def _config(properties: Properties) -> struct_pb2.Struct:
    return values.to_struct(properties, unknowns=True, secrets=False, references=False)


def _call(method: Any, request: Any) -> Any:
    try:
        return method(request)
    except grpc.RpcError as error:
        raise _failure(error) from error


def _failure(error: Any) -> ProviderFailed:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Is(provider_pb2.ErrorResourceInitFailed.DESCRIPTOR):
                    failed = provider_pb2.ErrorResourceInitFailed()
                    detail.Unpack(failed)
                    inputs = values.from_struct(failed.inputs) if failed.HasField("inputs") else None
                    return PartialFailure(failed.id, values.from_struct(failed.properties), inputs, failed.reasons)
    return ProviderFailed(error.details() or f"the provider failed with {error.code().name}")


def _diff(response: provider_pb2.DiffResponse) -> Diff:
    changes = {provider_pb2.DiffResponse.DIFF_NONE: False, provider_pb2.DiffResponse.DIFF_SOME: True}
    detailed = None
    if response.hasDetailedDiff:
        kinds = provider_pb2.PropertyDiff.Kind
        detailed = {
            path: (kinds.Name(item.kind).lower().replace("_", "-"), item.inputDiff)
            for path, item in response.detailedDiff.items()
        }
    return Diff(
        changes.get(response.changes),
        list(response.replaces),
        list(response.diffs),
        detailed,
        response.deleteBeforeReplace,
    )
