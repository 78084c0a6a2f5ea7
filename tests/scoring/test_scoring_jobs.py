"""Whole jobs: real worker processes, a folder in place of the blob service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.scoring.blobs import Cancellation
from tests.scoring.job_bench import COUNT_TRIES, LESS_THAN_A_SHUTDOWN, MEET, JobBench, with_marks


def test_a_good_script_gives_one_row_per_file_in_input_order(bench: JobBench) -> None:
    outcome = bench.run()

    assert outcome.status == "Completed", outcome.document["error"]
    assert outcome.rows() == ["a.txt 1", "b.txt 2", "c.txt 3"]
    assert outcome.document["mini_batches"] == {"total": 2, "done": 2, "failed": 0}
    assert outcome.document["items"] == {"total": 3, "succeeded": 3, "failed": 0}
    assert outcome.document["rows"] == 3
    assert outcome.document["error"] is None


def test_logs_lie_in_blobs_under_the_services_names(bench: JobBench) -> None:
    outcome = bench.run("def init():\n    print('héllo')\n" + "def run(files):\n    return files\n")

    assert outcome.log("logs/user/stdout/0/process000.stdout.txt") == "héllo\n"
    std = outcome.log("user_logs/std_log_0.txt")
    assert std.startswith("Azure Machine Learning Batch Inference Start\n")
    assert "No started flag set. Skip creating started flag." in std
    assert std.endswith("Cleaning up all outstanding Run operations, waiting 300.0 seconds\n")
    assert "The job is Completed." in outcome.log("logs/job_result.txt")
    assert any(name.startswith("logs/job_progress_overview.") for name in outcome.document["logs"])
    assert outcome.document["logs"]["logs/readme.txt"]["path"] == "ExperimentRun/dcid.batchjob-1/logs/readme.txt"


def test_the_pipelines_log_names_the_step_when_it_begins_and_when_it_ends(bench: JobBench) -> None:
    outcome = bench.run()

    begun, ended = outcome.log("logs/azureml/executionlogs.txt").splitlines()
    assert begun.endswith("Z] Submitting 1 runs, first five are: batchjob:batchjob-1")
    assert ended.endswith("Z] Completing processing run id batchjob-1.")


def test_only_logs_and_status_are_left_in_the_jobs_folder(bench: JobBench) -> None:
    bench.run()

    assert sorted(path.name for path in bench.directory.iterdir()) == ["logs", "pid", "status.json"]


def test_the_model_folder_lies_by_its_name_in_azureml_model_dir(bench: JobBench) -> None:
    script = """
import os
def init(): pass
def run(files):
    return [open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "weights.txt")).read() for _ in files]
"""
    outcome = bench.run(script)

    assert outcome.rows() == ["42", "42", "42"]


def test_a_single_model_file_lies_directly_in_azureml_model_dir(bench: JobBench) -> None:
    def single_file(document: dict[str, Any]) -> None:
        document["model"]["path"] = "uploads/model/weights.txt"

    script = "import os\ndef init(): pass\ndef run(files):\n    return os.listdir(os.environ['AZUREML_MODEL_DIR'])\n"
    assert bench.run(script, change=single_file, mini_batch_size=3).rows() == ["weights.txt"]


def test_the_script_sees_its_variables_and_nothing_of_the_machine(
    bench: JobBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("LAB_HOME", "/nowhere")
    script = "import os\ndef init(): pass\ndef run(files):\n    return [f'{k}={v}' for k, v in os.environ.items()]\n"

    rows = dict(row.split("=", 1) for row in bench.run(script, environment_variables={"TEMPERATURE": "0.5"}).rows())

    assert rows["TEMPERATURE"] == "0.5"
    assert rows["HOME"] == str(bench.directory)
    allowed = {"TEMPERATURE", "PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PYTHONNOUSERSITE", "AZUREML_RUN_ID"}
    allowed |= {"AZUREML_MODEL_DIR", "AZUREML_BI_OUTPUT_PATH", "AZUREML_NODE_COUNT", "AZ_BATCHAI_GPU_COUNT_FOUND"}
    allowed |= {"MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE", "MLFLOW_DISABLE_TELEMETRY"}
    assert set(rows) <= allowed


def test_the_script_finds_its_siblings_its_file_and_the_drivers_arguments(bench: JobBench) -> None:
    bench.blobs.put("data", "uploads/code/sub/results.py", "NAME = 'sibling'\n")
    bench.blobs.put("data", "uploads/code/spec.py", "NAME = 'code folder'\n")
    script = """
import argparse, os, results, spec
def init(): pass
def run(files):
    level = argparse.ArgumentParser()
    level.add_argument("--logging_level")
    known, _ = level.parse_known_args()
    return [results.NAME, spec.NAME, os.path.basename(__file__), known.logging_level.upper(), os.getcwd() != __file__]
"""
    bench.blobs.put("data", "uploads/code/sub/score_it.py", script)

    def in_subfolder(document: dict[str, Any]) -> None:
        document["code"]["scoring_script"] = "sub/score_it.py"

    outcome = bench.run(None, change=in_subfolder, mini_batch_size=3)
    assert outcome.rows() == ["sibling", "code folder", "score_it.py", "INFO", "True"]


def test_a_dataframe_is_written_with_spaces_quotes_and_no_header(bench: JobBench) -> None:
    script = """
import os, pandas as pd
def init(): pass
def run(files):
    return pd.DataFrame([[os.path.basename(f), "a b", 0.5] for f in files], columns=["file", "label", "p"])
"""
    assert bench.run(script).rows() == ['a.txt "a b" 0.5', 'b.txt "a b" 0.5', 'c.txt "a b" 0.5']


def test_a_wrong_return_type_fails_with_the_documented_text(bench: JobBench) -> None:
    outcome = bench.run("def init(): pass\n\ndef run(files):\n    print(len(files))\n", error_threshold=0)

    assert outcome.status == "Failed"
    assert "should return a list or a pandas DataFrame" in outcome.message
    assert "The actual type of output is NoneType." in outcome.message
    assert "score.py line 3" in outcome.message


def test_an_exception_in_run_is_told_with_file_line_and_input(bench: JobBench) -> None:
    bench.blobs.put("data", "uploads/code/lib/math2.py", "def divide(a, b):\n    return a / b\n")
    script = "from lib.math2 import divide\ndef init(): pass\ndef run(files):\n    return [divide(1, 0)]\n"

    outcome = bench.run(script, error_threshold=0)

    assert outcome.status == "Failed"
    assert "ZeroDivisionError: division by zero, lib/math2.py line 2, in run() on mini-batch" in outcome.message
    assert "a.txt" in outcome.message
    error = outcome.log("logs/user/error/0/process000.txt")
    assert error.startswith("This file shows errors in loading, calling init() and calling run() of the entry script.")
    assert "The process000 on node 0 failed with error: Traceback (most recent call last):" in error
    assert "score.py" in error
    assert "worker.py" not in error
    assert 'lib/math2.py", line 2, in divide' in outcome.log("user_logs/std_log_0.txt")


def test_an_exception_in_init_fails_the_job_after_three_tries(bench: JobBench) -> None:
    outcome = bench.run("def init():\n    raise RuntimeError('no weights')\ndef run(files):\n    return files\n")

    assert outcome.status == "Failed"
    assert "init() failed 3 times" in outcome.message or "init() failed 4 times" in outcome.message
    assert "RuntimeError: no weights, score.py line 2, in init()" in outcome.message


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import os\nimport nosuchmodule\n", "ModuleNotFoundError: No module named 'nosuchmodule', score.py line 2"),
        ("def init(): pass\ndef run(files)\n    return files\n", "SyntaxError: "),
        ("def init(): pass\n", "The entry script should define a function run()."),
        ("raise SystemExit(3)\n", "SystemExit: 3, score.py line 1, while the script was imported"),
    ],
    ids=["missing module", "syntax error", "no run()", "sys.exit"],
)
def test_a_script_that_cannot_be_loaded_fails_the_job_at_once(bench: JobBench, script: str, told: str) -> None:
    outcome = bench.run(script)

    assert outcome.status == "Failed"
    assert told in outcome.message
    assert "Run failed, please check logs for details" in outcome.log("user_logs/std_log_0.txt")


def test_a_syntax_error_names_its_line(bench: JobBench) -> None:
    assert "score.py line 2" in bench.run("def init(): pass\ndef run(files)\n    return files\n").message


def test_a_hanging_run_is_stopped_and_the_rest_goes_on(bench: JobBench) -> None:
    variables = with_marks(bench)
    script = (
        COUNT_TRIES
        + """
import time
def init(): pass
def run(files):
    if "b.txt" in files[0]:
        tries_of("hanging")
        time.sleep(600)
    return files
"""
    )
    hanging = Path(variables["MARKS"]) / "hanging"
    bench.clock = lambda: time.monotonic() + (400 if hanging.exists() else 0)

    outcome = bench.run(script, mini_batch_size=1, timeout_seconds=300, max_retries=1, environment_variables=variables)

    assert outcome.status == "Completed"
    assert outcome.document["items"] == {"total": 3, "succeeded": 2, "failed": 1}
    assert "Stop for run() unable to finish within 300 seconds" in outcome.log("user_logs/std_log_0.txt")


def test_a_crashing_worker_is_replaced(bench: JobBench) -> None:
    script = """
import os
def init(): pass
def run(files):
    if "b.txt" in files[0]:
        os._exit(9)
    return files
"""
    outcome = bench.run(script, mini_batch_size=1, max_retries=2)

    assert outcome.document["items"] == {"total": 3, "succeeded": 2, "failed": 1}
    assert "ended with exit code 9" in outcome.log("logs/sys/job_report/processed_mini-batches.csv")


def test_a_mini_batch_that_succeeds_on_its_last_try_has_not_failed(bench: JobBench) -> None:
    script = COUNT_TRIES + "def init(): pass\ndef run(files):\n    assert tries_of(files[0]) == 3\n    return files\n"

    outcome = bench.run(script, max_retries=3, error_threshold=0, environment_variables=with_marks(bench))

    assert outcome.status == "Completed", outcome.document["error"]
    assert outcome.document["items"]["failed"] == 0


def test_max_retries_counts_tries_in_total(bench: JobBench) -> None:
    variables = with_marks(bench)
    script = COUNT_TRIES + "def init(): pass\ndef run(files):\n    tries_of(files[0])\n    raise ValueError('no')\n"

    bench.run(script, max_retries=3, mini_batch_size=3, environment_variables=variables)

    assert (Path(variables["MARKS"]) / "a.txt").stat().st_size == 3


@pytest.mark.parametrize(("threshold", "status"), [(-1, "Completed"), (0, "Failed"), (1, "Failed"), (2, "Completed")])
def test_the_error_threshold_counts_failed_items(bench: JobBench, threshold: int, status: str) -> None:
    script = "def init(): pass\ndef run(files):\n    if 'a.t' in files[0]:\n        1 / 0\n    return files\n"

    outcome = bench.run(script, error_threshold=threshold, max_retries=1)

    assert outcome.status == status
    if status == "Failed":
        assert f"2 items failed, {threshold} are allowed" in outcome.message
        assert "ZeroDivisionError: division by zero, score.py line 4" in outcome.message


def test_no_success_at_all_fails_append_row_at_any_threshold(bench: JobBench) -> None:
    outcome = bench.run("def init(): pass\ndef run(files):\n    return []\n")

    assert outcome.status == "Failed"
    assert "There is no succeeded mini batch item returned from run()." in outcome.message


def test_summary_only_uploads_what_the_script_wrote(bench: JobBench) -> None:
    script = """
import os
def init():
    os.makedirs(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "sub"), exist_ok=True)
def run(files):
    for f in files:
        name = os.path.basename(f) + ".out"
        with open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "sub", name), "w") as file:
            file.write("scored")
    return files
"""
    outcome = bench.run(script, output_action="SummaryOnly")

    assert outcome.status == "Completed"
    names = [blob["path"] for blob in outcome.document["outputs"]]
    assert names == [f"azureml/batchjob-1/score/sub/{name}.txt.out" for name in "abc"]
    assert bench.blobs.text("data", names[0]) == "scored"


def test_an_existing_output_file_fails_the_job_before_any_scoring(bench: JobBench) -> None:
    bench.blobs.put("data", "azureml/batchjob-1/score/predictions.csv", "precious")
    variables = with_marks(bench)
    script = COUNT_TRIES + "def init():\n    tries_of('init')\ndef run(files):\n    return files\n"

    outcome = bench.run(script, environment_variables=variables)

    assert outcome.status == "Failed"
    assert "data/azureml/batchjob-1/score/predictions.csv exists already" in outcome.message
    assert bench.blobs.text("data", "azureml/batchjob-1/score/predictions.csv") == "precious"
    assert list(Path(variables["MARKS"]).iterdir()) == []


def test_cancelling_ends_all_processes_at_once(bench: JobBench) -> None:
    variables = with_marks(bench)
    marks = Path(variables["MARKS"])
    script = (
        MEET
        + """
import subprocess
def init(): pass
def run(files):
    child = subprocess.Popen(["sleep", "600"])
    meet()
    (MARKS.parent / f"both-{os.getpid()}").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)
"""
    )
    workers: list[Path] = []
    cancelled_at = 0.0

    class WhenBothRun(Cancellation):
        def check(self) -> None:
            nonlocal cancelled_at
            workers[:] = [mark for mark in marks.parent.glob("both-*") if mark.read_text()]
            if len(workers) == 2:
                self.requested = True
                cancelled_at = cancelled_at or time.monotonic()
            super().check()

    bench.cancellation = WhenBothRun()
    outcome = bench.run(
        script, mini_batch_size=1, max_concurrency_per_instance=2, timeout_seconds=600, environment_variables=variables
    )

    assert outcome.status == "Canceled"
    assert time.monotonic() - cancelled_at < LESS_THAN_A_SHUTDOWN
    pids = [int(pid) for mark in workers for pid in mark.read_text().split()]
    assert len(pids) == 4
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


def test_a_thousand_files_in_two_workers(bench: JobBench) -> None:
    files = {f"{number:04d}.txt": str(number) for number in range(1000)}
    script = (
        MEET
        + """
def init(): pass
def run(files):
    meet()
    return [f'{f[-8:]} {os.getpid()}' for f in files]
"""
    )
    outcome = bench.run(
        script,
        files=files,
        mini_batch_size=10,
        instance_count=2,
        max_concurrency_per_instance=2,
        timeout_seconds=600,
        environment_variables=with_marks(bench),
    )

    rows = [row.split() for row in outcome.rows()]
    assert [name for name, _ in rows] == sorted(files)
    assert len({pid for _, pid in rows}) == 2
    assert "2 worker process(es) instead of 2 instance(s) x 2 process(es) = 4" in outcome.log("user_logs/std_log_0.txt")


def test_names_with_spaces_and_unicode_in_nested_folders_arrive_as_they_are(bench: JobBench) -> None:
    files = {"Straße 1/größe ü.txt": "x", "日本/猫.txt": "y", "a b.txt": "z"}
    script = """
import os
def init(): pass
def run(files):
    return [f"{os.path.isabs(f)}|{os.path.basename(os.path.dirname(f))}|{os.path.basename(f)}" for f in files]
"""
    rows = bench.run(script, files=files).rows()

    assert rows == ["True|Straße 1|größe ü.txt", "True|input|a b.txt", "True|日本|猫.txt"]


def test_a_single_file_is_one_mini_batch_of_one_path(bench: JobBench) -> None:
    def one_file(document: dict[str, Any]) -> None:
        document["input"] = {"container": "data", "path": "inputs/images/b.txt", "type": "UriFile"}

    assert bench.run(change=one_file).rows() == ["b.txt 2"]


@pytest.mark.parametrize("kind", ["UriFolder", "UriFile"])
def test_an_empty_input_fails_with_the_documented_text(bench: JobBench, kind: str) -> None:
    def nothing(document: dict[str, Any]) -> None:
        document["input"].update(path="inputs/none", type=kind)

    outcome = bench.run(change=nothing)

    assert outcome.status == "Failed"
    assert "Source of the dataset is either not accessible or does not contain any data." in outcome.message
    assert "data/inputs/none" in outcome.message


@pytest.mark.parametrize(
    ("section", "value", "told"),
    [
        ("environment", None, "'Environment Id' must not be empty."),
        ("code", None, "no code configuration"),
        ("code", {"container": "data", "path": "gone", "scoring_script": "score.py"}, "code data/gone has no files"),
        ("code", {"container": "data", "path": "uploads/code", "scoring_script": "x.py"}, "'x.py' is not in code"),
        (
            "model",
            {"container": "data", "path": "gone", "type": "CustomModel", "name": "digits", "version": "1"},
            "model digits:1: nothing is at data/gone",
        ),
    ],
    ids=["no environment", "no code", "code gone", "no script", "model gone"],
)
def test_what_a_deployment_lacks_is_named(bench: JobBench, section: str, value: object, told: str) -> None:
    outcome = bench.run(change=lambda document: document.update({section: value}))

    assert outcome.status == "Failed"
    assert told in outcome.message


def test_endless_printing_is_capped_and_said(bench: JobBench) -> None:
    bench.log_limit = 10_000
    script = (
        "def init(): pass\ndef run(files):\n    for _ in range(2000):\n        print('x' * 9999)\n    return files\n"
    )

    outcome = bench.run(script, mini_batch_size=3)

    log = outcome.log("logs/user/stdout/0/process000.stdout.txt")
    assert outcome.status == "Completed"
    assert len(log) < 10_200
    assert "bytes more: this log keeps 10000 bytes]" in log


def test_a_script_that_forks_answers_once(bench: JobBench) -> None:
    script = "import os\ndef init(): pass\ndef run(files):\n    os.fork()\n    return files\n"

    outcome = bench.run(script, mini_batch_size=1)

    assert outcome.document["items"] == {"total": 3, "succeeded": 3, "failed": 0}
    assert len(outcome.rows()) == 3


def test_shutdown_of_the_script_is_called_at_the_end(bench: JobBench) -> None:
    outcome = bench.run("def init(): pass\ndef run(files):\n    return files\ndef shutdown():\n    print('bye')\n")

    assert outcome.log("logs/user/stdout/0/process000.stdout.txt") == "bye\n"


def test_a_job_that_is_cancelled_before_it_scores_starts_no_worker(bench: JobBench) -> None:
    bench.cancellation.requested = True

    outcome = bench.run()

    assert outcome.status == "Canceled"
    assert outcome.document["error"] is None
    assert not (bench.directory / "scratch").exists()


def test_workers_that_answer_nonsense_or_lose_their_pipes_are_replaced(bench: JobBench) -> None:
    script = """
import os
def init(): pass
def run(files):
    if "b.txt" in files[0]:
        os.closerange(3, 256)
    return files
"""
    outcome = bench.run(script, mini_batch_size=1, max_retries=2)

    assert outcome.status == "Completed"
    assert outcome.document["items"] == {"total": 3, "succeeded": 2, "failed": 1}


def test_each_mini_batch_is_scored_once_however_many_fail(bench: JobBench) -> None:
    """A failed try once fed its own worker two mini-batches at a time."""
    script = """
import os, random
def init(): pass
def run(files):
    if random.random() < 0.4:
        raise ValueError("now and then")
    return [os.path.basename(f) for f in files]
"""
    files = {f"{number:03d}": "" for number in range(100)}

    outcome = bench.run(script, files=files, mini_batch_size=3, max_retries=50, max_concurrency_per_instance=2)

    assert outcome.rows() == sorted(files)
    assert outcome.document["mini_batches"] == {"total": 34, "done": 34, "failed": 0}
