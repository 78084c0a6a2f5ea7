"""list, show, logs, cancel and download, at a lab without sockets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.blob.blob_service import refusal
from tests.jobs.desk import CONTAINER, Desk

OVERVIEW = "logs/job_progress_overview.2027011508.txt"
REPORT = "logs/sys/job_report/processed_mini-batches.csv"
STD = "user_logs/std_log_0.txt"
ROWS = "".join(f"{number:03d}.png {number % 3} {number / 100}\n" for number in range(50))


def report(*tries: tuple[str, str, str]) -> str:
    """(mini-batch, status, message) of each try."""
    out = io.StringIO()
    columns = ("Mini-batch Id", "Picked Count", "Total", "Status", "Error Message", "Mini-batch Detail")
    writer = csv.writer(out)
    writer.writerow(columns)
    for mini_batch, status, message in tries:
        detail = json.dumps({"files": [f"{mini_batch}.png", "more.png"]})
        writer.writerow([mini_batch, 1, 10, status, message, detail])
    return out.getvalue()


@pytest.fixture
def job(desk: Desk) -> Desk:
    desk.file("a.csv")
    assert desk.run("submit a.csv").code == 0
    return desk


def name_of(desk: Desk) -> str:
    return str(desk.jobs[0]["name"])


# list


def test_jobs_are_listed_the_newest_first(desk: Desk) -> None:
    for _ in range(3):
        desk.file("a.csv")
        desk.run("submit a.csv")
        desk.lab.advance(1)
    desk.ends("Failed")

    ran, found = desk.run("list"), desk.run("list --json --limit 2")
    failed = desk.run("list --status failed --json")

    names = [job["name"] for job in desk.jobs]
    assert [line.split()[0] for line in ran.out.splitlines()] == ["job", *names]
    assert [job["job"] for job in found.document["jobs"]] == names[:2]
    assert len(failed.document["jobs"]) == 1
    assert desk.run("list --deployment other").err.strip() == "the endpoint ept-1 has no such job"


def test_where_the_data_planes_list_misbehaves_arms_is_taken(job: Desk) -> None:
    """azureml-examples#4041."""
    job.before = lambda request: (
        httpx.Response(500, json={"error": {"code": "InternalError", "message": "no"}})
        if "mferp" in request.url.path
        else None
    )

    assert [each["job"] for each in job.run("list --json").document["jobs"]] == [name_of(job)]


def test_a_table_in_a_file_is_not_cut_off(job: Desk) -> None:
    (line,) = job.run("list").out.splitlines()[1:]

    assert line.endswith("/a.csv")
    assert "…" not in line


# show


def test_a_completed_job_is_summed_up(job: Desk) -> None:
    overview = "x Processed 8 of 8 mini batches in 0:00:05. Estimated remaining time 0:00:00.\n"
    job.ends(
        predictions=ROWS,
        logs={
            OVERVIEW: overview,
            REPORT: report(("0", "RUN_DONE", ""), ("1", "RUN_EXCEPTION", "bad"), ("1", "RUN_TIMEOUT", "too late")),
        },
    )

    ran, found = job.run("show --rows 2 --columns file,class,p"), job.run("show --json").document

    assert ran.code == 0
    assert "50 rows, 3 columns (spaces between columns); the first:" in ran.out
    assert [line.split() for line in ran.out.splitlines()[-3:]] == [
        ["file", "class", "p"],
        ["000.png", "0", "0.0"],
        ["001.png", "1", "0.01"],
    ]
    assert "failed after 2 tries: mini-batch 1 (1.png, more.png and 8 more): too late" in ran.out
    assert found["results"]["rows"] == 50
    assert found["failed_mini_batches"][0]["reason"] == "too late"
    assert found["mini_batches"] == {"total": 8, "processed": 8, "failed": None}
    assert found["inputs"]["input"].endswith("/a.csv")


def test_a_failed_job_is_shown_with_its_reason(job: Desk) -> None:
    trace = 'Traceback (most recent call last):\n  File "/x/score.py", line 3, in run\n    boom()\nValueError: boom\n'
    job.ends("Failed", logs={"logs/user/error.txt": trace})

    ran = job.run("show")

    assert "ValueError: boom (score.py, line 3)" in ran.out
    assert "  | ValueError: boom" in ran.out


def test_a_running_job_is_shown_without_results(job: Desk) -> None:
    ran = job.run(f"show {name_of(job)}")

    assert ran.code == 0
    assert "rows" not in ran.out
    assert "Preparing" in ran.out


def test_a_job_whose_output_was_deleted_says_so(job: Desk) -> None:
    job.ends()

    assert "nothing lies at its output" in job.run("show").out


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_distribution_of_a_column_is_drawn(job: Desk, suffix: str) -> None:
    job.ends(predictions=ROWS)

    ran = job.run(f"show --plot classes.{suffix} --column 2")

    picture = (job.folder / f"classes.{suffix}").read_bytes()
    assert ran.err.strip() == f"drew column 2 to classes.{suffix}"
    assert picture.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--plot x.png --column 9", "there is no column '9'; there are 1 to 3"),
        ("--plot x.png --columns a,b,c --column d", "there is no column 'd'; there are a, b, c"),
        ("--plot x.docx", "--plot: must be a .png, .svg or .pdf file"),
        ("--plot nowhere/x.png", "there is no folder"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(job: Desk, words: str, said: str) -> None:
    job.ends(predictions=ROWS)

    ran = job.run(f"show {words}")

    assert ran.code == 3
    assert said in ran.err


def test_without_matplotlib_a_picture_says_what_to_install(job: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)

    ran = job.run("show --plot x.png")

    assert ran.code == 3
    assert "--plot needs matplotlib" in ran.err


def test_an_endpoint_without_jobs_has_none_to_show(desk: Desk) -> None:
    ran = desk.run("show")

    assert ran.code == 3
    assert "the endpoint ept-1 has no job yet" in ran.err


# logs


def test_a_jobs_main_log_is_told_and_others_by_their_end(job: Desk) -> None:
    job.ends(logs={STD: "".join(f"line {n}\n" for n in range(100)), "logs/user/error.txt": "bad\n"})

    assert job.run("logs -n 3").out.splitlines() == ["line 97", "line 98", "line 99"]
    assert job.run("logs --file error.txt").out == "bad\n"
    assert job.run("logs --list").out.splitlines() == ["logs/user/error.txt", STD]
    assert job.run("logs --file 'logs/user/*' --json").document["lines"] == ["bad"]


def test_a_log_is_followed_to_the_jobs_end(job: Desk) -> None:
    name = name_of(job)
    steps: list[Callable[[], object]] = [
        lambda: job.drivers[-1].say("Running", logs=job.logs(name, {STD: "one\n"})),
        lambda: job.drivers[-1].say("Running", logs=job.logs(name, {STD: "one\ntwo ü\n"})),
        lambda: job.ends(logs={STD: "one\ntwo ü\nthree\n"}),
    ]
    job.while_asleep = lambda: steps.pop(0)() if steps else None

    assert job.run("logs -f").out.splitlines() == ["one", "two ü", "three"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--file nope.txt", "has no log 'nope.txt'; it has"),
        ("--file '*'", "'*' may be"),
        ("nope", "there is no job nope"),
    ],
)
def test_a_log_that_is_not_there_says_which_are(job: Desk, words: str, said: str) -> None:
    job.ends(logs={STD: "x\n", "logs/readme.txt": "y\n"})

    ran = job.run(f"logs {words}")

    assert ran.code == 3
    assert said in ran.err


# cancel


def test_a_job_is_cancelled_and_its_end_waited_for(job: Desk) -> None:
    job.lab.advance()
    name = name_of(job)
    job.while_asleep = lambda: job.drivers[-1].finish("Canceled")

    ran, again = job.run(f"cancel {name}"), job.run(f"cancel {name} --json")

    assert (ran.code, ran.out.strip()) == (0, f"{name} is Canceled")
    assert (again.code, again.document) == (0, {"event": "ended", "job": name, "status": "Canceled"})


def test_a_cancellation_that_takes_too_long_says_how_to_go_on(job: Desk) -> None:
    job.lab.control("PUT", "settings", {"cancel_grace_seconds": 10_000})
    job.lab.advance()
    name = name_of(job)
    job.drivers[-1].say("Running")

    ran = job.run(f"cancel {name} --wait 20")
    unwaited = job.run(f"cancel {name} --no-wait")

    assert ran.code == 3
    assert f"{name} is CancelRequested 20 s after it was told to end; it was asked, and will" in ran.err
    assert (unwaited.code, unwaited.out.strip()) == (0, f"{name} is CancelRequested")


# download


def test_what_a_job_wrote_is_fetched_with_the_files_beside_it(job: Desk) -> None:
    job.lab.advance()
    folder = str(job.jobs[0]["output"]["path"]).rpartition("/")[0]
    job.put(f"{folder}/extra/deep.parquet", b"PAR1")
    name = job.ends(predictions=ROWS)

    ran = job.run("download")
    again = job.run("download --json")

    there = {
        file.relative_to(job.folder / name).as_posix() for file in (job.folder / name).rglob("*") if file.is_file()
    }
    assert there == {"predictions.csv", "extra/deep.parquet"}
    assert (job.folder / name / "predictions.csv").read_text() == ROWS
    assert ran.out.splitlines()[0].startswith(f"2 files, {len(ROWS) + 4} bytes in {name}")
    assert (again.document["fetched"], again.document["kept"]) == (0, 2)


def test_what_is_in_the_way_stops_everything_before_anything_is_fetched(job: Desk) -> None:
    job.lab.advance()
    folder = str(job.jobs[0]["output"]["path"]).rpartition("/")[0]
    job.put(f"{folder}/extra.txt", b"new")
    job.ends(predictions=ROWS)
    job.file("got/extra.txt", "mine")

    ran = job.run("download --to got")
    before = sorted(file.name for file in (job.folder / "got").iterdir())
    replaced = job.run("download --to got --overwrite")

    assert ran.code == 3
    assert "extra.txt: there already, with other content; nothing was fetched" in ran.err
    assert before == ["extra.txt"]
    assert replaced.code == 0
    assert (job.folder / "got" / "extra.txt").read_text() == "new"


def test_a_broken_download_leaves_nothing_under_its_final_name(job: Desk) -> None:
    job.ends(predictions=ROWS)
    job.blobs.fault = lambda what, name: refusal(403, "AuthorizationFailure") if what == "get" else None

    ran = job.run("download --to got")
    left = [file.name for file in (job.folder / "got").rglob("*")]
    job.blobs.fault = None

    assert ran.code == 3
    assert "AuthorizationFailure" in ran.err
    assert left == []
    assert job.run("download --to got").code == 0


def test_a_job_at_work_has_nothing_to_fetch_yet(job: Desk) -> None:
    ran = job.run("download")

    assert ran.code == 3
    assert f"is Preparing: its output is whole when it has ended; `python -m jobs watch {name_of(job)}" in ran.err


def test_a_job_that_wrote_nothing_says_where_it_would_lie(job: Desk) -> None:
    job.ends("Failed")

    ran = job.run("download")

    assert ran.code == 3
    assert "which is Failed, left no output at azureml://" in ran.err


def test_outputs_of_other_clients_are_found_on_the_step_that_wrote_them(desk: Desk) -> None:
    """As in Azure: the job itself has no outputs, its child has."""
    desk.lab.invoke()
    desk.ends(predictions=ROWS)
    desk.before = lambda request: (
        httpx.Response(404, json={"error": {"code": "NotFound", "message": "no"}})
        if "mferp" in request.url.path
        else None
    )
    name = name_of(desk)

    ran = desk.run(f"download {name} --to got")

    assert "/azureml/" in str(desk.jobs[0]["output"]["path"]) or str(desk.jobs[0]["output"]["path"]).startswith(
        "azureml/"
    )
    assert ran.code == 0, ran
    assert (desk.folder / "got" / "predictions.csv").read_text() == ROWS


def test_where_nobody_says_the_known_places_are_looked_at(desk: Desk) -> None:
    desk.lab.invoke()
    desk.ends(predictions=ROWS)
    record = desk.jobs[0]
    step = str(record["child"])
    silent = {"id": "x", "name": step, "properties": {"status": "Completed", "outputs": {}}}
    desk.before = lambda request: (
        httpx.Response(200, json=silent) if request.url.path.endswith(f"/jobs/{step}") else None
    )

    ran = desk.run(f"download {record['name']} --to got")

    assert ran.code == 0, ran
    assert (desk.folder / "got" / "predictions.csv").read_text() == ROWS


def test_what_lay_there_before_the_job_is_not_its_result(desk: Desk) -> None:
    desk.file("a.csv")
    desk.put("mine/old.txt", b"of last year")
    desk.lab.advance(100)
    desk.run("submit a.csv --output azureml://datastores/workspaceblobstore/paths/mine")
    desk.ends(predictions=ROWS)

    desk.run("download --to got")

    assert [file.name for file in (desk.folder / "got").iterdir()] == ["predictions.csv"]
    assert f"{CONTAINER}/mine/old.txt" in desk.blobs.blobs


# the command line


@pytest.mark.parametrize(
    "words",
    ["", "frob", "show a b c", "cancel", "logs --lines many", "submit x --input-type odd"],
)
def test_wrong_usage_ends_with_three(desk: Desk, words: str) -> None:
    ran = desk.run(words)

    assert ran.code == 3
    assert "usage: python -m jobs" in ran.err


def test_every_verb_speaks_json(job: Desk) -> None:
    job.ends(predictions=ROWS, logs={STD: "x\n"})

    for words in ("list", "show", "watch", "logs", "download --to got", f"cancel {name_of(job)}", "submit a.csv"):
        ran = job.run(f"{words} --json")
        assert ran.code == 0, ran
        json.loads(ran.out if words in ("list", "show", "logs") else ran.out.splitlines()[-1])


def test_an_error_is_json_too(desk: Desk) -> None:
    ran = desk.run("show nope --json")

    assert ran.events == [
        {
            "event": "error",
            "error": "there is no job nope in lab",
            "name": "job-missing",
            "exit_code": 3,
        }
    ]


def test_a_traceback_is_shown_to_who_asks_for_it(desk: Desk) -> None:
    from providers.aml.refusal import Refusal

    with pytest.raises(Refusal):
        desk.run("show nope", environ={"AML_BATCH_DEBUG": "1"})


def test_the_documentation_has_every_option() -> None:
    import re
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "jobs.md").read_text(encoding="utf-8")
    missing = set()
    for verb in ("submit", "list", "show", "watch", "logs", "cancel", "download"):
        helped = subprocess.run(
            [sys.executable, "-m", "jobs", verb, "--help"], cwd=root, capture_output=True, text=True, check=True
        ).stdout
        missing |= {f"{verb} {option}" for option in re.findall(r"--[a-z-]+", helped) if option not in page} - {
            f"{verb} --help"
        }

    assert missing == set()
