"""How much of a job's files the page reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.page.job_files import LOG_BYTES, MAIN_LOG, RESULT_BYTES, ROWS, log_tail, rows_of


def test_a_long_log_is_shown_from_a_whole_line_on(tmp_path: Path) -> None:
    (tmp_path / "user_logs").mkdir()
    (tmp_path / MAIN_LOG).write_text("".join(f"line {number}\n" for number in range(20_000)), encoding="utf-8")

    seen = log_tail(tmp_path, None)

    assert seen["cut"]
    assert len(seen["text"]) <= LOG_BYTES
    assert seen["text"].startswith("line ")
    assert seen["text"].endswith("line 19999\n")


@pytest.mark.parametrize("wanted", ["../secrets.json", "/etc/passwd", "link.txt", "absent.txt"])
def test_a_log_is_one_of_the_jobs_own_files_or_the_main_one(tmp_path: Path, wanted: str) -> None:
    folder = tmp_path / "logs"
    (folder / "user_logs").mkdir(parents=True)
    (folder / MAIN_LOG).write_text("main\n", encoding="utf-8")
    (tmp_path / "secrets.json").write_text("secret", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "secrets.json")

    assert log_tail(folder, wanted) == {"names": [MAIN_LOG], "name": MAIN_LOG, "text": "main\n", "cut": False}


def test_a_job_without_logs_has_none(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "logs", None)["names"] == []


@pytest.mark.parametrize(
    ("head", "path", "rows"),
    [
        (b"a 1 2\nb 3 4\n", "p.csv", [["a", "1", "2"], ["b", "3", "4"]]),
        (b"a,1 x\nb,2 y\n", "p.csv", [["a", "1 x"], ["b", "2 y"]]),
        (b'{"a": 1}\n', "p.jsonl", [['{"a": 1}']]),
        (b"", "p.csv", []),
        (b"\xff 1\n", "p.csv", [["�", "1"]]),
    ],
    ids=["appended rows", "commas", "lines", "empty", "no text"],
)
def test_rows_are_read_as_the_service_writes_them(head: bytes, path: str, rows: list[list[str]]) -> None:
    assert rows_of(head, path) == rows


def test_a_row_that_was_cut_is_not_shown() -> None:
    long = b"x" * (RESULT_BYTES // 4)
    head = b"\n".join([long] * 5)[:RESULT_BYTES]

    assert len(rows_of(head, "p.csv")) == 3
    assert len(rows_of(b"a\n" * 100, "p.csv")) == ROWS
