"""A plugin on a free port, and inputs as its check returns them."""

from collections.abc import Iterator

import grpc
import httpx
import pytest
from pulumi.runtime.proto import provider_pb2_grpc

from lab import identity
from lab.azure_native.__main__ import serve
from lab.azure_native.provider import Provider
from tests.azure_native.plugin_bench import JSON, Clock, FakeArm, FakeCredential, Plugin


@pytest.fixture
def unconfigured() -> Iterator[Plugin]:
    arm, clock = FakeArm(), Clock()
    environment = {"ARM_SUBSCRIPTION_ID": identity.SUBSCRIPTION_ID}
    environment |= {"ARM_CLIENT_ID": identity.CLIENT_ID, "ARM_TENANT_ID": identity.TENANT_ID}
    server, port = serve(Provider(environment, FakeCredential(), httpx.MockTransport(arm), clock.wait))
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        yield Plugin(provider_pb2_grpc.ResourceProviderStub(channel), arm, clock)
    server.stop(None).wait()


@pytest.fixture
def plugin(unconfigured: Plugin) -> Plugin:
    unconfigured.configure(location="eastus")
    return unconfigured


@pytest.fixture
def compute() -> JSON:
    """Inputs of a compute cluster, as check returns them."""
    scale = {"minNodeCount": 0, "maxNodeCount": 2}
    return {
        "resourceGroupName": "lab",
        "workspaceName": "lab",
        "computeName": "cpu",
        "location": "eastus",
        "properties": {
            "computeType": "AmlCompute",
            "properties": {"vmSize": "Standard_DS2_v2", "scaleSettings": scale},
        },
        "azureApiVersion": "2025-12-01",
    }


@pytest.fixture
def environment() -> JSON:
    """Inputs of an environment version, as check returns them."""
    return {
        "resourceGroupName": "lab",
        "workspaceName": "lab",
        "name": "digits",
        "version": "a1",
        "properties": {"image": "ubuntu", "condaFile": "name: x\n"},
        "azureApiVersion": "2025-12-01",
    }
