"""A plugin called over a real gRPC channel, and the Azure Resource Manager that it talks to, faked below httpx."""

import json
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest
from azure.core.credentials import AccessToken
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lab import identity

JSON = dict[str, Any]
GROUP = f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/lab"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/lab"
OPERATION = f"https://management.azure.com/subscriptions/{identity.SUBSCRIPTION_ID}/operations/1?api-version=2025-12-01"


class FakeArm:
    """Keeps what is put, as the service normalises it; computes change by an operation, all else at once."""

    def __init__(self) -> None:
        self.resources: dict[str, JSON] = {}
        self.requests: list[httpx.Request] = []
        self.polls = 1
        """How often an operation answers Updating before its end."""
        self.outcome: JSON = {"status": "Succeeded"}
        self.scripted: list[httpx.Response | Exception] = []
        """Answers given before any other."""
        self._deleting = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.scripted:
            answer = self.scripted.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        path = request.url.path
        if "/operations/" in path:
            return self._operation()
        operation = {"Azure-AsyncOperation": OPERATION} if "/computes/" in path else {}
        if request.method == "PUT":
            self.resources[path] = self._normalised(path, json.loads(request.content))
            return httpx.Response(201, json=self.resources[path], headers=operation)
        if path not in self.resources:
            return httpx.Response(404, json={"error": {"code": "UserError", "message": f"{path} not found"}})
        if request.method == "DELETE" and operation:
            self._deleting = path
            return httpx.Response(202, headers=operation)
        if request.method == "DELETE":
            del self.resources[path]
            return httpx.Response(200)
        return httpx.Response(200, json=self.resources[path])

    def sent(self) -> list[str]:
        """Method and last path segment of each request."""
        return [f"{request.method} {request.url.path.rsplit('/', 1)[-1]}" for request in self.requests]

    def body(self) -> JSON:
        """The body of the last PUT."""
        puts = [request for request in self.requests if request.method == "PUT"]
        result: JSON = json.loads(puts[-1].content)
        return result

    def _operation(self) -> httpx.Response:
        if self.polls:
            self.polls -= 1
            return httpx.Response(200, json={"status": "Updating"}, headers={"Retry-After": "7"})
        if self._deleting and self.outcome["status"] == "Succeeded":
            self.resources.pop(self._deleting, None)
        return httpx.Response(200, json=self.outcome)

    @staticmethod
    def _normalised(path: str, body: JSON) -> JSON:
        properties = {"provisioningState": "Succeeded", "description": None, **body.get("properties", {})}
        if "properties" in properties:
            properties["properties"] = {**properties["properties"], "currentNodeCount": 0}
            properties["properties"]["vmSize"] = properties["properties"]["vmSize"].upper()
        if "condaFile" in properties:
            properties |= {"condaFile": '{"name": "x"}', "osType": "Linux", "properties": {"azureml.labels": ""}}
        name = path.rsplit("/", 1)[-1]
        return {"id": path, "name": name, "type": "faked", "tags": None, **body, "properties": properties}


class FakeCredential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(f"token for {scopes[0]}", 2**40)


@dataclass
class Clock:
    """Waits that take no time."""

    waits: list[float] = field(default_factory=list)
    cancelled: bool = False

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.cancelled


@dataclass
class Plugin:
    """A configured plugin, the stub to call it by, and what lies around it."""

    stub: provider_pb2_grpc.ResourceProviderStub
    arm: FakeArm
    clock: Clock

    def configure(self, **config: str) -> None:
        variables = {f"azure-native:config:{name}": text for name, text in config.items()}
        self.stub.Configure(provider_pb2.ConfigureRequest(variables=variables))

    def check(self, kind: str, news: JSON, olds: JSON | None = None) -> tuple[JSON, list[str]]:
        request = provider_pb2.CheckRequest(urn=urn(kind), news=struct(news), olds=struct(olds or {}), randomSeed=b"1")
        response = self.stub.Check(request)
        return plain(response.inputs), [failure.reason for failure in response.failures]

    def create(self, kind: str, inputs: JSON, preview: bool = False) -> tuple[str, JSON]:
        request = provider_pb2.CreateRequest(urn=urn(kind), properties=struct(inputs), preview=preview)
        response = self.stub.Create(request)
        return response.id, plain(response.properties)

    def diff(self, kind: str, old: JSON, new: JSON, state: JSON | None = None) -> provider_pb2.DiffResponse:
        state = old if state is None else state
        request = provider_pb2.DiffRequest(urn=urn(kind), old_inputs=struct(old), olds=struct(state), news=struct(new))
        response: provider_pb2.DiffResponse = self.stub.Diff(request)
        return response

    def read(self, kind: str, arm_id: str, inputs: JSON, state: JSON) -> tuple[str, JSON, JSON]:
        request = provider_pb2.ReadRequest(urn=urn(kind), id=arm_id, inputs=struct(inputs), properties=struct(state))
        response = self.stub.Read(request)
        return response.id, plain(response.inputs), plain(response.properties)

    def delete(self, kind: str, arm_id: str) -> None:
        self.stub.Delete(provider_pb2.DeleteRequest(urn=urn(kind), id=arm_id))

    def refusal(self, call: Any) -> str:
        """The message of the gRPC error that `call` ends in."""
        with pytest.raises(grpc.RpcError) as raised:
            call()
        return str(raised.value.details())


def urn(kind: str) -> str:
    return f"urn:pulumi:lab::batch::pkg:index:Parent$azure-native:{kind}::thing"


def struct(values: JSON) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    result.update(values)
    return result


def plain(values: struct_pb2.Struct) -> JSON:
    result: JSON = json_format.MessageToDict(values)
    return result
