"""Two kills, which there are to be, and how the harness counts what it is about."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.deck import PHASES, POWER, VICTIMS, Blow, deal, places
from tests.faults.kills import Kills, created_twice, started_twice, under_way
from tests.faults.report import Cell, counted, table
from tests.faults.small_checkout import SmallCheckout
from tests.faults.tally import Hit, Tally, vacuous

ENDPOINT = "https://management.azure.com/subscriptions/s/workspaces/w/batchEndpoints/e?api-version=2025-12-01"
DEPLOYMENT = ENDPOINT.replace("?", "/deployments/d?")


def request(time: float, method: str, url: str, handled: int) -> dict[str, Any]:
    return {"time": time, "method": method, "url": url, "handled": handled}


def job(name: str, output: str, created: str, status: str = "Completed") -> dict[str, Any]:
    return {"name": name, "output": output, "created": f"2026-01-01T00:00:{created}.1234567Z", "status": status}


ENGINES = ("embedded", "pulumi")


def test_kills_are_healed_by_one_plain_up_each(tmp_path: Path) -> None:
    checkout = SmallCheckout(tmp_path, "embedded")
    try:
        tally = Kills(checkout, 3, ["embedded"], lambda _: None).run(2, took=(1.0, 3.0))
    finally:
        checkout.lab.stop()

    assert not tally.failed, tally.problems
    assert tally.healed == 2


def test_every_victim_is_killed_in_every_phase_on_every_engine() -> None:
    alone = {(victim, phase, engine) for victim in VICTIMS for phase in PHASES for engine in ENGINES}

    by_default = deal(20, ENGINES, random.Random(1))

    assert alone < {each.place for each in by_default}
    assert {each.place for each in deal(24, ENGINES, random.Random(1))} == set(places(ENGINES))
    assert {each.victim for each in by_default} == {*VICTIMS, POWER}
    assert deal(20, ENGINES, random.Random(1)) == by_default


@pytest.mark.parametrize("count", [3, 20, 200])
def test_moments_are_spread_over_each_phase(count: int) -> None:
    blows = deal(count, ENGINES, random.Random(5))

    for phase in PHASES:
        moments = sorted(each.fraction for each in blows if each.phase == phase)
        assert [int(each * len(moments)) for each in moments] == list(range(len(moments)))
    assert max(Counter(each.phase for each in blows).values()) - min(Counter(e.phase for e in blows).values()) <= 1


def hit(victim: str, phase: str, engine: str, writes: int = 3, going: tuple[str, ...] = ("ept",)) -> Hit:
    return Hit(Blow(victim, phase, phase, engine, 0.5), writes, going)


def test_kills_that_met_nothing_have_shown_nothing() -> None:
    planned = [each.blow for each in (hit(*place) for place in places(ENGINES))]
    good = Tally(hits=[hit(*place) for place in places(ENGINES)], healed=24)
    late = replace(good, hits=[replace(each, going=()) for each in good.hits])
    early = replace(late, hits=[replace(each, writes=0) for each in late.hits])

    assert vacuous(good, planned) == []
    assert not good.failed
    assert vacuous(late, planned) == [f"no kill met a running operation of {phase}" for phase in PHASES]
    assert vacuous(early, planned)[-1] == "most kills came before the first write"
    assert vacuous(replace(good, hits=good.hits[1:]), planned) == ["no kill of the engine in up (embedded)"]
    assert "engine, pulumi" in good.table()


def test_what_is_under_way_is_what_the_lab_has_not_ended() -> None:
    deployments = [{"name": "blue", "state": "Updating"}, {"name": "green", "state": "Succeeded"}]
    seen = {
        "endpoints": [{"name": "ept", "state": "Deleting", "deployments": deployments}],
        "computes": [{"name": "cpu", "state": "Succeeded"}],
        "jobs": [{"name": "batchjob-1", "active": True}, {"name": "batchjob-2", "active": False}],
    }

    assert under_way(seen) == ["ept", "blue", "batchjob-1"]


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
