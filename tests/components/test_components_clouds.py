"""One setting switches the cloud: of every resource, of azure-native, of hosts, sign-in, audiences and storage."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pytest
import yaml
from azure.core.credentials import AccessToken
from pulumi.runtime.sync_await import _ensure_event_loop

from components.batch_scoring import BatchScoring
from providers.arm import ArmClient, cloud
from providers.blob import container
from stacks.normal_form import normal_form
from stacks.settings import from_config, gather

ROOT = Path(__file__).resolve().parents[2]
# Hosts, sign-in and suffixes per cloud, as azure-ai-ml's own table of clouds has them; see providers/arm/clouds.py.
CLOUDS = {
    "public": ("management.azure.com", "login.microsoftonline.com", "core.windows.net", "https://ml.azure.com"),
    "usgovernment": (
        "management.usgovcloudapi.net",
        "login.microsoftonline.us",
        "core.usgovcloudapi.net",
        "https://ml.azure.us",
    ),
    "china": ("management.chinacloudapi.cn", "login.chinacloudapi.cn", "core.chinacloudapi.cn", "https://ml.azure.cn"),
}


class Engine(pulumi.runtime.Mocks):
    """Takes every resource as it is, and remembers its inputs by type."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.seen.append((args.typ, dict(args.inputs)))
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


@pytest.fixture
def loop() -> Iterator[None]:
    """pulumi's mocks make an event loop in each thread that has none, this one too, and leave them open."""
    made: list[asyncio.AbstractEventLoop] = []

    def give_one() -> None:
        made.append(asyncio.new_event_loop())
        asyncio.set_event_loop(made[-1])

    give_one()
    with ThreadPoolExecutor(4, initializer=give_one) as pool:
        made[0].set_default_executor(pool)
        yield
    asyncio.set_event_loop(None)
    for each in made:
        each.close()


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("name", CLOUDS)
def test_every_resource_of_a_stack_is_in_its_cloud(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    engine = Engine()
    _ensure_event_loop()  # type: ignore[no-untyped-call]  # as the mocks do themselves, but for the stack; whatever ran before may have ended the loop
    pulumi.runtime.set_mocks(engine, project="batch-scoring", stack="lab", preview=False)
    given = yaml.safe_load((ROOT / "stacks" / "Pulumi.lab.yaml").read_text(encoding="utf-8"))["config"]
    config = {key: each if isinstance(each, str) else json.dumps(each) for key, each in given.items()}
    settings = from_config("batch-scoring", {**config, "batch-scoring:cloud": name})

    def program() -> None:
        BatchScoring(
            "s", settings.placement("batch-scoring", "lab"), normal_form(settings, "batch-scoring"), gather(settings)
        )

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]

    own = [inputs["cloud"] for kind, inputs in engine.seen if kind.startswith("pulumi-python:dynamic/azureml:")]
    environments = [inputs["environment"] for kind, inputs in engine.seen if kind == "pulumi:providers:azure-native"]
    assert len(own) >= 9
    assert set(own) == {name}
    assert environments == [name]


class AnyToken:
    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken("token-of-nobody", 10**10)


@pytest.mark.parametrize("name", CLOUDS)
def test_requests_go_to_the_clouds_own_hosts_with_its_own_audiences(name: str) -> None:
    manager, authority, storage, learning = CLOUDS[name]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, json={})

    token, here = AnyToken(), cloud(name)
    arm = ArmClient(cloud=here, credential=token, transport=httpx.MockTransport(answer))
    arm.get("/subscriptions/s/resourceGroups/g", api_version="2025-12-01")
    scoring = f"e.region.{here.scoring_suffix}"
    arm.call("GET", f"https://{scoring}/jobs", audience=here.ml_audience, idempotent=True)
    arm.close()

    assert asked == [manager, scoring]
    assert token.scopes == [f"https://{manager}/.default", f"{learning}/.default"]
    assert here.authority == authority
    assert container(f"https://a.blob.{storage}", "c", here, credential=token).url == f"https://a.blob.{storage}/c"
