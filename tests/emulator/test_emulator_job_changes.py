"""Jobs that are there, changed: archived and restored, tagged, named; through ARM and through run history."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.emulator.in_process_lab import API, WS, InProcessLab


@pytest.fixture
def job(lab: InProcessLab) -> str:
    return str(lab.deployed().invoke(tags={"kept": "yes"}).json()["name"])


def patch(lab: InProcessLab, run: str, **body: object) -> httpx.Response:
    """As azure-ai-ml 1.35 sends it."""
    url = f"{API}/history/v1.0{WS}/experiments/ept-1/runs/{run}"
    return lab.request("PATCH", url, json=body, headers={"Authorization": f"Bearer {lab.token()}"})


def shown(lab: InProcessLab, job: str) -> dict[str, Any]:
    properties: dict[str, Any] = lab.arm("GET", f"jobs/{job}").json()["properties"]
    return properties


def listed(lab: InProcessLab, view: str) -> list[str]:
    return [each["name"] for each in lab.arm("GET", f"jobs?listViewType={view}").json()["value"]]


def test_an_archived_job_is_hidden_from_lists_until_it_is_restored(lab: InProcessLab, job: str) -> None:
    patch(lab, job, hidden=True)
    archived = (
        listed(lab, "ActiveOnly"),
        listed(lab, "ArchivedOnly"),
        listed(lab, "All"),
        shown(lab, job)["isArchived"],
    )

    patch(lab, job, hidden=False)

    assert archived == ([], [job], [job], True)
    assert (listed(lab, "ActiveOnly"), shown(lab, job)["isArchived"]) == ([job], False)


def test_run_history_merges_tags_and_keeps_what_is_not_said(lab: InProcessLab, job: str) -> None:
    before = shown(lab, job)

    patch(lab, job, tags={"new": "1"}, displayName="mine", description="why")

    after = shown(lab, job)
    assert after["tags"] == before["tags"] | {"new": "1"}
    assert (after["displayName"], after["description"], after["properties"]) == ("mine", "why", before["properties"])


def test_arm_takes_the_job_back_with_what_may_change(lab: InProcessLab, job: str) -> None:
    body = shown(lab, job) | {"isArchived": True, "tags": {"only": "this"}, "description": "other"}

    answer = lab.arm("PUT", f"jobs/{job}", {"properties": body})

    assert answer.status_code == 200, answer.text
    assert (shown(lab, job)["tags"], shown(lab, job)["description"]) == ({"only": "this"}, "other")
    assert listed(lab, "ArchivedOnly") == [job]


@pytest.mark.parametrize("changed", [{"jobType": "Command"}, {"experimentName": "another"}])
def test_the_rest_of_a_job_cannot_be_changed(lab: InProcessLab, job: str, changed: dict[str, str]) -> None:
    answer = lab.arm("PUT", f"jobs/{job}", {"properties": shown(lab, job) | changed})

    assert answer.status_code == 409
    assert "Only description, tags, displayName, properties, and isArchived can be updated" in answer.text


def test_a_new_job_is_refused_by_name(lab: InProcessLab) -> None:
    answer = lab.arm("PUT", "jobs/new", {"properties": {"jobType": "Command", "command": "echo"}})

    assert answer.json()["error"]["message"].startswith("The lab does not know jobs made through ARM (PUT jobs)")


def test_a_step_cannot_be_changed(lab: InProcessLab, job: str) -> None:
    child = lab.history(f"{job}/children")["value"][0]["runId"]

    assert patch(lab, child, hidden=True).status_code == 409
    assert lab.arm("PUT", f"jobs/{child}", {"properties": {}}).status_code == 409


def test_a_change_of_a_running_job_outlives_its_end(lab: InProcessLab, job: str) -> None:
    lab.advance()
    lab.scripted.started[0].say("Running")
    patch(lab, job, hidden=True)
    lab.scripted.started[0].finish()
    lab.advance()

    assert (shown(lab, job)["status"], shown(lab, job)["isArchived"]) == ("Completed", True)


def test_a_store_of_an_older_lab_is_taken_over(lab: InProcessLab, job: str) -> None:
    lab.app.cloud.store._db.execute("ALTER TABLE jobs DROP COLUMN archived")

    lab.restart()
    patch(lab, job, hidden=True)

    assert listed(lab, "ArchivedOnly") == [job]
