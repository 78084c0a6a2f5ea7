"""The lab answers each recorded exchange of the real service as the real service did, but for what is named here.

The recordings lie beside the checkout, in the steering repository's folder; without it these tests are skipped, and the
tables in `facts/` say the same in our own words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lab import identity
from tests.emulator.in_process_lab import ARM, WS, InProcessLab
from tests.parity.wire_form import differences, named

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "azureml-rest" / "recorded" / "real_exchanges.json"
pytestmark = pytest.mark.skipif(not RECORDINGS.is_file(), reason="the recordings are not beside this checkout")

Exchange = dict[str, Any]

MAY_DIFFER = (
    # Who did it: the recordings are of a person, the lab knows one service principal.
    r"systemData\.(createdBy|createdByType|lastModifiedBy|lastModifiedByType): '",
    # Made up anew each time.
    r"properties\.(name|displayName): '\w+_\w+_\w+' != '\w+_\w+_\w+'",
    r"error\.additionalInfo\[\d\]\.info\.value\.(operation|request): ",
)
"""Everywhere; regular expressions of a line of `differences`."""

OTHERWISE = {
    # Sent by none of these recordings, told by the newer service; or the recording left it out.
    6: (r"error\.additionalInfo: \[",),
    # This api-version's answers had it in 2022, when such scripts were published, and no longer in April 2023.
    7: (r"properties\.properties\.AzureAsyncOperationUri: only in the lab",),
    12: (
        # Recorded in January 2023: two tags and three properties, before the names of April 2023.
        r"properties\.tags\.(azureml\.jobtype|inputType|outputType): only in the lab",
        r"properties\.properties\.azureml\.\w+: only in the lab",
        r"properties\.services\.Studio\.endpoint: ",
        r"properties\.status: 'Running' != ",
        # The recorded body of the lab's own request differs: another endpoint and deployment.
        r"properties\.(description|experimentName): ",
        r"properties\.tags\.azureml\.deploymentname: ",
        r"(id|name): ",
    ),
    22: (
        r"(name|properties\.friendlyName): '00000' != 'lab'",
        r"properties\.(storageAccount|keyVault|applicationInsights|tenantId): ",
        r"identity\.(principalId|tenantId): '<guid>' != ",
    ),
}
"""By number of the exchange."""

NOT_ANSWERED = {"x-aml-cluster", "x-request-time", "x-envoy-upstream-service-time", "request-context", "content-length"}
"""Headers of the real service's own plumbing."""


@pytest.fixture(scope="module")
def exchanges() -> list[Exchange]:
    recorded: list[Exchange] = json.loads(RECORDINGS.read_text(encoding="utf-8"))["exchanges"]
    return recorded


@pytest.fixture
def replay(lab: InProcessLab, exchanges: list[Exchange]) -> Callable[[int], httpx.Response]:
    """Send one recorded request to the lab, and check status, headers and body of the answer against the recording."""
    answers: list[httpx.Response] = []

    def send(number: int) -> httpx.Response:
        exchange = exchanges[number]
        url = _url(exchange["req"]["uri"], answers)
        body = exchange["req"].get("body")
        scope = "https://management.azure.com/.default" if url.startswith(ARM) else "https://ml.azure.com/.default"
        headers = {"Authorization": f"Bearer {lab.token(scope)}"}
        if "azureml-model-deployment" in exchange["req"].get("headers", {}):
            headers["azureml-model-deployment"] = exchange["req"]["headers"]["azureml-model-deployment"]
        answer = lab.request(
            exchange["req"]["method"], url, json=json.loads(_here(json.dumps(body))) if body else None, headers=headers
        )
        answers.append(answer)
        _compare(number, exchange, answer)
        return answer

    return send


def _compare(number: int, exchange: Exchange, answer: httpx.Response) -> None:
    assert answer.status_code == exchange["status"], answer.text
    for name, value in exchange["headers"].items():
        if name.lower() not in NOT_ANSWERED:
            assert name in answer.headers, f"the header {name} is missing"
            if "<" not in value and not re.search(r"\.\.\.", value):
                assert named(answer.headers[name]) == named(value), name
    if exchange.get("bodyText") is not None:
        assert answer.text == exchange["bodyText"]
    elif exchange["body"] is None:
        assert answer.content == b""
    else:
        allowed = MAY_DIFFER + OTHERWISE.get(number, ())
        found = [
            line for line in differences(exchange["body"], answer.json()) if not any(re.match(p, line) for p in allowed)
        ]
        assert found == []


def _url(recorded: str, answers: list[httpx.Response]) -> str:
    """The recorded URL in the lab; an operation's is the one that the lab's own answer gave."""
    if "perationsStatus" in recorded:
        return str(
            next(a.headers["Azure-AsyncOperation"] for a in reversed(answers) if "Azure-AsyncOperation" in a.headers)
        )
    host = urlsplit(recorded).hostname or ""
    if host.endswith(".inference.ml.azure.com"):
        return f"https://{host.partition('.')[0]}.{identity.LOCATION}.inference.ml.azure.com/jobs"
    return _here(recorded)


def _here(text: str) -> str:
    text = text.replace("00000000-0000-0000-0000-000000000", identity.SUBSCRIPTION_ID)
    return re.sub(r"/(resourcegroups|resourceGroups|workspaces)/00000(?![\w-])", r"/\1/lab", text)


def test_an_endpoints_life(lab: InProcessLab, replay: Callable[[int], httpx.Response]) -> None:
    replay(0)
    replay(1)
    lab.advance()
    replay(2)
    replay(3)
    replay(4)
    lab.advance()
    replay(5)


def test_a_missing_model(replay: Callable[[int], httpx.Response]) -> None:
    replay(6)


def test_a_deployments_life_and_an_invocation(
    lab: InProcessLab, replay: Callable[[int], httpx.Response], exchanges: list[Exchange]
) -> None:
    _arrange_parts(lab, exchanges[7])

    replay(7)
    replay(8)
    lab.advance()
    replay(9)
    replay(10)
    replay(11)


def test_a_job_as_arm_shows_it(lab: InProcessLab, exchanges: list[Exchange]) -> None:
    name = lab.deployed().invoke().json()["name"]

    answer = lab.arm("GET", f"jobs/{name}", version="2022-10-01-preview")

    _compare(12, exchanges[12], answer)


def test_a_computes_life(lab: InProcessLab, replay: Callable[[int], httpx.Response]) -> None:
    replay(13)
    lab.advance()
    replay(14)
    replay(15)
    replay(16)


@pytest.mark.parametrize("number", [17, 19, 20, 22], ids=["environment", "model", "datastore", "workspace"])
def test_what_needs_nothing_before_it(replay: Callable[[int], httpx.Response], number: int) -> None:
    replay(number)


def test_the_datastores_key(lab: InProcessLab, exchanges: list[Exchange]) -> None:
    answer = lab.arm("POST", "datastores/workspaceblobstore/listSecrets", version="2022-10-01")

    assert answer.status_code == exchanges[21]["status"]
    assert answer.json().keys() == exchanges[21]["body"].keys()
    assert answer.json()["secretsType"] == exchanges[21]["body"]["secretsType"]


def test_a_code_version(lab: InProcessLab, replay: Callable[[int], httpx.Response], exchanges: list[Exchange]) -> None:
    live = exchanges[18]["body"]["properties"]
    properties = {"codeUri": live["codeUri"].replace(":443", ""), "isAnonymous": True, "properties": live["properties"]}
    lab.arm("PUT", f"codes/{exchanges[18]['body']['id'].split('/')[-3]}/versions/1", {"properties": properties})

    replay(18)


def _arrange_parts(lab: InProcessLab, put: Exchange) -> None:
    """The endpoint, and everything that the recorded deployment names."""
    parts = put["req"]["body"]["properties"]
    name = put["req"]["uri"].partition("/batchEndpoints/")[2].partition("/")[0]
    lab.with_parts().put_endpoint(name)
    for arm_id, body in (
        (parts["codeConfiguration"]["codeId"], {"codeUri": "https://labstore.blob.core.windows.net/c/x"}),
        (parts["model"]["assetId"], {"modelUri": "azureml://datastores/workspaceblobstore/paths/m"}),
        (parts["environmentId"], {"image": "i"}),
    ):
        assert lab.arm("PUT", _here(arm_id), {"properties": body}).status_code == 201
    cluster = {"vmSize": "s", "scaleSettings": {"maxNodeCount": 1}}
    lab.arm("PUT", f"{WS}/computes/cpu-cluster", {"properties": {"computeType": "AmlCompute", "properties": cluster}})
    lab.advance()
