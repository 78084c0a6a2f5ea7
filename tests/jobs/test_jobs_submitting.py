"""Submissions: once and only once, whatever happens to the process, its requests and their answers."""

from __future__ import annotations

import httpx
import pytest

from providers.aml.submission import LISTING
from tests.jobs.desk import STORE, Desk


def submitted(desk: Desk, words: str, *more: str) -> str:
    ran = desk.run(f"submit {words} --json", *more)
    assert ran.code == 0, ran
    return str(next(event["job"] for event in ran.events if event["event"] in ("submitted", "found")))


def test_a_folder_is_told_sent_and_scored_at_a_place_of_its_own(desk: Desk) -> None:
    desk.file("images/a.png", b"12345")
    desk.file("images/b.png", b"678")

    ran = desk.run("submit images")

    (job,) = desk.jobs
    lines = ran.out.splitlines()
    assert lines[0] == "input  images: 2 files, 8 bytes"
    assert lines[1].startswith("uploaded 8 bytes to azureml://datastores/workspaceblobstore/paths/jobs/ept-1/inputs/")
    assert lines[2] == f"started {job['name']} on dep-1 (the default)"
    assert lines[3] == f"output  {job['output']['uri'].replace(STORE, 'azureml://datastores/workspaceblobstore/paths')}"
    assert job["output"]["uri"].endswith("/1/predictions.csv")
    assert job["echo"]["inputData"]["input"]["jobInputType"] == "UriFolder"


def test_two_submissions_after_each_other_are_two_jobs_in_two_places(desk: Desk) -> None:
    desk.file("a.csv")

    first, second = submitted(desk, "a.csv"), submitted(desk, "a.csv")

    assert first != second
    assert len({job["output"]["uri"] for job in desk.jobs}) == 2


@pytest.mark.parametrize(
    ("delayed_listing", "ahead"),
    [(0, 7200.0), (LISTING - 5, -7200.0)],
    ids=["listed at once", "listed late, to a machine whose clock was behind"],
)
def test_a_command_that_dies_at_any_moment_finds_its_job_when_it_is_typed_again(
    desk: Desk, delayed_listing: float, ahead: float
) -> None:
    """Every request, line and note is a moment, before it is carried out and after."""
    desk.lab.control("PUT", "settings", {"delayed_listing": delayed_listing})
    desk.file("in/a.png", b"12345")
    step = 0
    while True:
        step += 1
        desk.ahead = ahead
        if not desk.killed_at(step, "submit in --mini-batch-size 3"):
            break
        desk.ahead = 0

        ran = desk.run("submit in --mini-batch-size 3")

        assert ran.code == 0, (step, ran)
        assert len(desk.jobs) == step, f"killed at step {step}"
    assert step > 40
    assert len(desk.jobs) == step


def test_a_command_that_dies_is_found_from_another_machine_until_it_told_that_it_is_finished(desk: Desk) -> None:
    """Without the local note, what lies beside the outputs decides: a machine that has it decides the last moment."""
    desk.file("a.csv")
    told = 0
    step = 0
    while True:
        step += 1
        before, finished = len(desk.jobs), notes(desk, "finished")
        if not desk.killed_at(step, "submit a.csv"):
            break
        told += notes(desk, "finished") > finished
        for note in (desk.folder / "unfinished").glob("*"):
            note.unlink()

        ran = desk.run("submit a.csv")

        assert ran.code == 0
        assert len(desk.jobs) == before + 1 + (notes(desk, "finished") - finished - 1), f"killed at step {step}"
    assert 0 < told < 5


def notes(desk: Desk, name: str) -> int:
    return sum(blob.endswith(f"/notes/{name}") for blob in desk.blobs.blobs)


def test_watching_that_was_broken_off_goes_on_when_the_command_is_typed_again(desk: Desk) -> None:
    desk.file("a.csv")

    def broken_off() -> None:
        raise KeyboardInterrupt

    desk.while_asleep = broken_off
    first = desk.run("submit a.csv --watch")
    desk.while_asleep = lambda: None
    name = desk.ends(predictions="a 1\n")
    second = desk.run("submit a.csv --watch")

    assert (first.code, second.code) == (130, 0)
    assert f"python -m jobs watch {name} --endpoint" in first.err
    assert f"python -m jobs cancel {name} --endpoint" in first.err
    assert f"found {name}" in second.out
    assert len(desk.jobs) == 1


@pytest.mark.parametrize("verb", ["watch", "download --to got"])
def test_who_has_seen_the_end_elsewhere_starts_anew(desk: Desk, verb: str) -> None:
    desk.file("a.csv")
    desk.while_asleep = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    desk.run("submit a.csv --watch")
    desk.while_asleep = lambda: None
    name = desk.ends(predictions="a 1\n")

    seen = desk.run(verb.replace(" ", f" {name} ", 1) if " " in verb else f"{verb} {name}")

    assert seen.code == 0
    assert submitted(desk, "a.csv") != name


def test_a_cancelled_job_is_not_found_again(desk: Desk) -> None:
    desk.file("a.csv")
    desk.while_asleep = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    desk.run("submit a.csv --watch")
    desk.while_asleep = lambda: None
    name = str(desk.jobs[0]["name"])

    ran = desk.run(f"cancel {name}")

    assert (ran.code, ran.out.strip()) == (0, f"{name} is Canceled")
    assert submitted(desk, "a.csv") != name


def test_yesterdays_interrupted_job_is_neither_taken_for_todays_nor_started_again(desk: Desk) -> None:
    desk.file("a.csv")
    desk.while_asleep = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    desk.run("submit a.csv --watch")
    desk.while_asleep = lambda: None
    name = desk.ends(predictions="a 1\n")
    desk.lab.advance(30 * 3600)

    ran = desk.run("submit a.csv")

    assert ran.code == 3
    assert f"interrupted 30 hours ago, after it had started {name}, which is Completed; --new starts another" in ran.err
    assert len(desk.jobs) == 1
    assert submitted(desk, "a.csv --new") != name


def test_a_clock_that_is_a_day_ahead_makes_no_job_yesterdays(desk: Desk) -> None:
    desk.file("a.csv")
    desk.while_asleep = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    desk.run("submit a.csv --watch")
    desk.while_asleep = lambda: None
    name = desk.ends(predictions="a 1\n")
    desk.ahead = 30 * 3600

    assert submitted(desk, "a.csv") == name


def test_a_key_of_ones_own_is_one_job_for_good(desk: Desk) -> None:
    desk.file("a.csv")

    first, second = submitted(desk, "a.csv --key run-7"), submitted(desk, "a.csv --key run-7")
    other = desk.run("submit a.csv --key run-7 --error-threshold 3")

    assert first == second
    assert other.code == 3
    assert "--key run-7 was used before for another submission" in other.err
    assert submitted(desk, "a.csv --key run-8") != first


def test_a_lost_answer_is_looked_up_and_not_sent_again(desk: Desk) -> None:
    desk.file("a.csv")

    def lost(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path == "/jobs":
            raise httpx.ReadError("connection reset")

    desk.after = lost
    name = submitted(desk, "a.csv")

    assert [job["name"] for job in desk.jobs] == [name]


@pytest.mark.parametrize(
    "nonsense",
    [httpx.Response(201, json={"hello": "world"}), httpx.Response(200, text="<html>sign in</html>")],
    ids=["no name", "a page"],
)
def test_nonsense_instead_of_a_job_is_one_message_and_no_second_job(desk: Desk, nonsense: httpx.Response) -> None:
    desk.file("a.csv")
    desk.before = lambda request: nonsense if (request.method, request.url.path) == ("POST", "/jobs") else None

    ran = desk.run("submit a.csv")

    assert ran.code == 3
    assert len(ran.err.strip().splitlines()) == 2
    assert "-> " in ran.err
    assert desk.jobs == []


def test_a_job_that_is_refused_leaves_nothing_to_find(desk: Desk) -> None:
    desk.file("a.csv")
    refused = httpx.Response(400, json={"error": {"code": "UserError", "message": "no"}})
    desk.before = lambda request: refused if (request.method, request.url.path) == ("POST", "/jobs") else None
    ran = desk.run("submit a.csv")
    desk.before = lambda request: None
    slept = desk.lab.clock()

    name = submitted(desk, "a.csv")

    assert ran.code == 3
    assert [job["name"] for job in desk.jobs] == [name]
    assert desk.jobs[0]["output"]["uri"].endswith("/1/predictions.csv")
    assert desk.lab.clock() - slept < 5


def test_settings_for_one_job_are_sent_with_it(desk: Desk) -> None:
    desk.file("a.csv")

    submitted(
        desk,
        "a.csv --mini-batch-size 3 --instance-count 2 --max-concurrency 4 --max-retries 1 --timeout 45s "
        "--error-threshold -1 --logging-level debug --output-action append_row --experiment trial --tag who=me",
    )

    (job,) = desk.jobs
    echo = job["echo"]
    assert (echo["miniBatchSize"], echo["maxConcurrencyPerInstance"], echo["errorThreshold"]) == (3, 4, -1)
    assert (echo["compute"]["instanceCount"], echo["loggingLevel"]) == (2, "Debug")
    assert job["retry_settings"] == {"maxRetries": 1, "timeout": "PT45S"}
    assert (job["properties"]["experimentName"], job["tags"]["who"]) == ("trial", "me")


def test_all_settings_that_cannot_be_are_told_at_once_and_nothing_is_sent(desk: Desk) -> None:
    desk.file("a.csv")

    ran = desk.run(
        "submit a.csv --mini-batch-size many --error-threshold -2 --timeout soon --tag who --output-action x"
    )

    assert ran.code == 3
    for each in (
        "--mini-batch-size: must be a whole number, got 'many'",
        "--error-threshold: must be at least -1, got '-2'",
        "--timeout: must be a duration such as PT30S or 30s, got 'soon'",
        "--tag: must be NAME=VALUE, with a value, got 'who'",
        "--output-action: must be one of AppendRow, SummaryOnly, got 'x'",
    ):
        assert each in ran.err
    assert desk.requests == []


def test_another_output_action_than_the_deployments_is_refused(desk: Desk) -> None:
    desk.file("a.csv")

    ran = desk.run("submit a.csv --output-action summary_only")

    assert ran.code == 3
    assert "the deployment dep-1 has AppendRow, and the service lets no job override it" in ran.err


def test_a_place_of_ones_own_is_written_to_and_not_over(desk: Desk) -> None:
    desk.file("a.csv")
    name = submitted(desk, "a.csv --output azureml://datastores/workspaceblobstore/paths/mine --output-file best.csv")
    place = desk.jobs[0]["output"]["uri"]

    still_running = desk.run(
        "submit a.csv --output azureml://datastores/workspaceblobstore/paths/mine --output-file best.csv"
    )
    desk.ends(predictions="a 1\n")
    there = desk.run(
        "submit a.csv --output azureml://datastores/workspaceblobstore/paths/mine/best.csv --output-file best.csv"
    )

    assert place == f"{STORE}/mine/best.csv"
    assert (still_running.code, there.code) == (3, 3)
    assert f"{name}, which is not at its end, writes to the same --output" in still_running.err
    assert f"{STORE}/mine/best.csv exists" in there.err
    assert len(desk.jobs) == 1


def test_a_place_of_ones_own_that_died_is_found_again(desk: Desk) -> None:
    desk.file("a.csv")
    words = "submit a.csv --output azureml://datastores/workspaceblobstore/paths/mine/{}"
    for step in range(20, 60, 3):
        before = len(desk.jobs)
        if not desk.killed_at(step, words.format(step)):
            break
        ran = desk.run(words.format(step))

        assert ran.code == 0, (step, ran)
        assert len(desk.jobs) == before + 1
    assert step > 35


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--output https://elsewhere", "--output: must be azureml://datastores/"),
        ("--output azureml://datastores/workspaceblobstore/paths/", "names no path in the datastore"),
        ("--output azureml://datastores/nope/paths/x", "datastores/nope does not exist"),
        ("--deployment blue", "there is no deployment 'blue' on the endpoint ept-1; it has dep-1"),
        ("--literal x=1", "the service takes literals for pipeline deployments alone"),
        ("--input other=a.csv", "reads exactly one input, and 2 were given"),
        ("--register bad/name", "--register: must be NAME or NAME:VERSION"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(desk: Desk, words: str, said: str) -> None:
    desk.file("a.csv")

    ran = desk.run(f"submit a.csv {words}")

    assert ran.code == 3
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert desk.jobs == []


def test_an_endpoint_without_a_default_says_which_deployments_there_are(desk: Desk) -> None:
    desk.file("a.csv")
    desk.lab.put_endpoint()
    desk.lab.advance()

    ran = desk.run("submit a.csv")
    named = desk.run("submit a.csv --deployment dep-1")

    assert ran.code == 3
    assert "has no default deployment; name one with --deployment: dep-1" in ran.err
    assert named.code == 0
    assert named.out.splitlines()[2].endswith("on dep-1")
