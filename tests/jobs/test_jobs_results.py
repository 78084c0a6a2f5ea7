"""Predictions files as they are written, read back; and the picture of a column."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import plot, results
from jobs.results import Column, form_of


def lines(text: str) -> list[str]:
    return text.split("\n")


@pytest.mark.parametrize(
    ("text", "words", "first", "columns"),
    [
        ("a.png 0 1.0\nb.png 1 0.5\n", "spaces between columns", ["a.png", "0", "1.0"], 3),
        ('"two words.png" 0\nb.png 1\n', "spaces between columns", ["two words.png", "0"], 2),
        ("0,1,two words.csv\n1,0,two words.csv\n", "commas between columns", ["0", "1", "two words.csv"], 3),
        ("a\t1\nb\t2\n", "tabs between columns", ["a", "1"], 2),
        ("['a.png', '0']\n['b.png', '1']\n", "a value a line", ["a.png", "0"], 2),
        ('["a", 1]\n["b", 2]\n', "a value a line", ["a", "1"], 2),
        ('{"file": "a", "p": {"x": 1}}\n', "a value a line", ["a", '{"x": 1}'], 2),
        ("('a', 1.5)\n", "a value a line", ["a", "1.5"], 2),
        ("one\ntwo words\n", "one column", ["one"], 1),
        ("0.5\n1.5\n", "one column", ["0.5"], 1),
    ],
    ids=["dataframe", "quoted", "mlflow", "tabs", "list", "json list", "json object", "tuple", "texts", "numbers"],
)
def test_the_form_is_told_by_the_first_lines(text: str, words: str, first: list[str], columns: int) -> None:
    found = results.read(lines(text))

    assert (found.form.words, found.first[0], found.columns) == (words, first, columns)
    assert found.rows == len(text.splitlines())


def test_rows_of_another_width_are_counted(tmp_path: object) -> None:
    text = "".join(f"f{n} {n}\n" for n in range(300)) + "odd one out\n"

    found = results.read(lines(text))

    assert (found.rows, found.columns, found.ragged) == (301, 2, 1)


def test_objects_name_their_columns() -> None:
    found = results.read(['{"file": "a", "class": 3}'], column="class", wanted=True)

    assert found.header() == ["file", "class"]
    assert found.column is not None and found.column.numbers == [3.0]


def test_an_empty_file_has_no_rows() -> None:
    found = results.read([""], wanted=True)

    assert (found.rows, found.columns, found.first) == (0, 0, [])


def test_the_second_column_is_drawn_unless_another_is_named() -> None:
    rows = ["a 1 x", "b 2 y"]

    assert [results.read(rows, column=each, wanted=True).column for each in (None, "3")] == [
        Column("column 2", [1.0, 2.0], Counter({"1": 1, "2": 1})),
        Column("column 3", [], Counter({"x": 1, "y": 1}), are_numbers=False),
    ]
    with pytest.raises(results.NoSuchColumn, match=r"no column '0'; there are 1 to 3"):
        results.read(rows, column="0", wanted=True)


def test_numbers_come_in_order_and_texts_by_frequency() -> None:
    numbers, texts = Column("n"), Column("t")
    for value in ("10", "9", "10"):
        numbers.add(value)
    for number in range(100):
        texts.add(f"rare {number}")
    for _ in range(3):
        texts.add("often")

    labels, counts = plot.bars(texts)
    assert plot.bars(numbers) == (["9", "10"], [1, 2])
    assert (labels[0], counts[0], labels[-1], counts[-1]) == ("often", 3, results.OTHERS, 81)


_CELLS = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp", "Zs"), exclude_characters="\\"), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_CELLS, st.integers(), _CELLS), min_size=2, max_size=6))
def test_what_pandas_writes_for_append_row_is_read_back(rows: list[tuple[str, int, str]]) -> None:
    """By the options that SCORING's published readers assume: spaces, no header, no index."""
    written = pd.DataFrame(rows).to_csv(sep=" ", header=False, index=False)

    found = results.read(lines(written), first=10)

    if form_of(lines(written)).delimiter == " ":
        assert found.first == [[a, str(b), c] for a, b, c in rows]
        assert found.rows == len(rows)
    else:
        assert any(mark in written for mark in ",;\t[({"), "spaces, unless something else fits as well"
