"""Rows and columns of what jobs write: append_row's lines, MLflow's commas, JSON, files with a header."""

from __future__ import annotations

import pytest

from providers.aml.predictions import Expected, columns_fault, rows_of


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b"a\n", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        ("a\u2028b\x0cc\x1dd\n".encode(), ["a\u2028b\x0cc\x1dd"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"\xff\n", ["\ufffd"]),
    ],
)
def test_a_row_ends_with_a_line_feed_and_with_nothing_else(content: bytes, rows: list[str]) -> None:
    assert rows_of(content) == rows


@pytest.mark.parametrize(
    ("lines", "columns"),
    [
        (["0.png 8 0.99", '"a file.png" 3 0.5'], 3),
        (["0,8,0.png", '1,3,"a, b.png"'], 3),
        (["whatever it is"], None),
        ([], 3),
        (['{"file": "a", "label": 1}', '{"label": 2, "file": "b"}'], ["file", "label"]),
        (['{"file": "a", "label": 1}'], 2),
        (["['a', 8]"], 2),
        (["1\t2", "3\t4"], 2),
        (["one"], 1),
        (["zero\0byte"], 1),
    ],
)
def test_rows_as_they_are_written_pass(lines: list[str], columns: int | list[str] | None) -> None:
    assert columns_fault(lines, columns) == (0, None)


@pytest.mark.parametrize("header", ["file,label", "file label", "file;label", '"file","label"'])
def test_a_header_is_no_row(header: str) -> None:
    separator = next(each for each in ",; " if each in header)

    assert columns_fault([header, f"a{separator}1"], ["file", "label"]) == (1, None)


@pytest.mark.parametrize(
    ("lines", "columns", "said"),
    [
        (["a 1 2", "b 1"], 3, "row 2 has 2 columns where 3 are expected (`expected_columns`): 'b 1'"),
        (["a 1"], 3, "row 1 has not 3 columns"),
        (["a 1", ""], 2, "row 2 has 0 columns"),
        (["a 1 2"], ["file", "label", "score"], "its rows have no names: row 1 is neither"),
        (["file,label", "a,1,2"], ["file", "label"], "row 2 has 3 columns"),
        (["file,lable"], ["file", "label"], "its rows have no names"),
        (['{"file": "a"}'], ["file", "label"], "row 1 has the columns file where file, label are expected"),
        (['{"file": "a"}', "nonsense"], ["file"], "row 2 is no JSON object, as row 1 is"),
        (['{"file": "a"}'], 2, "row 1 has 1 columns where 2 are expected"),
        (["x" * 500 + " 1"], 3, "..."),
        (["y" * 200_000], 2, "row 1 has not 2 columns"),
    ],
)
def test_the_first_row_that_is_otherwise_is_quoted(lines: list[str], columns: int | list[str], said: str) -> None:
    _, fault = columns_fault(lines, columns)

    assert fault is not None
    assert said in fault
    assert len(fault) < 400


def test_expectations_are_told_apart_by_what_they_say_and_not_by_where_a_script_lies() -> None:
    plain = Expected(rows=3, script="here/check.py", script_digest="1")

    assert plain.digest == Expected(rows=3, script="there/check.py", script_digest="1").digest
    others = [
        Expected(rows=4, script="c", script_digest="1"),
        Expected(rows=3, script="c", script_digest="2"),
        Expected(rows=3),
        Expected(rows=3, columns=2, script="c", script_digest="1"),
        Expected(rows=3, missing=1, script="c", script_digest="1"),
    ]
    assert len({plain.digest, *(each.digest for each in others)}) == 6
