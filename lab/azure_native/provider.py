"""azure-native's create and diff behaviour for the types of the table: the RPCs that it serves.

As in azure-native's `provider/pkg/provider/provider.go`: create refuses what exists and never adopts; diff compares
inputs only; what replaces is deleted first, because its name is the program's; an accepted PUT whose operation fails
leaves a resource with `initErrors`. It serves the lab's subscription and refuses any other.
"""

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import httpx
from azure.core.credentials import TokenCredential
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from lab import identity
from lab.azure_native.arm import FAILURES, Arm
from lab.azure_native.changes import inputs_after_refresh, property_changes
from lab.azure_native.table import Kind, kind_of
from lab.azure_native.values import JSON, UNKNOWN, RefusedError, conceal, plain

VERSION = "3.29.0"


class InitFailedError(RefusedError):
    """The resource exists and is not ready; the second argument is what the engine keeps of it."""


def served(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """An RPC whose failures become one line of a gRPC status."""

    def rpc(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except FAILURES as error:
            text = str(error.args[0]).split("\n")[0]
            if isinstance(error, InitFailedError):
                detail = any_pb2.Any()
                detail.Pack(error.args[1])
                status = status_pb2.Status(code=2, message=text, details=[detail])
                context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, text)

    return rpc


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider process; the engine calls its methods from many threads."""

    _arm: Arm
    """Since Configure, which an engine calls before any RPC that needs it."""

    def __init__(
        self,
        environment: Mapping[str, str],
        credential: TokenCredential | None = None,
        transport: httpx.BaseTransport | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Tests give a credential, a transport, and a wait (seconds -> whether cancelled) of their own."""
        self._environment, self._credential, self._transport = environment, credential, transport
        self._cancelled = threading.Event()
        self._wait = wait or self._cancelled.wait

    def Handshake(self, _: provider_pb2.ProviderHandshakeRequest, __: Any) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, _: empty_pb2.Empty, __: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: provider_pb2.CheckRequest, __: Any) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, _: provider_pb2.DiffRequest, __: Any) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse()

    @served
    def Configure(self, request: provider_pb2.ConfigureRequest) -> provider_pb2.ConfigureResponse:
        """A setting is the provider's, else the environment's."""

        def setting(name: str) -> str:
            variable = "ARM" + re.sub(r"(^|[A-Z])", r"_\1", name).upper()
            found = request.variables.get(f"azure-native:config:{name}") or self._environment.get(variable)
            if not found:
                raise RefusedError(f"azure-native:{name} or {variable} must be set; `python -m lab run` sets it")
            return found

        _of_the_lab(f"/subscriptions/{setting('subscriptionId')}")
        given = self._credential
        who = [] if given else [setting(name) for name in ("tenantId", "clientId", "clientSecret")]
        self._arm = Arm(lambda: given or _signed_in(*who), self._wait, self._transport)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @served
    def Check(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        """The inputs with their api-version; names are the program's, so a missing one is a failure."""
        kind, inputs = _kind(request.urn), request.news
        if "azureApiVersion" not in inputs:
            inputs["azureApiVersion"] = kind.api_version
        response = provider_pb2.CheckResponse(inputs=inputs)
        for name in kind.parameters:
            if name not in inputs:
                response.failures.add(property=name, reason=f"missing required property '{name}'")
        return response

    @served
    def Diff(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        old, new = plain(_data(request.old_inputs)), plain(_data(request.news))
        changes = property_changes(_kind(request.urn), old, new)
        replaces = [path for path, change in changes.items() if change % 2]
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces),
            diffs=sorted({re.split(r"[.\[]", path)[0] for path in changes}),
            detailedDiff={path: provider_pb2.PropertyDiff(kind=it, inputDiff=True) for path, it in changes.items()},
            hasDetailedDiff=bool(changes),
        )

    @served
    def Create(self, request: provider_pb2.CreateRequest) -> provider_pb2.CreateResponse:
        """In a preview, outputs are what the program gave; the SDK takes all others for unknown."""
        if request.preview:
            return provider_pb2.CreateResponse(properties=_foreseen(request.properties))
        kind, given = _kind(request.urn), _data(request.properties)
        where = _of_the_lab(kind.arm_id(plain(given)))
        if self._arm.get(where, kind.api_version):
            raise RefusedError(f"cannot create already existing resource '{where}'")
        return provider_pb2.CreateResponse(id=where, properties=self._put(kind, where, given, request.timeout))

    @served
    def Read(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:
        kind, given = _kind(request.urn), _data(request.inputs)
        found = self._arm.get(_of_the_lab(request.id), kind.api_version)
        if found is None:
            return provider_pb2.ReadResponse()
        live = kind.outputs(found)
        if not given:  # an import, or a resource got by its id
            made = kind.imported(request.id, found)
            return provider_pb2.ReadResponse(id=request.id, properties=_struct(live, {}), inputs=_struct(made, {}))
        inputs = inputs_after_refresh(plain(given), plain(_data(request.properties)), live)
        return provider_pb2.ReadResponse(id=request.id, properties=_struct(live, given), inputs=_struct(inputs, given))

    @served
    def Update(self, request: provider_pb2.UpdateRequest) -> provider_pb2.UpdateResponse:
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_foreseen(request.news))
        state = self._put(_kind(request.urn), _of_the_lab(request.id), _data(request.news), request.timeout)
        return provider_pb2.UpdateResponse(properties=state)

    @served
    def Delete(self, request: provider_pb2.DeleteRequest) -> empty_pb2.Empty:
        kind = _kind(request.urn)
        query = {"api-version": kind.api_version, **kind.delete_query}
        failure = self._arm.finish("DELETE", _of_the_lab(request.id), query, None, request.timeout)
        if failure:
            raise RefusedError(failure)
        return empty_pb2.Empty()

    @served
    def Invoke(self, request: provider_pb2.InvokeRequest) -> provider_pb2.InvokeResponse:
        raise RefusedError(f"the lab's azure-native stand-in serves no functions, so not {request.tok}")

    def Cancel(self, _: empty_pb2.Empty, __: Any) -> empty_pb2.Empty:
        """Ends every wait; what was accepted stays in the state with `initErrors`."""
        self._cancelled.set()
        return empty_pb2.Empty()

    def _put(self, kind: Kind, where: str, given: JSON, seconds: float) -> struct_pb2.Struct:
        """Puts and reads back: the service's GET answer, so that a later refresh compares like with like."""
        reasons, found = [self._arm.finish("PUT", where, *kind.request(plain(given)), seconds)], None
        try:
            found = self._arm.get(where, kind.api_version)
        except FAILURES as error:
            reasons.append(f"resource created but read failed: {error}")
        state = _struct(kind.outputs(found or {}), given)
        text = "; ".join(filter(None, reasons))
        if text or not found:
            text = text or f"{where} was put, and a moment later it was not there"
            failed = provider_pb2.ErrorResourceInitFailed(id=where, properties=state, reasons=[text])
            failed.inputs.update(given)
            raise InitFailedError(text, failed)
        return state


def _kind(urn: str) -> Kind:
    return kind_of(urn.split("::")[2].rsplit("$", 1)[-1])


def _signed_in(tenant_id: str, client_id: str, client_secret: str) -> TokenCredential:
    # Not above: a preview asks nobody, and need not wait for it.
    from azure.identity import ClientSecretCredential

    return ClientSecretCredential(tenant_id, client_id, client_secret, disable_instance_discovery=True)


def _of_the_lab(arm_id: str) -> str:
    if not f"{arm_id.lower()}/".startswith(f"/subscriptions/{identity.SUBSCRIPTION_ID}/"):
        raise RefusedError(
            f"the lab's azure-native stand-in serves the lab's subscription {identity.SUBSCRIPTION_ID} only, not"
            f" '{arm_id}'; use the real plugin (AZURE_NATIVE=real) for any other"
        )
    return arm_id


def _foreseen(inputs: struct_pb2.Struct) -> struct_pb2.Struct:
    """Outputs in a preview: the inputs, but for those whose shape is another one, which are unknown until then."""
    outputs = struct_pb2.Struct()
    outputs.CopyFrom(inputs)
    identity_given = outputs.fields["identity"].struct_value if "identity" in outputs.fields else None
    if identity_given is not None and "userAssignedIdentities" in identity_given.fields:
        identity_given["userAssignedIdentities"] = UNKNOWN
    return outputs


def _data(struct: struct_pb2.Struct) -> JSON:
    return json_format.MessageToDict(struct)


def _struct(values: JSON, secrets_like: JSON) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(conceal(values, secrets_like))
    return struct
