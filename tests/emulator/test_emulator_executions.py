"""Jobs in execution: in turn, watched, cancelled, and found again after a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.emulator.drivers import ProcessDrivers, kill_groups
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


def test_jobs_that_wait_for_nodes_hold_up_nobody(lab: InProcessLab) -> None:
    lab.deployed()
    lab.control("PUT", "settings", {"provisioning_seconds": 3600, "max_drivers": 1})
    for _ in range(30):
        lab.invoke()
    lab.control("PUT", "settings", {"provisioning_seconds": 0})
    lab.invoke()

    lab.advance()

    assert len(lab.scripted.started) == 1


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


def test_a_job_whose_driver_went_with_the_machine_begins_anew_in_an_empty_folder(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    lab.scripted.started[0].say("Running", phase="scoring: 3 of 8 mini-batches", logs={"a": {}})
    (lab.home / "jobs" / name / "input").mkdir()
    lab.scripted.started[0].running = False

    lab.restart()
    lab.advance()
    seen = (status(lab, name), lab.history(f"{name}/details")["logFiles"])
    lab.advance()

    assert seen == ("Queued", {})
    assert [each.spec.parent.name for each in lab.scripted.started] == [name, name]
    assert [each.name for each in (lab.home / "jobs" / name).iterdir()] == ["spec.json"]


def test_a_status_file_that_a_fallen_machine_left_empty_is_no_obstacle(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    (lab.home / "jobs" / name / "status.json").write_text("")
    lab.scripted.started[0].running = False

    lab.restart()
    lab.advance()
    lab.advance()
    lab.scripted.started[1].finish()

    assert status(lab, name) == "Completed"


def test_a_job_that_takes_the_machine_down_with_it_is_not_begun_for_ever(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    for _ in range(5):
        lab.advance()
        lab.advance()
        lab.scripted.started[-1].running = False
        lab.restart()
    lab.advance()

    assert (status(lab, name), len(lab.scripted.started)) == ("Failed", 3)
    child = lab.history(f"{name}/children")["value"][0]["runId"]
    assert "begun 3 times" in lab.history(f"{child}/details")["error"]["error"]["message"]


def test_a_cancelled_job_whose_driver_went_with_the_machine_stays_cancelled(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    lab.arm("POST", f"jobs/{name}/cancel")
    lab.scripted.started[0].running = False

    lab.restart()
    lab.advance()

    assert (status(lab, name), len(lab.scripted.started)) == ("Canceled", 1)


def test_a_job_that_ends_while_the_emulator_is_ended_is_not_begun_anew(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    lab.advance()
    lab.scripted.started[0].finish()

    lab.app.cloud.executions.stop(seconds=0.0)

    assert status(lab, name) == "Completed"


def test_a_driver_that_a_killed_emulator_did_not_note_is_the_jobs_own(lab: InProcessLab) -> None:
    name = lab.deployed().invoke().json()["name"]
    unnoted = lab.scripted.start(lab.home / "jobs" / name / "spec.json")
    unnoted.spec.parent.mkdir(parents=True)
    (unnoted.spec.parent / "pid").write_text(f"{unnoted.pid}\n")

    lab.advance()
    unnoted.finish()
    lab.advance()

    assert (status(lab, name), len(lab.scripted.started)) == ("Completed", 1)


def test_a_job_that_breaks_the_emulators_rules_fails_alone(lab: InProcessLab) -> None:
    broken, good = (lab.deployed().invoke().json()["name"] for _ in range(2))
    lab.advance()
    for driver in lab.scripted.started:
        driver.finish()
    (lab.home / "jobs" / broken / "status.json").write_text("[]")

    lab.advance()

    assert (status(lab, broken), status(lab, good)) == ("Failed", "Completed")
    child = lab.history(f"{broken}/children")["value"][0]["runId"]
    assert "The lab cannot go on with job" in lab.history(f"{child}/details")["error"]["error"]["message"]


def test_only_workers_of_the_job_are_killed_after_their_driver() -> None:
    """Ids are used again: a stranger may have the id of a worker that is long gone."""
    sleep = ["sleep", "600"]
    ours = subprocess.Popen(sleep, env={"AZUREML_RUN_ID": "batchjob-1"}, start_new_session=True)
    strangers = subprocess.Popen(sleep, env={}, start_new_session=True)
    try:
        kill_groups([ours.pid, strangers.pid, 2**22 + 1], "batchjob-1")

        assert ours.wait(10) == -signal.SIGKILL
        assert strangers.poll() is None
    finally:
        strangers.kill()
        strangers.wait()
        ours.kill()


def test_a_new_job_is_missing_from_lists_for_as_long_as_is_played(make_lab: MakeLab) -> None:
    lab = make_lab({"delayed_listing": 20}).deployed()
    lab.advance(30)
    name = lab.invoke().json()["name"]

    def listed() -> list[int]:
        return [len(lab.score("GET", "jobs").json()["value"]), len(lab.arm("GET", "jobs").json()["value"])]

    early = listed()
    known = lab.arm("GET", f"jobs/{name}").status_code
    lab.advance(21)

    assert (early, known, listed()) == ([0, 0], 200, [1, 1])
