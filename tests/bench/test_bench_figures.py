"""The arithmetic and the table of `make bench`; nothing is timed here."""

from __future__ import annotations

import pytest

from bench import machine
from bench.figure import Figure, Runs, number
from bench.many_endpoints import noticed
from bench.memory import role
from bench.table import table


def test_runs_are_told_by_their_median_and_range() -> None:
    assert str(Runs((3.0, 1.0, 12.0), "s")) == "3.00 s (1.00-12.0)"
    assert str(Runs((3.0,), "MiB")) == "3.00 MiB"


def test_a_ratio_is_of_medians() -> None:
    assert Figure("a", Runs((4.0, 2.0, 3.0), "s"), "b", Runs((1.0, 2.0), "s")).ratio == 2.0


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.12"), (9.999, "10.00"), (12.34, "12.3"), (1234.5, "1234")])
def test_numbers_have_few_digits_and_no_exponent(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table_is_markdown_whose_columns_line_up() -> None:
    figure = Figure("first up", Runs((10.0, 20.0), "s"), "an empty program", Runs((5.0,), "s"))

    lines = table([figure]).splitlines()

    assert lines[0].split() == ["|", "what", "|", "here", "|", "beside", "|", "there", "|", "ratio", "|"]
    assert "| 15.0 s (10.0-20.0) | an empty program | 5.00 s | 3.00 x |" in lines[2]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("seen", "says"),
    [([], "at most 0 %"), ([3.0, 9.0], "at most 9 %"), ([3.0, 40.0, 60.0], "LOADED: before 2 of 3 sections")],
)
def test_other_work_is_noted(seen: list[float], says: str) -> None:
    assert says in machine._note(seen)


def asked(time: float, method: str, path: str, handled: int = 200) -> dict[str, object]:
    return {"time": time, "method": method, "url": f"https://h{path}?api-version=1", "handled": handled}


def test_an_operation_is_noticed_when_its_resource_is_read() -> None:
    """The GET before the PUT looks whose it is; the second PUT was refused and began nothing."""
    log = [
        asked(1.0, "GET", "/e/one", 404),
        asked(1.1, "PUT", "/e/one", 201),
        asked(1.2, "PUT", "/e/two", 409),
        asked(2.0, "GET", "/operations/x"),
        asked(3.4, "GET", "/E/One"),
        asked(9.0, "GET", "/e/one"),
        asked(9.5, "GET", "/e/two"),
    ]

    assert noticed(log, 2.0) == pytest.approx((0.3,))


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("python -m lab.engine up --stack lab", "engine"),
        ("/usr/bin/pulumi up --stack lab", "engine"),
        ("python -u -m pulumi.dynamic 1234", "dynamic provider"),
        ("/bin/python -m lab.azure_native 1234", "azure-native stand-in"),
        ("/bin/python -u /x/lab/engine/program.py . {}", "program"),
        ("/bin/python -m lab.scoring /x/jobs/batchjob-1/spec.json", "scoring driver"),
        ("/x/environments/1/bin/python /x/lab/scoring/worker.py 7 8", "scoring process"),
        ("python -I -S /x/lab/engine/child.py 7 python -u -m pulumi.dynamic", None),
        ("python -m lab run -- pulumi version", None),
        ("node azurite", None),
    ],
)
def test_a_process_is_known_by_its_command(command: str, what: str | None) -> None:
    assert role(command.split()) == what
