"""What the documentation says of scripts and of what they leave behind, beyond a job that goes well or fails."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from pathlib import Path

import pytest

from lab.scoring.environment import has_module
from tests.scoring.job_bench import COUNT_TRIES, MEET, JobBench, with_marks


def test_entry_script_of_the_service_can_be_imported(bench: JobBench) -> None:
    script = """
import os, pathlib
from azureml_user.parallel_run import EntryScript
def init():
    entry_script = EntryScript()
    entry_script.logger.info("ready to go")
    pathlib.Path(entry_script.log_dir, f"{entry_script.agent_name}_mine.txt").write_text("mine")
    entry_script.mine = "kept"
def run(files):
    entry_script = EntryScript()
    assert entry_script.output_dir == os.environ["AZUREML_BI_OUTPUT_PATH"]
    return [entry_script.agent_name, entry_script.mine, os.path.basename(entry_script.dir)]
"""
    outcome = bench.run(script, mini_batch_size=3)

    assert outcome.rows() == ["process000", "kept", "code"]
    assert "ready to go" in outcome.log("logs/user/stdout/0/process000.stdout.txt")
    assert "ready to go" in outcome.log("logs/user/entry_script_log/0/process000.log.txt")
    assert outcome.log("logs/user/entry_script_log/0/process000_mine.txt") == "mine"


def test_progress_is_told_in_the_services_words_with_counts_of_failures(bench: JobBench) -> None:
    script = "def init(): pass\ndef run(files):\n    if 'a.t' in files[0]:\n        1 / 0\n    return files\n"

    outcome = bench.run(script, max_retries=1)

    (name,) = [name for name in outcome.document["logs"] if name.startswith("logs/job_progress_overview.")]
    lines = [line.split(" ", 1)[1] for line in outcome.log(name).splitlines()]
    assert lines[1].startswith("Scheduling finished. Scheduled 2 mini batches in ")
    assert lines[1].endswith(" seconds. There are 2 tasks with 3 items.")
    assert lines[2] == "No task has been processed yet."
    assert lines[-3].startswith("Processed 2 of 2 mini batches in 0:0")
    assert lines[-2:] == [
        "Mini batches: 2 total, 1 done, 1 failed. Items: 3 total, 1 succeeded, 2 failed. Rows: 1.",
        "The overviewer on 0 stopped.",
    ]


def test_every_try_of_a_mini_batch_has_a_row_in_the_report(bench: JobBench) -> None:
    variables = with_marks(bench)
    script = COUNT_TRIES + (
        "def init(): pass\ndef run(files):\n    if tries_of(files[0]) == 1:\n        raise ValueError('not yet')\n"
        "    return files\n"
    )

    outcome = bench.run(script, mini_batch_size=3, environment_variables=variables)

    log = outcome.log("logs/sys/job_report/processed_mini-batches.csv")
    first, second = csv.DictReader(io.StringIO(log))
    assert [first[name] for name in ("Mini-batch Id", "Picked Count", "Process", "Total", "Succeeded", "Failed")] == [
        *("0", "1", "process000", "3", "0", "3"),
    ]
    assert (first["Status"], first["Error Category"]) == ("RUN_EXCEPTION", "ValueError")
    assert first["Error Message"].startswith("ValueError: not yet, score.py line 13, in run() on mini-batch 0")
    assert (second["Picked Count"], second["Succeeded"], second["Status"]) == ("2", "3", "RUN_DONE")
    assert json.loads(second["Mini-batch Detail"]) == {"node": 0, "count": 3, "files": ["a.txt", "b.txt", "c.txt"]}
    # A run() that returns at once may take less than what four decimals show.
    assert float(second["Elapsed Seconds"]) >= float(second["Run Method Seconds"]) >= 0


def test_a_replaced_process_is_a_new_one_by_name_and_takes_over_the_gpu(bench: JobBench) -> None:
    variables = with_marks(bench)
    script = (
        COUNT_TRIES
        + """
from azureml_user.parallel_run import EntryScript
def init(): pass
def run(files):
    if tries_of(files[0]) == 1 and EntryScript().agent_name == "process000":
        os._exit(1)
    gpus = os.environ["AZ_BATCHAI_GPU_COUNT_FOUND"]
    return [f"{EntryScript().agent_name} {os.environ.get('CUDA_VISIBLE_DEVICES')} of {gpus}"] * len(files)
"""
    )
    outcome = bench.run(script, mini_batch_size=3, gpus_per_node=1, environment_variables=variables)

    assert outcome.rows() == ["process001 0 of 1"] * 3


def test_processes_beyond_the_gpus_get_none(bench: JobBench) -> None:
    variables = with_marks(bench)
    script = (
        MEET
        + "def init(): pass\ndef run(files):\n    meet()\n    return [os.getenv('CUDA_VISIBLE_DEVICES')] * len(files)\n"
    )

    outcome = bench.run(script, max_concurrency_per_instance=2, gpus_per_node=1, environment_variables=variables)

    assert sorted(outcome.rows()) in (["0", "0", "None"], ["0", "None", "None"])


@pytest.mark.parametrize(("counts", "tries"), [("tries", 2), ("retries", 3)])
def test_max_retries_has_the_first_try_in_it_or_not_as_set(bench: JobBench, counts: str, tries: int) -> None:
    variables = with_marks(bench)
    script = COUNT_TRIES + "def init(): pass\ndef run(files):\n    tries_of(files[0])\n    raise ValueError('no')\n"

    bench.run(script, max_retries=2, max_retries_counts=counts, mini_batch_size=3, environment_variables=variables)

    assert (Path(variables["MARKS"]) / "a.txt").stat().st_size == tries


def test_rows_may_come_in_the_order_in_which_mini_batches_end(bench: JobBench) -> None:
    """The service promises no order, so that a reader who relies on one can be found out."""
    variables = with_marks(bench)
    script = COUNT_TRIES + (
        "def init(): pass\ndef run(files):\n    if 'a.t' in files[0] and tries_of('a') == 1:\n        1 / 0\n"
        "    return [os.path.basename(f) for f in files]\n"
    )

    outcome = bench.run(script, row_order="arrival", mini_batch_size=1, environment_variables=variables)

    assert outcome.rows() == ["b.txt", "c.txt", "a.txt"]


def test_a_run_that_only_times_out_fails_the_job_with_the_documented_text(bench: JobBench) -> None:
    """At any error threshold: the troubleshooting page says so of a timeout on every try."""
    variables = with_marks(bench)
    script = COUNT_TRIES + "import time\ndef init(): pass\ndef run(files):\n    tries_of('x')\n    time.sleep(600)\n"
    tries = Path(variables["MARKS"]) / "x"
    bench.clock = lambda: time.monotonic() + (tries.stat().st_size * 320 if tries.exists() else 0)

    outcome = bench.run(script, mini_batch_size=1, timeout_seconds=300, environment_variables=variables)

    assert outcome.status == "Failed"
    assert outcome.message.startswith(
        "No progress update in 930 seconds. No progress update in this check. Wait 930 seconds since last update."
    )
    assert "Stop for run() unable to finish within 300 seconds, in run() on mini-batch 0 (a.txt)" in outcome.message


def test_input_files_are_read_only(bench: JobBench) -> None:
    script = (
        "import os\ndef init(): pass\ndef run(files):\n    return [oct(os.stat(f).st_mode & 0o777) for f in files]\n"
    )

    assert bench.run(script).rows() == ["0o444"] * 3


def test_an_environment_without_azureml_core_fails_where_it_is_needed(bench: JobBench) -> None:
    outcome = bench.run(azureml_core="needed")

    assert outcome.status == "Failed"
    assert outcome.message.startswith("No module named 'azureml': environment digits-env:1 has no azureml-core")


def test_an_environment_without_azureml_core_is_told_where_it_is_not_needed(bench: JobBench) -> None:
    log = bench.run().log("user_logs/std_log_0.txt")

    assert "digits-env:1 has no azureml-core: here none is needed, in the service one is" in log


def test_azureml_core_is_found_without_being_imported(tmp_path: Path) -> None:
    assert has_module(Path(sys.executable), "yaml")
    assert not has_module(Path(sys.executable), "azureml")
