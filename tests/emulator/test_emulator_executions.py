"""Jobs in execution: in turn, watched, cancelled, and found again after a restart."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lab.emulator.drivers import ProcessDrivers
from tests.emulator.conftest import MakeLab
from tests.emulator.in_process_lab import InProcessLab


def status(lab: InProcessLab, name: str) -> str:
    return str(lab.arm("GET", f"jobs/{name}").json()["properties"]["status"])


def test_the_drivers_words_are_the_jobs_status(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    seen = [status(lab, name)]
    lab.advance()
    driver = lab.scripted.started[0]

    for word in ("NotStarted", "Running", "Finalizing"):
        driver.say(word)
        seen.append(status(lab, name))
    driver.finish(started="2026-01-01T00:00:00.000000Z", ended="2026-01-01T00:01:00.000000Z", outputs=[])
    seen.append(status(lab, name))

    assert seen == ["Preparing", "Preparing", "Running", "Finalizing", "Completed"]
    details = lab.history(f"{name}/details")
    assert (details["startTimeUtc"], details["endTimeUtc"]) == (
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:01:00.000000Z",
    )


def test_an_ended_job_says_where_its_output_lies(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    lab.scripted.started[0].finish()

    output = lab.score("GET", f"jobs/{name}").json()["properties"]["output"]

    assert output["datastoreId"].endswith("/datastores/workspaceblobstore")
    assert output["path"].endswith("/score/predictions.csv")


def test_a_failed_step_shows_its_error_and_signed_logs(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    logs = {
        "logs/azureml/executionlogs.txt": {"container": "azureml", "path": "e.txt"},
        "logs/user/error.txt": {"container": "azureml", "path": "u.txt"},
    }
    lab.scripted.started[0].finish("Failed", error={"code": "UserError", "message": "boom"}, logs=logs)

    child = lab.history(f"{name}/children")["value"][0]["runId"]
    of_step, of_job = (lab.history(f"{run}/details") for run in (child, name))

    assert of_step["error"]["error"]["message"] == "boom"
    assert list(of_step["logFiles"]) == ["logs/user/error.txt"]
    assert list(of_job["logFiles"]) == ["logs/azureml/executionlogs.txt"]
    assert of_step["logFiles"]["logs/user/error.txt"].startswith(
        "https://labstore.blob.core.windows.net/azureml/u.txt?sig="
    )


def test_jobs_wait_for_their_turn(make_lab: MakeLab) -> None:
    lab = make_lab({"max_drivers": 1}).deployed()
    first, second = (lab.invoke().json()["name"] for _ in range(2))
    lab.advance()
    waiting = status(lab, second)

    lab.scripted.started[0].finish()
    lab.advance()

    assert (status(lab, first), waiting) == ("Completed", "Queued")
    assert [driver.spec.parent.name for driver in lab.scripted.started] == [first, second]


def test_a_job_waits_for_nodes_when_that_takes_time(make_lab: MakeLab) -> None:
    lab = make_lab({"provisioning_seconds": 60}).deployed()
    lab.invoke()

    lab.advance(30)
    early = len(lab.scripted.started)
    lab.advance(31)

    assert (early, len(lab.scripted.started)) == (0, 1)


def test_a_driver_that_dies_without_a_word_fails_its_job(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    lab.scripted.started[0].running = False
    lab.advance()

    child = lab.history(f"{name}/children")["value"][0]["runId"]
    message = lab.history(f"{child}/details")["error"]["error"]["message"]
    assert status(lab, name) == "Failed"
    assert "ended without a result (exit code 7)" in message
    assert "driver.log" in message


def test_cancelling_a_running_job_asks_its_driver(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    driver = lab.scripted.started[0]

    reply = lab.arm("POST", f"jobs/{name}/cancel")
    between = status(lab, name)
    driver.finish("Canceled")
    lab.advance()

    assert (reply.status_code, driver.signals, between, status(lab, name)) == (
        202,
        [signal.SIGTERM],
        "CancelRequested",
        "Canceled",
    )
    assert lab.arm("POST", f"jobs/{name}/cancel").status_code == 200


def test_a_driver_that_does_not_listen_is_killed(make_lab: MakeLab) -> None:
    lab = make_lab({"cancel_grace_seconds": 30}).deployed()
    name = lab.invoke().json()["name"]
    lab.advance()
    lab.arm("POST", f"jobs/{name}/cancel")

    lab.advance(31)
    lab.advance(1)

    assert lab.scripted.started[0].signals == [signal.SIGTERM, signal.SIGKILL]
    assert status(lab, name) == "Canceled"


def test_cancelling_a_waiting_job_starts_nothing(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]

    lab.arm("POST", f"jobs/{name}/cancel")
    lab.advance()

    assert (status(lab, name), lab.scripted.started) == ("Canceled", [])


def test_a_restarted_emulator_adopts_what_runs_and_starts_what_does_not(make_lab: MakeLab) -> None:
    lab = make_lab({"max_drivers": 1}).deployed()
    first, second = (lab.invoke().json()["name"] for _ in range(2))
    lab.advance()

    lab.restart()
    lab.advance()
    adopted = (len(lab.scripted.started), status(lab, first))
    lab.scripted.started[0].finish()
    lab.advance()

    assert adopted == (1, "Preparing")
    assert status(lab, first) == "Completed"
    assert lab.scripted.started[1].spec.parent.name == second


def test_a_job_that_ended_while_no_emulator_ran_is_found_ended(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    lab.scripted.started[0].finish()
    lab.restart()

    assert status(lab, name) == "Completed"


def test_an_orderly_stop_ends_drivers_and_the_next_emulator_starts_the_job_anew(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    driver = lab.scripted.started[0]
    driver.say("Running")

    lab.app.cloud.executions.stop(seconds=0.0)
    lab.restart()
    lab.advance()

    assert driver.signals == [signal.SIGTERM, signal.SIGKILL]
    assert [each.spec.parent.name for each in lab.scripted.started] == [name, name]


def test_an_ended_job_can_be_deleted_and_a_running_one_cannot(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    running = lab.arm("DELETE", f"jobs/{name}").status_code
    lab.scripted.started[0].finish()

    assert (running, lab.arm("DELETE", f"jobs/{name}").status_code) == (409, 200)
    assert lab.arm("GET", f"jobs/{name}").status_code == 404
    assert not (lab.home / "jobs" / name).exists()


def test_jobs_outlive_their_endpoint(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.arm("DELETE", "batchEndpoints/ept-1")
    lab.advance()

    assert lab.arm("GET", f"jobs/{name}").status_code == 200
    assert len(lab.arm("GET", "jobs").json()["value"]) == 1


@pytest.fixture
def cheap_drivers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ProcessDrivers:
    """Real processes that sleep instead of scoring: an interpreter on PATH's place that ignores its module."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(script))
    return ProcessDrivers()


def test_a_real_process_is_started_signalled_and_reaped(cheap_drivers: ProcessDrivers, tmp_path: Path) -> None:
    driver = cheap_drivers.start(tmp_path / "spec.json")
    began = driver.alive()

    driver.signal(signal.SIGTERM)
    until = time.monotonic() + 120
    while driver.alive() and time.monotonic() < until:
        os.sched_yield()

    assert (began, driver.alive(), driver.ended()) == (True, False, "signal 15")
    assert cheap_drivers.find(driver.pid, tmp_path / "spec.json") is None


def test_a_real_driver_whose_storage_is_away_fails_its_job(make_lab: MakeLab) -> None:
    lab = make_lab(drivers=ProcessDrivers()).deployed()
    name = lab.invoke().json()["name"]
    until = time.monotonic() + 120
    while status(lab, name) not in {"Failed", "Completed"} and time.monotonic() < until:
        lab.advance(1.0)

    assert status(lab, name) == "Failed"
