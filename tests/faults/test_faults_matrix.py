"""A part of the acceptance matrix, the same each time; `make faults` runs all of it."""

from pathlib import Path

from tests.faults.__main__ import lifecycle, wire
from tests.faults.report import Cell, failures, table

CASES = (
    "^create$",
    "update each",
    "refresh: no-op",
    "refuse foreign",
    "answer lost",
    "operation Failed",
    "broken off",
    "taken over",
    "409",
    "HTML",
    "half a body",
    "404 right after",
    "two runs",
    "outlives",
    "re-create",
)
STEPS = ("operation Failed is recorded, up heals", "adopt own (state lost)", "destroy from a clean clone")


def none_fails(cells: list[Cell]) -> None:
    assert cells
    assert failures(cells) == [], table("of the matrix", cells)


def test_every_kind_stands_the_trouble_that_is_scripted_for_it(tmp_path: Path) -> None:
    chosen = [option for case in CASES for option in ("--case", case)]

    none_fails(wire(tmp_path, lambda _: None, *chosen))


def test_a_stack_lives_through_a_failed_operation_a_lost_state_and_a_lost_checkout(tmp_path: Path) -> None:
    none_fails(lifecycle(tmp_path, "embedded", lambda _: None, only=STEPS))
