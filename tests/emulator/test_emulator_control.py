"""The control API: who may ask, what is there, and faults by script."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ServiceRequestError

from lab import identity
from lab.emulator.app import ConnectionDropped
from tests.emulator.in_process_lab import ARM, CONTROL, WS, InProcessLab


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {CONTROL}"}])
def test_the_control_api_is_for_the_holder_of_its_token(lab: InProcessLab, header: dict[str, str]) -> None:
    assert lab.request("GET", "https://localhost:1/_lab/health", headers=header).status_code == 401


def test_the_control_api_is_not_on_azures_hosts(lab: InProcessLab) -> None:
    reply = lab.request("GET", f"{ARM}/_lab/health", headers={"Authorization": f"Bearer {CONTROL}"})

    assert reply.status_code == 401


def test_health_names_the_proxy(lab: InProcessLab) -> None:
    assert lab.control("GET", "health").json() == {"healthy": True, "proxy_port": 2}


def test_status_lists_every_kind_by_id_and_counts_blobs(lab: InProcessLab) -> None:
    lab.blobs.counts = {"uploads": 3, "outputs": 2, "logs": 1}
    name = (
        lab.deployed()
        .invoke(
            outputData={
                "s": {"jobOutputType": "UriFile", "uri": "azureml://datastores/workspaceblobstore/paths/o/p.csv"}
            }
        )
        .json()["name"]
    )

    said = lab.control("GET", "status").json()

    assert said == {
        "endpoints": [f"{WS}/batchEndpoints/ept-1"],
        "deployments": [f"{WS}/batchEndpoints/ept-1/deployments/dep-1"],
        "codes": [f"{WS}/codes/code/versions/1"],
        "models": [f"{WS}/models/model/versions/1"],
        "environments": [f"{WS}/environments/env/versions/1"],
        "data": [],
        "datasets": [],
        "components": [],
        "computes": [f"{WS}/computes/cpu"],
        "foundations": [],
        "jobs": [f"{WS}/jobs/{name}"],
        "blobs": {"uploads": 3, "outputs": 2, "logs": 1},
    }
    assert {path for _, path in lab.blobs.asked_outputs} == {"o"}


def test_storage_that_does_not_answer_is_a_503_that_says_so(lab: InProcessLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_accounts: object, _outputs: object) -> dict[str, int]:
        raise ServiceRequestError("connection refused")

    monkeypatch.setattr(lab.blobs, "census", away)

    reply = lab.control("GET", "status")

    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "StorageUnavailable")


def test_requests_are_remembered_without_their_credentials(lab: InProcessLab) -> None:
    lab.arm("GET", "", headers={"x-ms-client-request-id": "mine"})

    newest = lab.control("GET", "requests").json()["requests"][-1]

    assert (newest["method"], newest["url"], newest["status"]) == ("GET", f"{ARM}{WS}?api-version=2025-12-01", 200)
    assert newest["client_request_id"] == "mine"
    assert lab.token() not in str(newest)
    assert lab.control("DELETE", "requests").status_code == 204
    assert lab.control("GET", "requests").json() == {"requests": []}


def test_a_remembered_request_says_with_which_error_it_ended(lab: InProcessLab) -> None:
    lab.arm("GET", "")
    lab.arm("GET", "/onlineEndpoints")
    lab.request(
        "POST",
        f"https://login.microsoftonline.com/{identity.TENANT_ID}/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "client_id": "nobody"},
    )

    said = [entry["error"] for entry in lab.control("GET", "requests").json()["requests"]]

    assert said[-3:] == [None, "UnknownToTheLab", "unauthorized_client"]


def test_a_remembered_request_says_which_deployment_answered_or_is_the_default(lab: InProcessLab) -> None:
    lab.deployed()
    lab.invoke()
    lab.put_endpoint(defaults={"deploymentName": "dep-1"})
    lab.advance()
    lab.arm("GET", "batchEndpoints/ept-1")
    lab.arm("GET", "batchEndpoints/ept-1/deployments/dep-1")

    said = [entry["deployment"] for entry in lab.control("GET", "requests").json()["requests"]]

    assert said[-4:] == ["dep-1", "dep-1", "dep-1", None]
    assert set(said[:-4]) == {None}


def test_the_newest_requests_push_out_the_oldest(lab: InProcessLab) -> None:
    lab.control("PUT", "settings", {"request_log": 2})
    for _ in range(4):
        lab.arm("GET", "")

    assert len(lab.control("GET", "requests").json()["requests"]) == 2


def faults(lab: InProcessLab, *script: dict[str, object]) -> None:
    assert lab.control("PUT", "faults", list(script)).status_code == 200


def test_a_scripted_reply_strikes_so_often_and_no_more(lab: InProcessLab) -> None:
    faults(
        lab,
        {
            "match": {"method": "get", "path": "workspaces/lab"},
            "times": 2,
            "action": "reply",
            "status": 429,
            "headers": {"Retry-After": "1"},
            "body": {"error": {"code": "TooManyRequests", "message": "slow"}},
        },
    )

    replies = [lab.arm("GET", "") for _ in range(3)]

    assert [reply.status_code for reply in replies] == [429, 429, 200]
    assert (replies[0].headers["Retry-After"], replies[0].json()["error"]["code"]) == ("1", "TooManyRequests")


@pytest.mark.parametrize(("when", "made"), [("before", 404), ("after", 200)])
def test_a_dropped_connection_is_a_lost_request_or_a_lost_answer(lab: InProcessLab, when: str, made: int) -> None:
    lab.token()
    faults(lab, {"match": {"method": "PUT"}, "action": "drop", "when": when})

    with pytest.raises(ConnectionDropped):
        lab.put_endpoint()

    assert lab.arm("GET", "batchEndpoints/ept-1").status_code == made


@pytest.mark.parametrize("outcome", ["Failed", "Canceled"])
def test_an_operation_can_be_told_to_fail(lab: InProcessLab, outcome: str) -> None:
    faults(
        lab,
        {
            "match": {"path": "batchEndpoints"},
            "action": "outcome",
            "outcome": outcome,
            "code": "BadCode",
            "message": "no luck",
        },
    )
    operation = lab.put_endpoint().headers["Azure-AsyncOperation"].removeprefix(ARM).partition("?")[0]
    lab.advance()

    said = lab.arm("GET", operation).json()

    assert (said["status"], said["error"]) == (outcome, {"code": "BadCode", "message": "no luck"})
    assert lab.arm("GET", "batchEndpoints/ept-1").json()["properties"]["provisioningState"] == outcome


def test_an_operation_can_be_told_never_to_end(lab: InProcessLab) -> None:
    faults(lab, {"action": "outcome", "outcome": "never"})
    operation = lab.put_endpoint().headers["Azure-AsyncOperation"].removeprefix(ARM).partition("?")[0]
    lab.advance(3000)

    assert lab.arm("GET", operation).json()["status"] == "Updating"


def test_delays_and_stalls_leave_the_answer_whole(lab: InProcessLab) -> None:
    whole = lab.arm("GET", "").json()
    faults(lab, {"action": "delay", "seconds": 0.01}, {"action": "stall", "seconds": 0.01})

    assert lab.arm("GET", "").json() == whole
    assert lab.control("GET", "requests").json()["requests"][-1]["status"] == "stall"


def test_faults_can_be_added_to_a_script_that_is_in_force(lab: InProcessLab) -> None:
    lab.token()
    faults(lab, {"match": {"path": "models"}, "times": 2, "action": "reply", "status": 503})
    lab.arm("GET", "models")

    lab.control("POST", "faults", [{"match": {"path": "codes"}, "action": "reply", "status": 504}])

    assert [lab.arm("GET", path).status_code for path in ("codes", "codes", "models", "models")] == [504, 200, 503, 200]


def test_a_page_can_be_sent_where_json_is_expected(lab: InProcessLab) -> None:
    lab.token()
    faults(lab, {"action": "reply", "status": 200, "text": "<html>sign in</html>"})

    page = lab.arm("GET", "")

    assert (page.headers["content-type"], page.text) == ("text/html; charset=utf-8", "<html>sign in</html>")


def test_an_answer_can_be_cut_in_the_middle(lab: InProcessLab) -> None:
    lab.token()
    faults(lab, {"match": {"method": "PUT"}, "action": "cut"})

    with pytest.raises(ConnectionDropped):
        lab.put_endpoint()

    assert lab.arm("GET", "batchEndpoints/ept-1").status_code == 200
    assert lab.control("GET", "requests").json()["requests"][-2]["status"] == "cut"


def test_faults_say_what_is_left_of_them_and_can_be_dropped(lab: InProcessLab) -> None:
    faults(lab, {"match": {"host": "management"}, "times": 5, "action": "delay", "seconds": 0.0})
    lab.arm("GET", "")

    left = lab.control("GET", "faults").json()["faults"]

    assert left == [{"action": "delay", "match": {"host": "management"}, "times": 4, "seconds": 0.0}]
    assert lab.control("DELETE", "faults").status_code == 204
    assert lab.control("GET", "faults").json() == {"faults": []}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"action": "explode"}, "faults[0].action: must be one of"),
        ({"action": "drop", "match": {"verb": "GET"}}, "unknown match.verb"),
        ({"action": "drop", "match": {"path": "("}}, "faults[0].match.path"),
        ({"action": "outcome", "outcome": "Succeeded"}, "faults[0].outcome: must be"),
    ],
)
def test_an_unfit_fault_is_refused_by_name(lab: InProcessLab, entry: dict[str, object], words: str) -> None:
    reply = lab.control("PUT", "faults", [entry])

    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]
