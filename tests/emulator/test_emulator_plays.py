"""Every play of every open question, and the refusal of settings that there are not."""

from __future__ import annotations

import json

import pytest

from lab.emulator.plays import Plays
from tests.emulator.conftest import MakeLab
from tests.emulator.in_process_lab import WS, InProcessLab


@pytest.mark.parametrize(
    ("play", "status", "default"), [("refuse", 409, "dep-1"), ("clear", 202, None), ("keep", 202, "dep-1")]
)
def test_deleting_the_default_deployment(make_lab: MakeLab, play: str, status: int, default: str | None) -> None:
    lab = make_lab({"delete_default_deployment": play}).deployed()
    lab.put_endpoint(defaults={"deploymentName": "dep-1"})
    lab.advance()

    assert lab.arm("DELETE", "batchEndpoints/ept-1/deployments/dep-1").status_code == status
    assert lab.arm("GET", "batchEndpoints/ept-1").json()["properties"]["defaults"]["deploymentName"] == default


@pytest.mark.parametrize(("play", "status"), [("refuse", 400), ("accept", 201)])
def test_a_default_that_names_nothing(make_lab: MakeLab, play: str, status: int) -> None:
    lab = make_lab({"default_names_nothing": play})

    assert lab.put_endpoint(defaults={"deploymentName": "nobody"}).status_code == status


@pytest.mark.parametrize(("play", "status"), [("bad_request", 400), ("not_found", 404)])
def test_invoking_without_a_default(make_lab: MakeLab, play: str, status: int) -> None:
    lab = make_lab({"invoke_without_default": play}).deployed()

    reply = lab.score("POST", "jobs", {"properties": {}})

    assert reply.status_code == status
    assert reply.json()["error"]["message"].startswith("No valid deployments to route to.")


@pytest.mark.parametrize(("play", "status"), [("refuse", 409), ("accept", 200)])
def test_updating_while_updating(make_lab: MakeLab, play: str, status: int) -> None:
    lab = make_lab({"update_while_updating": play})
    lab.put_endpoint()

    assert lab.put_endpoint(description="again").status_code == status


@pytest.mark.parametrize(("play", "status"), [("conflict", 409), ("bad_request", 400)])
def test_a_name_that_another_workspace_holds(make_lab: MakeLab, play: str, status: int) -> None:
    lab = make_lab({"duplicate_name": play, "taken_names": ["Ept-1"]})

    reply = lab.put_endpoint()

    assert reply.status_code == status
    assert "There is already an endpoint with this name" in reply.json()["error"]["message"]


@pytest.mark.parametrize(("play", "status"), [("conflict", 409), ("bad_request", 400), ("accept", 200)])
def test_other_content_under_an_assets_name(make_lab: MakeLab, play: str, status: int) -> None:
    lab = make_lab({"changed_asset": play}).with_parts()

    reply = lab.arm(
        "PUT", "models/model/versions/1", {"properties": {"modelUri": "azureml://datastores/x/paths/other"}}
    )

    assert reply.status_code == status


@pytest.mark.parametrize(
    ("play", "status", "script"), [("accept", 200, "b.py"), ("ignore", 200, "score.py"), ("refuse", 400, None)]
)
def test_changing_a_create_only_property(make_lab: MakeLab, play: str, status: int, script: str | None) -> None:
    lab = make_lab({"create_only_property": play}).deployed()
    code = {"codeId": f"{WS}/codes/code/versions/1", "scoringScript": "b.py"}

    reply = lab.put_deployment(codeConfiguration=code)

    assert reply.status_code == status
    if script is None:
        assert "'properties.codeConfiguration' cannot be changed" in reply.json()["error"]["message"]
    else:
        assert reply.json()["properties"]["codeConfiguration"]["scoringScript"] == script


def test_a_delayed_listing_shows_a_new_resource_later_but_get_at_once(make_lab: MakeLab) -> None:
    lab = make_lab({"delayed_listing": 5})
    lab.put_endpoint()

    early = lab.arm("GET", "batchEndpoints").json()["value"]
    lab.advance(6)

    assert early == []
    assert len(lab.arm("GET", "batchEndpoints").json()["value"]) == 1


def test_the_name_of_a_deleted_asset_is_held_for_a_while(make_lab: MakeLab) -> None:
    lab = make_lab({"soft_delete_seconds": 60}).with_parts()
    again = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/up/model"}}
    lab.arm("DELETE", "models/model/versions/1")

    held = lab.arm("PUT", "models/model/versions/1", again)
    lab.advance(61)

    assert held.status_code == 409
    assert "its name is soft-deleted" in held.json()["error"]["message"]
    assert lab.arm("PUT", "models/model/versions/1", again).status_code == 201


def test_a_deleted_container_holds_its_versions_names_too(make_lab: MakeLab) -> None:
    lab = make_lab({"soft_delete_seconds": 60}).with_parts()
    lab.arm("DELETE", "codes/code")

    again = {"properties": {"codeUri": "https://labstore.blob.core.windows.net/c/x"}}

    assert lab.arm("PUT", "codes/code/versions/1", again).status_code == 409


def test_the_name_of_a_deleted_endpoint_is_held_for_a_while(make_lab: MakeLab) -> None:
    lab = make_lab({"soft_delete_seconds": 60})
    lab.put_endpoint()
    lab.advance()
    lab.arm("DELETE", "batchEndpoints/ept-1")
    lab.advance()

    held = lab.put_endpoint()
    lab.advance(61)

    assert (held.status_code, lab.put_endpoint().status_code) == (409, 201)


def test_a_new_role_does_not_work_for_a_while(lab: InProcessLab) -> None:
    blob = "https://labstore.blob.core.windows.net/azureml/x"
    lab.control("PUT", "settings", {"role_assignment_seconds": 60})

    refused = lab.request("PUT", blob, headers={"Authorization": "Bearer t"})
    with_key = lab.request("GET", blob, headers={"Authorization": "SharedKey k"})
    lab.advance(61)
    late = lab.request("GET", blob, headers={"Authorization": "Bearer t"})

    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")
    assert "<Code>AuthorizationPermissionMismatch</Code>" in refused.text
    assert (with_key.status_code, late.status_code) == (503, 503)
    assert {each.headers["connection"] for each in (refused, with_key, late)} == {"close"}


def test_an_ended_operation_is_forgotten_after_its_time(make_lab: MakeLab) -> None:
    lab = make_lab({"operation_retention_seconds": 60})
    url = lab.put_endpoint().headers["Azure-AsyncOperation"]
    token = {"Authorization": f"Bearer {lab.token()}"}
    lab.advance(50)
    lab.put_endpoint("ept-2")
    kept = lab.request("GET", url, headers=token).status_code

    lab.advance(50)
    lab.put_endpoint("ept-3")

    assert (kept, lab.request("GET", url, headers=token).status_code) == (200, 404)


def test_a_failed_jobs_own_run_can_say_the_steps_error(make_lab: MakeLab) -> None:
    lab = make_lab({"parent_error": "child"}).deployed()
    name = lab.invoke("https://example.org/x").json()["name"]
    lab.advance()

    assert "reaches no host but its own" in lab.history(f"{name}/details")["error"]["error"]["message"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": "UserError", "message": "boom", "script_failed": True}, "exited with status code 42"),
        ({"code": "UserError", "message": "no such input", "script_failed": False}, "no such input"),
    ],
    ids=["script", "input"],
)
def test_a_failed_steps_run_can_say_no_more_than_its_exit_code(
    make_lab: MakeLab, error: dict[str, object], words: str
) -> None:
    lab = make_lab({"step_error": "exit_code"}).deployed()
    name = lab.invoke().json()["name"]
    lab.advance()
    lab.scripted.started[0].finish("Failed", error=error)

    child = lab.history(f"{name}/children")["value"][0]["runId"]

    assert words in lab.history(f"{child}/details")["error"]["error"]["message"]


def test_what_is_open_of_a_jobs_run_is_told_to_its_driver(make_lab: MakeLab) -> None:
    plays = {
        "azureml_core": "needed",
        "max_retries_counts": "retries",
        "row_order": "arrival",
        "task_overhead_seconds": 30,
        "gpus_per_node": 2,
    }
    lab = make_lab(plays).deployed()
    name = lab.invoke().json()["name"]
    lab.advance()

    spec = json.loads((lab.home / "jobs" / name / "spec.json").read_text())

    assert {key: spec["settings"][key] for key in plays} == plays


def test_settings_change_at_run_time_and_say_themselves(lab: InProcessLab) -> None:
    changed = lab.control("PUT", "settings", {"operation_seconds": 0.5, "changed_asset": "accept"}).json()

    assert (changed["operation_seconds"], changed["changed_asset"]) == (0.5, "accept")
    assert lab.control("GET", "settings").json() == changed


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": 1}, "colour: no such setting"),
        ({"changed_asset": "maybe"}, "changed_asset: must be one of conflict, bad_request, accept, got 'maybe'"),
        ({"operation_seconds": -1}, "operation_seconds: must be a number of at least 0"),
        ({"max_drivers": 1.5}, "max_drivers: must be a whole number"),
        ({"taken_names": "x"}, "taken_names: must be a list of names"),
    ],
)
def test_an_unfit_setting_is_refused_by_name(lab: InProcessLab, settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words.partition(",")[0]):
        Plays().changed(settings)

    reply = lab.control("PUT", "settings", settings)

    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]
