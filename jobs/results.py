"""A predictions file, read as what it is: rows, columns, first rows, and the values of one column. Pure.

With append_row the service writes a DataFrame with spaces between its columns, quoted as pandas does, without a header;
a list as one element a line, which may be a Python list or JSON; models without a script (MLflow) with commas. None of
this is said in the file: the first lines tell.
"""

import ast
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

_SAMPLE = 200  # lines by which the form is told
_DELIMITERS = ((" ", "spaces"), (",", "commas"), ("\t", "tabs"), (";", "semicolons"))
_DISTINCT = 20_000
"""Different texts of a column that are counted at most; the rest are counted together."""
OTHERS = "(others)"


@dataclass(frozen=True)
class Form:
    """How a line becomes cells: by a delimiter, as a Python or JSON value, or as it is."""

    delimiter: str
    """Empty for none."""
    words: str
    """For people: `spaces between columns`."""
    values: bool = False


@dataclass
class Column:
    """The values of one column: numbers where all are, else texts with their counts."""

    name: str
    numbers: list[float] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)
    are_numbers: bool = True

    def add(self, value: str) -> None:
        number = _number(value)
        if number is None and self.are_numbers and value.strip():
            self.are_numbers = False
        if number is not None and self.are_numbers:
            self.numbers.append(number)
        known = value in self.texts or len(self.texts) < _DISTINCT
        self.texts[value if known else OTHERS] += 1


@dataclass
class Results:
    form: Form
    rows: int = 0
    widths: Counter[int] = field(default_factory=Counter)
    """Number of columns -> how many rows have so many."""
    names: tuple[str, ...] = ()
    """Of the columns, where the rows name them (JSON objects) or the user does; else empty."""
    first: list[list[str]] = field(default_factory=list)
    column: Column | None = None

    @property
    def columns(self) -> int:
        """As most rows have it."""
        return self.widths.most_common(1)[0][0] if self.widths else 0

    @property
    def ragged(self) -> int:
        """Rows that have another number of columns."""
        return self.rows - self.widths[self.columns]

    def header(self) -> list[str]:
        """A name for each column: its own, else its number, from 1."""
        return [self.names[index] if index < len(self.names) else str(index + 1) for index in range(self.columns)]


class NoSuchColumn(ValueError):
    """The text says which there are."""


def read(
    lines: Iterable[str], *, first: int = 5, names: Sequence[str] = (), column: str | None = None, wanted: bool = False
) -> Results:
    """Read a whole file, line by line. `column`: a number from 1, or a name; the values of it are kept if `wanted`.

    Without `column` it is the second one, since the first is the file's name as a rule, or the only one. Raises
    NoSuchColumn.
    """
    whole = iter(lines)
    sample = list(islice(whole, _SAMPLE))
    form = form_of(sample)
    found = Results(form, names=tuple(names))
    index: int | None = None
    for cells, keys in _rows(chain(sample, whole), form):
        if found.rows == 0:
            found.names = found.names or keys
            if wanted:
                index = _index(column, found.names, len(cells))
                label = found.names[index] if index < len(found.names) else f"column {index + 1}"
                found.column = Column(label)
        found.rows += 1
        found.widths[len(cells)] += 1
        if len(found.first) < first:
            found.first.append(cells)
        if found.column is not None and index is not None and index < len(cells):
            found.column.add(cells[index])
    return found


def form_of(sample: Sequence[str]) -> Form:
    """Told by the first lines: values if all are, else the delimiter that gives all lines the same, largest number of
    columns."""
    said = [line for line in sample if line.strip()]
    if said and all(_value(line) is not None for line in said):
        return Form("", "a value a line", values=True)
    best = Form("", "one column")
    widest = 1
    for delimiter, words in _DELIMITERS:
        widths = {len(cells) for cells in csv.reader(said, delimiter=delimiter)}
        if len(widths) == 1 and (width := widths.pop()) > widest:
            best, widest = Form(delimiter, f"{words} between columns"), width
    return best


def _rows(lines: Iterable[str], form: Form) -> Iterator[tuple[list[str], tuple[str, ...]]]:
    """Cells of each row, and their names where the row has some. Empty lines are no rows."""
    said = (line for line in lines if line.strip())
    if form.delimiter:
        for cells in csv.reader(said, delimiter=form.delimiter):
            yield cells, ()
        return
    for line in said:
        value = _value(line) if form.values else None
        if isinstance(value, dict):
            yield [_text(each) for each in value.values()], tuple(str(key) for key in value)
        elif isinstance(value, list | tuple):
            yield [_text(each) for each in value], ()
        else:
            yield [line.rstrip("\r\n")], ()


def _value(line: str) -> Any:
    """The list, tuple or object that a line is; None for a line that is something else."""
    text = line.strip()
    if not text.startswith(("[", "(", "{")):
        return None
    for reader in (json.loads, ast.literal_eval):
        try:
            found = reader(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, list | tuple | dict) else None
    return None


def _index(column: str | None, names: Sequence[str], columns: int) -> int:
    if column is None:
        return min(1, columns - 1)
    if column in names:
        return list(names).index(column)
    if column.isdigit() and 1 <= int(column) <= columns:
        return int(column) - 1
    there = ", ".join(names) if names else f"1 to {columns}"
    raise NoSuchColumn(f"there is no column {column!r}; there are {there}")


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _text(value: Any) -> str:
    return (
        value if isinstance(value, str) else json.dumps(value, default=str) if isinstance(value, dict) else str(value)
    )
