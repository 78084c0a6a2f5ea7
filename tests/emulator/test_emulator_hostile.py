"""Requests that nobody should send: each gets an answer that says what is wrong, and the lab goes on as before."""

from __future__ import annotations

import json
import logging
import time

import httpx
import pytest

from lab.emulator import lenient_json
from tests.emulator.in_process_lab import ARM, WS, InProcessLab, datastore, deployment_body, endpoint_body

BOMB = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    + [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]" for n in range(8)]
)


def send(lab: InProcessLab, method: str, path: str, content: bytes) -> httpx.Response:
    url = f"{ARM}{WS}/{path}?api-version=2025-12-01"
    return lab.request(method, url, content=content, headers={"Authorization": f"Bearer {lab.token()}"})


def message(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize(
    "query", ["$skip=99999999999999999999999", "$top=0", "$top=x", "$skip=-1", "count=true", "$skip=" + "9" * 5000]
)
@pytest.mark.parametrize("path", ["batchEndpoints", "jobs", "models/m/versions", "datastores"])
def test_paging_that_makes_no_sense_is_an_error(lab: InProcessLab, path: str, query: str) -> None:
    assert lab.arm("GET", f"{path}?{query}").status_code == 400


def test_no_page_is_larger_than_a_thousand(lab: InProcessLab) -> None:
    for number in range(1002):
        lab.app.cloud.store.put("endpoint", WS, {"id": f"{WS}/batchEndpoints/e{number}"}, 0.0)

    page = lab.arm("GET", "batchEndpoints?$top=99999999999999999999999").json()

    assert (len(page["value"]), "skip=1000" in page["nextLink"]) == (1000, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"location": NaN}', "NaN is no number of JSON"),
        (b'{"location": 1e999}', "1e999 is no number of JSON"),
        (b'{"location": ' + b"9" * 5000 + b"}", "could not be read as JSON"),
        (b'{"location": "\xff"}', "could not be read as JSON"),
        (b'{"location": "', "could not be read as JSON"),
        (b"[]", "must be a JSON object"),
        (b"", "must be a JSON object"),
    ],
)
def test_what_is_no_json_object_is_said_so(lab: InProcessLab, body: bytes, words: str) -> None:
    answer = send(lab, "PUT", "batchEndpoints/ept-1", body)

    assert answer.status_code == 400
    assert words in message(answer)


def test_a_text_of_quotes_without_end_is_read_in_linear_time() -> None:
    began = time.process_time()

    with pytest.raises(ValueError, match="Unterminated"):
        lenient_json.loads('["' + '\\"' * 1_000_000)

    assert time.process_time() - began < 5


def test_a_body_larger_than_the_service_takes_is_refused_and_not_kept(lab: InProcessLab) -> None:
    fits, too_large = (json.dumps(endpoint_body(description="x" * size)).encode() for size in (4_100_000, 4_200_000))

    refused = send(lab, "PUT", "batchEndpoints/ept-1", too_large)

    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "RequestContentTooLarge")
    assert lab.arm("GET", "batchEndpoints/ept-1").status_code == 404
    assert send(lab, "PUT", "batchEndpoints/ept-1", fits).status_code == 201


@pytest.mark.parametrize("version", ["a%2Fb", "a%3Fb", "%20", "a%20b", "%C3%A9", "%00", "1" * 256, "a%25b", "%5C"])
@pytest.mark.parametrize("kind", ["data", "models"])
def test_a_version_that_no_id_can_hold_is_refused(lab: InProcessLab, kind: str, version: str) -> None:
    """One that was taken once made every later list of its kind fail."""
    body = {"dataType": "uri_file", "dataUri": datastore("x")} if kind == "data" else {"modelUri": datastore("x")}

    answer = lab.arm("PUT", f"{kind}/thing/versions/{version}", {"properties": body})

    assert answer.status_code == 400
    assert "version" in message(answer)
    assert lab.arm("GET", kind).json()["value"] == []


@pytest.mark.parametrize(
    ("conda", "words"),
    [
        (BOMB, "too long when its aliases are written out"),
        ("a: &a [*a]", "Circular reference"),
        ("[" * 5000, "recursion"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "recursion"),
        ("a: !!python/object:os.system x", "is no YAML"),
        ("? [a]\n: 3", "unhashable"),
        ("a: \x00", "is no YAML"),
        ("- a", "must be a mapping"),
    ],
    ids=["bomb", "circle", "depth", "json-depth", "object", "list-as-key", "nul", "list"],
)
def test_a_conda_file_that_is_none_is_refused(lab: InProcessLab, conda: str, words: str) -> None:
    answer = lab.arm("PUT", "environments/e/versions/1", {"properties": {"image": "i", "condaFile": conda}})

    assert answer.status_code == 400
    assert words in message(answer)


@pytest.mark.parametrize(
    "uri", ["https://[::1/x", "https://labstore.blob.core.windows.net", "azureml://datastores//paths/"]
)
def test_an_uri_that_leads_nowhere_fails_its_job_alone(lab: InProcessLab, uri: str) -> None:
    answer = lab.deployed().invoke(uri)
    lab.advance()
    lab.advance()

    assert answer.status_code == 201
    assert lab.arm("GET", f"jobs/{answer.json()['name']}").json()["properties"]["status"] in {"Failed", "Preparing"}


def test_a_data_asset_that_names_itself_fails_its_job(lab: InProcessLab) -> None:
    itself = f"{WS}/data/d/versions/1"
    lab.deployed().arm("PUT", "data/d/versions/1", {"properties": {"dataType": "uri_folder", "dataUri": itself}})

    name = lab.invoke(itself).json()["name"]
    lab.advance()

    assert lab.arm("GET", f"jobs/{name}").json()["properties"]["status"] == "Failed"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("settings", {"request_log": 1e300}, "at most 2147483647"),
        ("faults", [{"action": "reply", "status": 9999}], "200 to 599, got 9999"),
        ("faults", [{"action": "reply", "headers": {"a\nb": "c"}}], "is no header of HTTP"),
        ("faults", [{"action": "delay", "seconds": -1}], "at least 0"),
        ("faults", [{"action": "stall", "seconds": 1e9}], "at most 86400"),
    ],
)
def test_the_control_api_takes_no_nonsense(lab: InProcessLab, path: str, body: object, words: str) -> None:
    answer = lab.control("PUT", path, body)

    assert answer.status_code == 400
    assert words in message(answer)


@pytest.mark.parametrize("seconds", [1, 100])
def test_every_property_of_a_wrong_type_is_named(lab: InProcessLab, seconds: int) -> None:
    lab.deployed()
    wrong = {"retrySettings": {"timeout": f"P{seconds}W"}, "resources": "x", "environmentVariables": [], "model": {}}

    said = message(lab.arm("PUT", "batchEndpoints/ept-1/deployments/dep-2", deployment_body(**wrong)))

    for name in ("RetrySettings.Timeout", "Resources", "EnvironmentVariables", "Model.ReferenceType"):
        assert f'"PropertyName": "{name}"' in said


def test_a_mistake_of_the_labs_own_is_told_and_logged_and_remembered(
    lab: InProcessLab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.app.cloud.store.put("endpoint", WS, {"id": f"{WS}/batchEndpoints/damaged", "name": "damaged"}, 0.0)

    with caplog.at_level(logging.ERROR, "lab.emulator"):
        answer = lab.arm("PATCH", "batchEndpoints/damaged", {"tags": {"a": "b"}})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "InternalServerError")
    assert "The lab itself failed: KeyError: 'systemData'" in message(answer)
    assert "Traceback" in caplog.text
    assert lab.control("GET", "requests").json()["requests"][-1]["error"] == "InternalServerError"
