"""Watching: what is shown while a job runs, how it ends, and what is survived on the way."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from jobs.watching import PATIENCE
from tests.jobs.desk import Desk

OVERVIEW = "logs/job_progress_overview.2027011508.txt"
STD = "user_logs/std_log_0.txt"
SCHEDULED = (
    "2027-01-15T08:00:00.000000 Scheduling finished. Scheduled 40 mini batches in 2 seconds. There are 40 tasks with "
    "400 items.\n"
)


def processed(done: int, failed: int | None = None) -> str:
    """The service's line; with failures the lab's below it."""
    text = f"2027-01-15T08:00:10.000000 Processed {done} of 40 mini batches in 0:00:{done:02d}. Estimated remaining time 0:00:{40 - done:02d}.\n"  # noqa: E501
    if failed is not None:
        text += f"2027-01-15T08:00:10.000000 Mini batches: 40 total, {done - failed} done, {failed} failed. Items: 400 total, 1 succeeded, 3 failed. Rows: 1.\n"  # noqa: E501
    return text


def script(desk: Desk, *steps: Callable[[], object]) -> None:
    """One step for each time that the watcher sleeps."""
    waiting = list(steps)
    desk.while_asleep = lambda: waiting.pop(0)() if waiting else None


@pytest.fixture
def job(desk: Desk) -> Desk:
    desk.file("a.csv")
    assert desk.run("submit a.csv").code == 0
    return desk


def running(desk: Desk, overview: str, std: str = "scoring\n") -> Callable[[], None]:
    def step() -> None:
        name = desk.jobs[0]["name"]
        desk.drivers[-1].say("Running", logs=desk.logs(name, {OVERVIEW: overview, STD: std}))

    return step


def test_a_job_is_followed_to_its_end_in_lines(job: Desk) -> None:
    script(
        job,
        lambda: job.drivers[-1].say(
            "Preparing", logs=job.logs(job.jobs[0]["name"], {"azureml-logs/20_image_build_log.txt": "pip\n"})
        ),
        running(job, SCHEDULED),
        running(job, SCHEDULED + processed(10)),
        lambda: None,
        running(job, SCHEDULED + processed(10) + processed(20, 1)),
        running(job, SCHEDULED + processed(10) + processed(20, 1) + processed(30, 2)),
        lambda: job.lab.advance(20),
        lambda: job.ends(predictions="a 1\n", logs={OVERVIEW: SCHEDULED + processed(40, 2)}),
    )

    ran = job.run("watch")

    name = job.jobs[0]["name"]
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert any(line.startswith("Preparing, building the environment, ") for line in lines)
    assert any(line.startswith("Running, scoring, 0 of 40 mini-batches, ") for line in lines)
    assert any("30 of 40 mini-batches, 2 failed, 60.0 a minute, " in line and "0:10 left" in line for line in lines)
    assert f"{name} Completed after 1:" in ran.out
    assert "40 of 40 mini-batches, 2 failed" in ran.out
    assert f"results  python -m jobs show {name} --endpoint" in ran.out
    assert len(lines) < 12


@pytest.mark.parametrize(("status", "code"), [("Completed", 0), ("Failed", 1), ("Canceled", 2)])
def test_the_end_is_the_exit_code(job: Desk, status: str, code: int) -> None:
    script(job, lambda: job.ends(status, error={"code": "UserError", "message": "boom"} if code == 1 else None))

    assert job.run("watch").code == code


def test_programs_get_an_object_a_line(job: Desk) -> None:
    script(
        job,
        running(job, SCHEDULED + processed(10, 1)),
        lambda: job.ends(predictions="a 1\n", logs={OVERVIEW: SCHEDULED + processed(40, 1)}),
    )

    ran = job.run("watch --json")

    progress, end = ran.events[-2], ran.events[-1]
    assert progress["event"] == "progress"
    assert progress["mini_batches"] == {"total": 40, "processed": 10, "failed": 1, "per_minute": 60.0}
    assert progress["remaining_seconds"] == 30
    assert (end["event"], end["status"], end["exit_code"]) == ("ended", "Completed", 0)
    assert end["outputs"]["score"].endswith("/1/predictions.csv")


TRACEBACK = """\
This file shows errors in loading, calling init() and calling run() of the entry script.
The process000 on node 0 failed with error: Traceback (most recent call last):
  File "/mnt/azureml/cr/j/1/exe/wd/driver/azureml_user/parallel_run/entry.py", line 9, in call
    return run(mini_batch)
  File "/mnt/azureml/cr/j/1/exe/wd/score.py", line 46, in run
    digits = parse(path)
  File "/azureml-envs/x/lib/python3.10/json/decoder.py", line 355, in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
This was run() on mini-batch 3 (a.png, b.png and 8 more).
"""


def test_a_failed_job_tells_the_scripts_own_exception_and_what_it_was_on(job: Desk) -> None:
    script(
        job,
        lambda: job.ends(
            "Failed",
            error={"code": "UserError", "message": "Execution failed. User process exited with status code 42."},
            logs={"logs/user/error.txt": TRACEBACK},
        ),
    )

    ran = job.run("watch")

    assert ran.code == 1
    assert (
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0) (score.py, line 46), on mini-batch 3 "
        "(a.png, b.png and 8 more); Execution failed. User process exited with status code 42."
    ) in ran.out
    assert "  |     digits = parse(path)" in ran.out
    assert "--file logs/user/error.txt" in ran.out


def test_an_environment_that_cannot_be_built_tells_the_package(job: Desk) -> None:
    build = (
        "Step 7: pip install\nCollecting numpy\nERROR: Could not find a version that satisfies the requirement "
        "nosuchthing==9 (from versions: none)\nERROR: No matching distribution found for nosuchthing==9\n"
    )
    script(job, lambda: job.ends("Failed", logs={"azureml-logs/20_image_build_log.txt": build}))

    ran = job.run("watch")

    assert "No matching distribution found for nosuchthing==9" in ran.out
    assert "  | Collecting numpy" in ran.out


def test_ctrl_c_ends_the_watching_and_not_the_job(job: Desk) -> None:
    def ctrl_c() -> None:
        raise KeyboardInterrupt

    script(job, ctrl_c)
    name = job.jobs[0]["name"]

    ran = job.run("watch")

    assert ran.code == 130
    assert ran.err.strip().splitlines()[0] == f"no longer watching; {name} goes on:"
    assert f"python -m jobs cancel {name} --endpoint" in ran.err
    assert job.jobs[0]["active"]


def test_a_service_that_is_away_for_a_while_is_waited_for(job: Desk) -> None:
    away = {"on": False}

    def before(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503, text="try later") if away["on"] else None

    job.before = before
    script(
        job,
        running(job, SCHEDULED + processed(10)),
        lambda: away.update(on=True),
        *([lambda: None] * 30),
        lambda: away.update(on=False),
        lambda: job.ends(predictions="a 1\n"),
    )

    ran = job.run("watch")

    assert ran.code == 0
    assert "no answer just now: " in ran.out


def test_a_service_that_stays_away_is_given_up_and_the_job_is_not(job: Desk) -> None:
    def before(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503, text="try later") if job.lab.clock() > began + 30 else None

    began = job.lab.clock()
    job.before = before

    ran = job.run("watch")

    assert ran.code == 3
    assert job.lab.clock() - began > PATIENCE
    assert f"goes on, whatever this says: python -m jobs watch {job.jobs[0]['name']}" in ran.err


def test_tokens_that_expire_while_it_watches_are_renewed(job: Desk) -> None:
    renewed = job.credential.renewed
    script(
        job,
        running(job, SCHEDULED + processed(10)),
        lambda: job.lab.advance(4000),
        lambda: job.lab.advance(4000),
        lambda: job.ends(predictions="a 1\n"),
    )

    ran = job.run("watch")

    assert ran.code == 0
    assert job.credential.renewed > renewed


def test_a_sign_in_that_is_no_longer_granted_is_one_message(job: Desk) -> None:
    def no_more() -> None:
        job.credential.refused = "AADSTS700082: the refresh token has expired"
        job.lab.advance(4000)

    script(job, no_more)

    ran = job.run("watch")

    assert ran.code == 3
    assert "AADSTS700082" in ran.err
    assert "goes on, whatever this says" in ran.err
    assert "Traceback" not in ran.err


def test_a_token_of_the_wrong_audience_is_one_message(job: Desk) -> None:
    job.credential.mixed_up = True
    job.lab.advance(4000)  # what was given before has expired

    ran = job.run("watch")

    assert ran.code == 3
    assert "InvalidAuthenticationTokenAudience" in ran.err
    assert len(ran.err.strip().splitlines()) <= 3


def test_a_job_that_is_not_there_says_which_are(job: Desk) -> None:
    name = job.jobs[0]["name"]

    ran = job.run("watch batchjob-nope")

    assert ran.code == 3
    assert f"there is no job batchjob-nope in lab; the newest of ept-1 are {name}" in ran.err


@pytest.mark.parametrize("page", ["<html><title>Sign in</title></html>", '{"half'])
def test_nonsense_from_the_start_is_one_message(job: Desk, page: str) -> None:
    job.before = lambda request: httpx.Response(200, text=page)

    ran = job.run("watch batchjob-1")

    assert ran.code == 3
    assert "a proxy or a sign-in page may have answered instead" in ran.err
