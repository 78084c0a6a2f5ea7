"""Two kills, and how the harness counts what it is about."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.kills import Kills, created_twice, started_twice
from tests.faults.report import Cell, counted, table
from tests.faults.small_checkout import SmallCheckout

ENDPOINT = "https://management.azure.com/subscriptions/s/workspaces/w/batchEndpoints/e?api-version=2025-12-01"
DEPLOYMENT = ENDPOINT.replace("?", "/deployments/d?")


def request(time: float, method: str, url: str, handled: int) -> dict[str, Any]:
    return {"time": time, "method": method, "url": url, "handled": handled}


def job(name: str, output: str, created: str, status: str = "Completed") -> dict[str, Any]:
    return {"name": name, "output": output, "created": f"2026-01-01T00:00:{created}.1234567Z", "status": status}


def test_two_kills_are_healed_by_one_plain_up_each(tmp_path: Path) -> None:
    checkout = SmallCheckout(tmp_path, "embedded")
    try:
        tally = Kills(checkout, 3, ["embedded"], lambda _: None).run(2, seconds=5)
    finally:
        checkout.lab.stop()

    assert not tally.failed, tally
    assert tally.healed == 2


def test_what_is_created_again_after_its_deletion_is_not_created_twice() -> None:
    log = [request(1, "PUT", ENDPOINT, 201), request(2, "DELETE", ENDPOINT, 202), request(3, "PUT", ENDPOINT, 201)]

    assert created_twice(log) == []
    assert len(created_twice([log[0], log[2]])) == 1


def test_a_deployment_goes_with_its_endpoint() -> None:
    log = [
        request(1, "PUT", DEPLOYMENT, 201),
        request(2, "DELETE", ENDPOINT, 202),
        request(3, "PUT", DEPLOYMENT, 201),
        request(4, "PUT", DEPLOYMENT, 200),
    ]

    assert created_twice(log) == []


@pytest.mark.parametrize(
    ("second", "twice"),
    [
        (job("b", "x/jobs/k/1/p.csv", "20"), 1),
        (job("b", "x/jobs/k/2/p.csv", "20"), 1),
        (job("b", "x/jobs/other/1/p.csv", "20"), 0),
    ],
)
def test_a_second_job_for_one_key_is_told(second: dict[str, Any], twice: int) -> None:
    assert len(started_twice([job("a", "x/jobs/k/1/p.csv", "10"), second], [])) == twice


def test_another_attempt_after_a_failure_and_a_job_after_a_destroy_are_rightly_started() -> None:
    failed = [job("a", "x/k/1/p.csv", "10", "Failed"), job("b", "x/k/2/p.csv", "20")]
    again = [job("a", "x/k/1/p.csv", "10"), job("b", "x/k/1/p.csv", "20")]
    between = 1767225615.0  # 2026-01-01T00:00:15Z

    assert started_twice(failed, []) == []
    assert started_twice(again, [between]) == []


def test_the_table_has_a_row_for_each_case_and_says_what_is_wrong() -> None:
    cells = [
        Cell("create", "Owner", "pass"),
        Cell("create", "BlobFolder", "FAIL", "lost"),
        Cell("x", "Owner", "n/a", "no"),
    ]

    assert counted(cells) == "1 pass, 1 FAIL, 1 n/a"
    assert "FAIL BlobFolder, create: lost" in table("t", cells)
    assert "n/a  no: Owner" in table("t", cells)
