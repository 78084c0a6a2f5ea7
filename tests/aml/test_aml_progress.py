"""What the service's logs say of a job's progress, in the forms that are known of them."""

from __future__ import annotations

from providers.aml.progress import Progress, read_overview, read_report

# Quoted in MachineLearningNotebooks#1429 (2021) and azure-sdk-for-python#30421 (2023).
SCHEDULED = (
    "2021-04-15T22:03:32.226929 Start the simulator.\n"
    "2021-04-15T22:03:34.285780 The overviewer on 10.0.0.4 started.\n"
    "2021-04-15T22:03:54.767763 Scheduling finished. Scheduled 276 mini batches in 22 seconds. There are 276 tasks "
    "with 551 items.\n"
    "2021-04-15T22:03:54.899666 No task has been processed yet.\n"
)
PROCESSED = (
    "2023-05-16T22:20:53.233813 Processed 4117 of 20000 mini batches in 5:02:14. Estimated remaining time 19:25:59.\n"
    "2023-05-16T22:22:08.962071 The overviewer on 7 stopped.\n"
)


def test_before_scheduling_nothing_is_known() -> None:
    assert read_overview("2021-04-15T22:03:32.226929 Start the simulator.\n") is None


def test_what_is_scheduled_is_the_total() -> None:
    assert read_overview(SCHEDULED) == Progress(276, items=551)


def test_the_last_line_counts() -> None:
    found = read_overview(PROCESSED.replace("4117", "1") + PROCESSED)

    assert found == Progress(20000, 4117, seconds=18134.0, remaining=69959.0)
    assert found.per_minute is not None and round(found.per_minute, 2) == 13.62


def test_days_are_read_too() -> None:
    line = "x Processed 1 of 9 mini batches in 1 day, 0:00:10. Estimated remaining time 2 days, 3:00:00.\n"

    found = read_overview(line)

    assert found is not None
    assert (found.seconds, found.remaining) == (86410.0, 183600.0)


def test_failures_are_read_where_a_line_has_them() -> None:
    line = "x Mini batches: 400 total, 39 done, 2 failed. Items: 4000 total, 390 succeeded, 20 failed. Rows: 390.\n"

    assert read_overview(PROCESSED + line) == Progress(400, 41, 2, 4000, 20, seconds=18134.0, remaining=69959.0)


HEAD = "Mini-batch Id,Picked Count,Process,Process Start Time,Total,Succeeded,Failed,Status,Error Category,Error Message,Mini-batch Detail\n"  # noqa: E501


def test_only_a_mini_batch_that_never_succeeded_has_failed() -> None:
    rows = (
        "0,1,process000,t,10,0,10,RUN_EXCEPTION,ValueError,bad,{}\n"
        "0,2,process000,t,10,10,0,RUN_DONE,,,{}\n"
        '1,1,process001,t,10,0,10,RUN_TIMEOUT,Timeout,,"{""files"": [""a.png"", ""b.png""]}"\n'
    )

    (failed,) = read_report(HEAD + rows)

    assert (failed.id, failed.reason, failed.tries) == ("1", "Timeout", 1)
    assert str(failed) == "mini-batch 1 (a.png, b.png and 8 more)"


def test_a_report_of_another_form_tells_of_none() -> None:
    assert read_report("something,else\n1,2\n") == []
    assert read_report("") == []


def test_details_of_another_form_are_left_out() -> None:
    (failed,) = read_report(HEAD + "7,1,p,t,10,0,10,RUN_EXCEPTION,X,bad,not json\n")

    assert str(failed) == "mini-batch 7"
