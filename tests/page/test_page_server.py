"""What the page's own server answers, and whom."""

from __future__ import annotations

import json
import re

import pytest
from azure.core.exceptions import ServiceRequestError

from tests.emulator.in_process_lab import CONTROL, SECRET, WS
from tests.page.page_under_test import PORT, PageUnderTest

ROUTES = ["/", "/overview", "/requests"]
OUTPUT = {"container": "c", "path": "out/predictions.csv"}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("host", ["rebound.example", f"rebound.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}"])
def test_another_host_is_refused(page: PageUnderTest, route: str, host: str) -> None:
    assert page.request("GET", route, Host=host).status_code == 421


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_loopback_names_are_served(page: PageUnderTest, host: str) -> None:
    assert page.request("GET", "/overview", Host=host).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("route", [*ROUTES, "/jobs/x"])
def test_nothing_but_get_is_answered(page: PageUnderTest, method: str, route: str) -> None:
    assert page.request(method, route).status_code == 405


@pytest.mark.parametrize("route", [*ROUTES, "/jobs/x"])
def test_no_other_origin_may_read_or_frame_an_answer(page: PageUnderTest, route: str) -> None:
    headers = page.request("GET", route, Origin="https://elsewhere.example").headers

    assert "access-control-allow-origin" not in headers
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_file_needs_nothing_from_elsewhere_and_never_writes_html(page: PageUnderTest) -> None:
    html = page.request("GET", "/").text

    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*\"", html) == []
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", html)


def test_no_secret_and_no_query_is_shown(page: PageUnderTest) -> None:
    page.lab.deployed().invoke()
    page.lab.request("GET", "https://management.azure.com/subscriptions?api-version=2022-12-01&sig=the-signature")

    shown = "".join(page.request("GET", route).text for route in ROUTES)

    assert "https://management.azure.com/subscriptions" in shown
    assert [word for word in (SECRET, CONTROL, "a2V5", "the-signature", "eyJ") if word in shown] == []


def test_a_refusal_is_shown_with_its_code(page: PageUnderTest) -> None:
    page.lab.arm("GET", "batchEndpoints/absent")
    page.lab.app.cloud.log.add_refusal("CONNECT", "https://elsewhere.example:443", 0.0)

    seen = [(each["status"], each["error"]) for each in page.read("/requests")["requests"]]

    assert seen[-2:] == [(404, "UserError"), (403, "RefusedByTheProxy")]


def test_an_endpoint_is_shown_with_its_default(page: PageUnderTest) -> None:
    lab = page.lab.deployed()
    lab.put_deployment("dep-2")
    lab.put_endpoint(defaults={"deploymentName": "DEP-1"})
    lab.advance()

    (endpoint,) = page.read("/overview")["endpoints"]

    assert (endpoint["name"], endpoint["state"], endpoint["default"]) == ("ept-1", "Succeeded", "DEP-1")
    assert [(each["name"], each["is_default"]) for each in endpoint["deployments"]] == [
        ("dep-1", True),
        ("dep-2", False),
    ]
    assert endpoint["deployments"][0]["model"] == "model:1"


def test_a_running_job_is_shown_as_its_driver_tells_it(page: PageUnderTest) -> None:
    name = page.lab.deployed().invoke().json()["name"]
    page.lab.advance()
    batches = {"total": 8, "done": 3, "failed": 1}
    page.lab.scripted.started[0].say("Running", phase="scoring", mini_batches=batches, rows=60)

    (job,) = page.read("/overview")["jobs"]

    assert (job["name"], job["status"], job["phase"]) == (name, "Running", "scoring")
    assert (job["mini_batches"], job["rows"], job["active"]) == (batches, 60, True)


def test_a_completed_job_shows_its_log_and_its_first_rows(page: PageUnderTest) -> None:
    name = page.lab.deployed().invoke().json()["name"]
    page.lab.advance()
    driver = page.lab.scripted.started[0]
    log = driver.spec.parent / "logs" / "user_logs" / "std_log_0.txt"
    log.parent.mkdir(parents=True)
    log.write_text("begun\nended\n", encoding="utf-8")
    page.lab.blobs.contents["c/out/predictions.csv"] = b'a.png 7 0.5\n"b c.png" 8 1.0\n'
    driver.finish(outputs=[OUTPUT], started="2027-01-15T08:00:00.000000Z", ended="2027-01-15T08:00:04.250000Z")
    page.lab.advance()

    seen = page.read(f"/jobs/{name}")

    assert (seen["job"]["status"], seen["job"]["seconds"]) == ("Completed", 4.2)
    assert seen["log"] == {
        "names": ["user_logs/std_log_0.txt"],
        "name": "user_logs/std_log_0.txt",
        "text": "begun\nended\n",
        "cut": False,
    }
    assert seen["results"] == {"file": "predictions.csv", "rows": [["a.png", "7", "0.5"], ["b c.png", "8", "1.0"]]}


def test_results_that_cannot_be_read_are_said_so(page: PageUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> bytes:
        raise ServiceRequestError("connection refused\nwith details")

    monkeypatch.setattr(page.lab.blobs, "head", away)
    name = page.lab.deployed().invoke().json()["name"]
    page.lab.advance()
    page.lab.scripted.started[0].finish(outputs=[OUTPUT])
    page.lab.advance()

    assert page.read(f"/jobs/{name}")["results"]["problem"] == "connection refused"


@pytest.mark.parametrize("name", ["none", "%2e%2e", "%2e%2e%2femulator.db"])
def test_an_unknown_job_is_a_404(page: PageUnderTest, name: str) -> None:
    assert page.request("GET", f"/jobs/{name}").status_code == 404


def test_many_endpoints_and_jobs_are_counted_and_the_newest_shown(page: PageUnderTest) -> None:
    store = page.lab.app.cloud.store
    page.lab.deployed().invoke()
    (record,) = store.jobs()
    endpoint = store.get(f"{WS}/batchEndpoints/ept-1")
    assert endpoint
    for number in range(70):
        store.put_job({**record, "name": f"job-{number}", "child": f"child-{number}", "active": False})
        named = {"id": f"{WS}/batchEndpoints/many-{number}", "name": f"many-{number}"}
        store.put("endpoint", WS, {**json.loads(json.dumps(endpoint)), **named}, 0.0)

    seen = page.read("/overview")

    assert (seen["counts"]["jobs"], len(seen["jobs"]), seen["jobs"][0]["name"]) == (71, 30, "job-69")
    assert (seen["counts"]["endpoints"], len(seen["endpoints"]), seen["endpoints"][0]["name"]) == (71, 50, "many-69")
