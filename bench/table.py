"""Figures as one table, in Markdown that a terminal can show as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.figure import Figure, number

_HEADS = ("what", "here", "beside", "there", "ratio")


def table(figures: Iterable[Figure]) -> str:
    """One line for each figure; columns are as wide as what is in them."""
    rows: list[Sequence[str]] = [_HEADS]
    rows += [(each.what, str(each.ours), each.instead, str(each.theirs), f"{number(each.ratio)} x") for each in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join(f"-{'-' * width}-" for width in widths) + "|")
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
