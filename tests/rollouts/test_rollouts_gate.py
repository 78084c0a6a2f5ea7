"""The gate: when a smoke job runs and when it does not, and what it takes for a deployment to pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers.aml.refusal import Refusal
from providers.scoring_job import announcement
from tests.emulator.in_process_lab import WS
from tests.rollouts.gate_bench import INPUT, GateBench, Stack

NEWER = "2" * 64


def test_a_job_that_passed_is_not_run_again(bench: GateBench) -> None:
    stack = Stack(expected_rows=2)

    assert [stack.up(), stack.up()] == ["", ""]

    assert (stack.state["verdict"], stack.state["rows"], bench.jobs()) == ("passed", 2, [("dep-1", "Completed")])


def test_it_runs_again_when_what_it_tests_changes(bench: GateBench) -> None:
    stack = Stack()
    stack.up()

    assert stack.up(key=NEWER) == ""

    assert bench.jobs() == [("dep-1", "Completed")] * 2


def test_it_runs_again_when_it_failed_and_only_then(bench: GateBench) -> None:
    stack, good = Stack(), bench.outcome
    bench.outcome = bench.fails("ValueError: no such digit")

    assert "ValueError: no such digit" in stack.up()
    bench.outcome = good
    assert [stack.up(), stack.up()] == ["", ""]

    assert bench.jobs() == [("dep-1", "Failed"), ("dep-1", "Completed")]
    assert stack.state["attempt"] == 2


def test_it_runs_again_also_where_a_refresh_forgot_that_it_failed(bench: GateBench) -> None:
    stack = Stack(expected_rows=3)
    stack.up()
    read = stack.kind.read(str(stack.id), stack.state)
    stack.state = dict(read.outs or {})

    assert stack.kind.diff("", stack.state, stack.wanted()).changes is True


def test_other_expectations_look_at_the_predictions_that_are_there(bench: GateBench) -> None:
    """Nothing is paid for twice: neither when they are stricter, nor when they are as before again."""
    stack = Stack(expected_rows=2)
    stack.up()

    refused = stack.up(expected_rows=3)
    forgiven = stack.up(expected_rows=2)

    assert "wrote 2 rows where 3 are expected" in refused
    assert forgiven == ""
    assert len(bench.jobs()) == 1


def test_predictions_that_were_refused_are_not_taken_by_the_next_up(bench: GateBench) -> None:
    stack = Stack(expected_rows=3)
    stack.up()

    assert "wrote 2 rows" in stack.up()

    assert len(bench.jobs()) == 2


def test_the_default_goes_back_to_what_passed_without_another_job(bench: GateBench) -> None:
    stack = Stack(subjects=["dep-1", "dep-2"])
    stack.up()
    stack.up(deployment_name="dep-2", key=NEWER)

    assert stack.up(deployment_name="dep-1", key="1" * 64) == ""

    assert bench.jobs() == [("dep-1", "Completed"), ("dep-2", "Completed")]
    assert (stack.state["deployment_name"], stack.state["rows"]) == ("dep-1", 2)


def test_a_rollback_is_gated_where_what_is_tested_has_changed_since(bench: GateBench) -> None:
    stack = Stack(subjects=["dep-1", "dep-2"])
    stack.up()
    stack.up(deployment_name="dep-2", key=NEWER)
    bench.outcome = bench.fails("it is worse now")

    assert "it is worse now" in stack.up(deployment_name="dep-1", key="3" * 64)


def test_a_rollback_is_not_gated_where_that_is_told(bench: GateBench) -> None:
    stack = Stack(subjects=["dep-1", "dep-2"])
    stack.up()
    stack.up(deployment_name="dep-2", key=NEWER)
    back = {"deployment_name": "dep-1", "key": "3" * 64, "on_rollback": "skip", "expected_rows": 99}

    assert [stack.up(**back), stack.up()] == ["", ""]
    assert (stack.state["verdict"], len(bench.jobs())) == ("skipped", 2)

    assert "99 are expected" in stack.up(on_rollback="run"), "it is made up for"


def test_what_never_passed_is_no_rollback(bench: GateBench) -> None:
    stack = Stack(subjects=["dep-1", "dep-2"], on_rollback="skip")
    bench.outcome = bench.fails("broken")
    stack.up()
    bench.outcome = bench.writes("a\n")
    stack.up(deployment_name="dep-2", key=NEWER)

    stack.up(deployment_name="dep-1", key="3" * 64)

    assert [name for name, _ in bench.jobs()] == ["dep-1", "dep-2", "dep-1"]


def test_what_the_stack_does_not_have_any_more_is_forgotten(bench: GateBench) -> None:
    stack = Stack(subjects=["dep-1"])
    stack.up()
    stack.up(deployment_name="dep-2", key=NEWER, subjects=["dep-2"])
    assert set(stack.state["passed"]) == {"dep-1", "dep-2"}, "what served last is still known: this run may fail yet"

    stack.up(key="3" * 64)

    assert set(stack.state["passed"]) == {"dep-2"}


def test_other_deployments_of_the_stack_are_no_change(bench: GateBench) -> None:
    stack = Stack(subjects=["dep-1"])
    stack.up()

    assert stack.kind.diff("", stack.state, stack.wanted(subjects=["dep-1", "dep-3"])).changes is False


def test_going_back_after_a_failure_runs_nothing(bench: GateBench) -> None:
    stack = Stack(subjects=["dep-1"])
    stack.up()
    bench.outcome = bench.fails("broken")
    stack.up(deployment_name="dep-2", key=NEWER, subjects=["dep-2"])

    assert stack.up(deployment_name="dep-1", key="1" * 64, subjects=["dep-1"]) == ""

    assert [name for name, _ in bench.jobs()] == ["dep-1", "dep-2"]


# ---------------------------------------------------------------- bounds


def test_nodes_and_failures_are_bounded_in_the_request(bench: GateBench) -> None:
    bench.deploy("dep-1", resources={"instanceCount": 20}, errorThreshold=-1)

    Stack(instance_count=2, allowed_failures=0).up()

    assert (bench.settings()["instance_count"], bench.settings()["error_threshold"]) == (2, 0)


def test_without_bounds_the_deployments_own_hold(bench: GateBench) -> None:
    bench.deploy("dep-1", resources={"instanceCount": 20}, errorThreshold=7)

    Stack().up()

    assert (bench.settings()["instance_count"], bench.settings()["error_threshold"]) == (20, 7)


@pytest.mark.parametrize(
    ("inputs", "files", "words"),
    [
        ({"max_files": 1}, 2, "at least 2 where 1 are allowed"),
        ({"max_files": 3, "files": 180}, 0, "180 where 3 are allowed"),
        ({"max_files": 5, "input_uri": f"{INPUT}/none"}, 0, "has no files"),
        ({"max_files": 5, "input_uri": f"{INPUT}/a", "input_type": "UriFile"}, 0, "has no files"),
        ({"max_files": 5, "input_uri": "azureml://datastores/workspaceblobstore/paths/none/"}, 0, "has no files"),
        ({"max_files": 5, "input_uri": f"{INPUT.partition('/datastores')[0]}/nonsense"}, 0, "cannot be known"),
        ({"max_files": 5, "input_uri": "https://example.com/folder"}, 0, "cannot be known.*max_files: 0"),
    ],
)
def test_an_input_is_counted_before_anything_is_started(
    bench: GateBench, inputs: dict[str, Any], files: int, words: str
) -> None:
    with pytest.raises(Refusal, match=words):
        Stack(**inputs).up()

    assert bench.jobs() == []
    assert bench.below("p/s/smoke/") == [], "a note says that something was started"


@pytest.mark.parametrize(
    "inputs",
    [
        {"max_files": 2},
        {"max_files": 1, "input_uri": f"{INPUT}/a.txt", "input_type": "UriFile"},
        {"max_files": 2, "input_uri": "azureml://datastores/workspaceblobstore/paths/p/s/data"},
        {"max_files": 1, "input_uri": "https://somewhere.example/a.txt", "input_type": "UriFile"},
        {"input_uri": "https://somewhere.example/folder"},
    ],
)
def test_an_input_within_its_bound_is_started(bench: GateBench, inputs: dict[str, Any]) -> None:
    Stack(**inputs).up()

    assert len(bench.jobs()) == 1


def test_a_data_asset_is_counted_where_it_lies(bench: GateBench) -> None:
    content = {"dataType": "uri_folder", "dataUri": INPUT, "isArchived": False}
    bench.lab.arm("PUT", "data/images/versions/1", {"properties": content})

    with pytest.raises(Refusal, match="at least 2 where 1 are allowed"):
        Stack(max_files=1, input_uri=f"{WS}/data/images/versions/1").up()
    with pytest.raises(Refusal, match="does not exist"):
        Stack(max_files=1, input_uri=f"{WS}/data/images/versions/2").up()

    assert bench.jobs() == []


def test_the_wait_for_a_job_has_a_deadline_and_goes_on_with_the_next_up(bench: GateBench) -> None:
    stack = Stack(deadline="0.1s")
    good, bench.outcome = bench.outcome, bench.runs_on

    waiting = stack.up()
    driver = bench.lab.scripted.started[0]
    good({"output": {"path": stack.state["predictions_uri"].partition("/paths/")[2]}}, driver)

    assert "still runs" in waiting
    assert stack.up() == ""
    assert bench.jobs() == [("dep-1", "Completed")]


# ---------------------------------------------------------------- ends


def test_destroy_cancels_what_still_runs_and_leaves_no_blob(bench: GateBench) -> None:
    stack = Stack(deadline="0.1s")
    bench.outcome = bench.runs_on
    stack.up()
    bench.obey_signals()

    stack.destroy()

    assert bench.jobs() == [("dep-1", "Canceled")]
    assert bench.below("p/s/smoke/") == []


def test_what_a_killed_run_began_is_cancelled_by_the_next(bench: GateBench) -> None:
    """State has the old deployment alone: the job on the new one is known by its notes."""
    stack = Stack(subjects=["dep-1"])
    stack.up()
    killed = Stack(deployment_name="dep-2", key=NEWER, deadline="0.1s")
    good, bench.outcome = bench.outcome, bench.runs_on
    killed.up()
    bench.outcome = good
    bench.obey_signals()

    stack.up(key="3" * 64)

    assert sorted(bench.jobs()) == [("dep-1", "Completed"), ("dep-1", "Completed"), ("dep-2", "Canceled")]


# ---------------------------------------------------------------- what a preview says


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"key": NEWER}, "smoke job on dep-1: 180 files, 61.2 kB, 2 nodes, at most 2h; what it tests has changed"),
        ({"expected_rows": 3}, "no smoke job on dep-1: other predictions are expected now; its predictions are looked"),
        (
            {"deployment_name": "dep-2", "key": NEWER},
            "smoke job on dep-2: 180 files, 61.2 kB, 2 nodes, at most 2h; none",
        ),
        ({"deadline": "3h"}, ""),
    ],
)
def test_a_preview_says_whether_a_job_will_run_and_on_how_much(
    bench: GateBench, changes: dict[str, Any], said: str
) -> None:
    stack = Stack(files=180, bytes=61_200, instance_count=2, expected_rows=2)
    stack.up()

    found = announcement(stack.state, stack.wanted(**{"deadline": "2h", **changes}))

    assert found.startswith(said)
    assert bool(found) is bool(said)


def test_a_preview_of_a_remote_input_says_what_is_counted_later() -> None:
    stack = Stack(deadline="30m")

    assert "at most 1000 files, counted before it starts, at most 30m" in announcement({}, stack.wanted(max_files=1000))
    assert "as many files as there are" in announcement({}, stack.wanted())


# ---------------------------------------------------------------- check scripts


def test_a_check_script_sees_the_predictions_and_no_credential(
    bench: GateBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret")
    script = tmp_path / "check.py"
    script.write_text("import os, sys; print(open(sys.argv[1]).read().split(), sorted(os.environ))", encoding="utf-8")
    stack = Stack(check_script=str(script), check_digest="1")

    assert stack.up() == ""

    assert "['a.txt', '1', 'b.txt', '2']" in stack.state["check"]
    assert "AZURE" not in stack.state["check"]


def test_a_check_script_that_refuses_says_why_and_a_better_one_is_asked_without_a_job(
    bench: GateBench, tmp_path: Path
) -> None:
    script = tmp_path / "check.py"
    script.write_text("import sys; sys.exit('only 3 % are correct')", encoding="utf-8")
    stack = Stack(check_script=str(script), check_digest="1")

    refused = stack.up()
    script.write_text("print('97 % are correct')", encoding="utf-8")

    assert "only 3 % are correct" in refused
    assert stack.up(check_digest="2") == ""
    assert (stack.state["check"], len(bench.jobs())) == ("97 % are correct", 1)


def test_with_summary_only_the_check_script_gets_all_that_was_written(bench: GateBench, tmp_path: Path) -> None:
    script = tmp_path / "check.py"
    script.write_text(
        "import pathlib, sys; print(sorted(p.name for p in pathlib.Path(sys.argv[1]).iterdir()))", encoding="utf-8"
    )
    stack = Stack(check_script=str(script), check_digest="1", output_action="SummaryOnly")
    bench.outcome = bench.writes("", part_parquet="P", other_parquet="O")

    assert stack.up() == ""

    assert stack.state["check"] == "['other.parquet', 'part.parquet']"


def test_a_job_that_wrote_nothing_is_refused(bench: GateBench) -> None:
    bench.outcome = bench.writes("")

    assert "it wrote no azureml://" in Stack().up()
    assert "it wrote nothing to azureml://" in Stack(key=NEWER, output_action="SummaryOnly").up()
