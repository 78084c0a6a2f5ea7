"""A lab that has had 10,000 jobs, 1,000 endpoints and 20,000 operations does as much work a request as a new one.

Work is counted, not timed: instructions of SQLite's machine, rows that lie behind an answer, bytes kept in memory.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.emulator.store import Operation, Store
from tests.emulator.conftest import MakeLab
from tests.emulator.in_process_lab import WS, InProcessLab

JOBS, ENDPOINTS, OPERATIONS = 10_000, 1_000, 20_000


def grow(store: Store, now: float) -> None:
    """What years of use leave, put into the store as the routes would."""
    with store.together():
        for number in range(ENDPOINTS):
            name = f"old-{number}"
            properties = {"provisioningState": "Succeeded", "defaults": {"deploymentName": None}}
            body = {"id": f"{WS}/batchEndpoints/{name}", "name": name, "properties": properties}
            store.put("endpoint", WS, body, now)
        for number in range(JOBS):
            store.put_job(_job(number))
        for number in range(OPERATIONS):
            target = f"{WS}/batchEndpoints/old-{number % ENDPOINTS}"
            record = {"then": {}, "kind": "endpoint", "parent": WS, "started": now}
            store.put_operation(Operation(f"op-{number}", target, "bebes", now, "Succeeded", record))


def _job(number: int) -> dict[str, Any]:
    deployment = f"{WS}/batchEndpoints/old-{number % ENDPOINTS}/deployments/d"
    return {
        "name": f"batchjob-{number}",
        "child": f"child-{number}",
        "endpoint": deployment.partition("/deployments/")[0],
        "deployment": deployment,
        "active": False,
        "launched": True,
        "created": 0.0,
        "status": "Completed",
        "display_name": "d",
        "echo": {},
        "compute": "c",
        "environment": None,
        "output": {"uri": "u", "container": "c", "path": f"{number}/p.csv"},
        "retry_settings": {},
        "tags": {},
        "properties": {},
        "started": None,
        "ended": None,
        "error": None,
        "outputs": [],
        "logs": {},
    }


@pytest.fixture
def young(make_lab: MakeLab) -> InProcessLab:
    return make_lab({"endpoints_per_region": 10_000}).deployed()


@pytest.fixture
def grown(make_lab: MakeLab) -> InProcessLab:
    lab = make_lab({"endpoints_per_region": 10_000}).deployed()
    grow(lab.app.cloud.store, lab.clock.now)
    return lab


def work(lab: InProcessLab, act: Callable[[], object]) -> int:
    """Hundreds of SQLite's virtual machine instructions that an action takes."""
    lab.token(), lab.token("https://ml.azure.com/.default")
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    lab.app.cloud.store._db.set_progress_handler(count, 100)
    act()
    lab.app.cloud.store._db.set_progress_handler(None, 0)
    return counted


ACTIONS: dict[str, Callable[[InProcessLab], object]] = {
    "GET endpoint": lambda lab: lab.arm("GET", "batchEndpoints/ept-1"),
    "PUT endpoint again": lambda lab: lab.put_endpoint(),
    "DELETE deployment": lambda lab: lab.arm("DELETE", "batchEndpoints/ept-1/deployments/dep-1"),
    "list deployments": lambda lab: lab.arm("GET", "batchEndpoints/ept-1/deployments"),
    "invoke": lambda lab: lab.invoke(),
    "a step of the jobs": lambda lab: lab.app.cloud.executions.step(),
    "GET job": lambda lab: lab.arm("GET", "jobs/batchjob-5000"),
    "cancel": lambda lab: lab.arm("POST", "jobs/batchjob-5000/cancel"),
    "jobs of the endpoint": lambda lab: lab.score("GET", "jobs"),
    "list codes": lambda lab: lab.arm("GET", "codes/code/versions"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_request_takes_no_more_work_than_in_a_new_lab(young: InProcessLab, grown: InProcessLab, name: str) -> None:
    before, after = work(young, lambda: ACTIONS[name](young)), work(grown, lambda: ACTIONS[name](grown))

    assert after <= before + 10, f"{before} -> {after} hundred instructions"


@pytest.mark.parametrize("path", ["batchEndpoints", "jobs"])
def test_a_list_is_a_page_however_many_there_are(grown: InProcessLab, path: str) -> None:
    answer = grown.arm("GET", path)

    assert len(answer.json()["value"]) == 30
    assert answer.json()["nextLink"]
    assert work(grown, lambda: grown.arm("GET", path)) < 100


def test_every_page_of_a_long_list_is_there_once(grown: InProcessLab) -> None:
    names: list[str] = []
    url = "batchEndpoints?$top=300"
    while url:
        answer = grown.arm("GET", url).json()
        names += [each["name"] for each in answer["value"]]
        url = (answer["nextLink"] or "").partition("management.azure.com")[2].replace("&api-version=2025-12-01", "")
        url = url.replace("api-version=2025-12-01&", "")

    assert len(names) == len(set(names)) == ENDPOINTS + 1


def test_ended_operations_are_forgotten_and_pending_ones_are_not(grown: InProcessLab) -> None:
    store = grown.app.cloud.store
    grown.control("PUT", "faults", [{"action": "outcome", "outcome": "never", "match": {"path": "ept-2"}}])
    grown.put_endpoint("ept-2")
    grown.clock.now += 86_400 * 2
    grown.forget_tokens()

    grown.put_endpoint("ept-3")

    left = store._db.execute("SELECT COUNT(*) FROM operations").fetchone()[0]
    assert left == 2
    assert len(store.operations_pending(f"{WS}/batchEndpoints/ept-2")) == 1


def _statements(store: Store) -> Iterator[str]:
    """Every kind of question that the store asks, as SQLite saw it."""
    seen: list[str] = []
    store._db.set_trace_callback(seen.append)
    store.get("/x")
    store.children("endpoint", "p", older_than=1.0, limit=2)
    store.count("endpoint", "p")
    store.operation("x")
    store.operations_due(1.0)
    store.operations_pending("x")
    store.forget_operations(-1.0)
    store.job("x")
    store.jobs(limit=2)
    store.jobs(endpoint="e", limit=2)
    store.jobs(deployment="d", limit=2)
    store.active_jobs(limit=2)
    store.delete("/nobody")
    store.delete_job("nobody")
    store.deleted_at("x")
    store.remember_deleted([], 0.0, forget_before=-1.0)
    store._db.set_trace_callback(None)
    return (text for text in seen if text.split()[0] in {"SELECT", "DELETE"})


def test_every_question_is_answered_by_an_index(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    statements = list(_statements(store))

    plans = {
        text: [row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {text}")]  # the store's own statements
        for text in statements
    }

    assert len(statements) >= 16
    # A walk along the key is no scan where a LIMIT ends it: the newest jobs, the active ones.
    scans = {
        text: plan
        for text, plan in plans.items()
        if ("LIMIT" not in text and any(step.startswith("SCAN") for step in plan))
        or any("TEMP B-TREE" in step for step in plan)
    }
    assert scans == {}
    store.close()


def test_memory_does_not_grow_with_requests(make_lab: MakeLab) -> None:
    lab = make_lab({"request_log": 50}).deployed()
    _requests(lab, 100)
    gc.collect()
    tracemalloc.start()
    _requests(lab, 50)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]

    _requests(lab, 300)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert len(lab.app.cloud.log.as_json()) == 50
    assert after - before < 100_000


def _requests(lab: InProcessLab, number: int) -> None:
    for _ in range(number):
        lab.arm("GET", "batchEndpoints/ept-1?long=" + "x" * 500)


def test_nothing_of_an_ended_job_stays_in_memory(make_lab: MakeLab) -> None:
    lab = make_lab({"max_drivers": 100}).deployed()
    for _ in range(20):
        lab.invoke()
    lab.advance()
    for driver in lab.scripted.started:
        driver.say("Running", logs={f"user/{number}.txt": {"container": "c", "path": "p"} for number in range(50)})
    lab.advance()
    for driver in lab.scripted.started:
        driver.finish()
    lab.advance()
    lab.advance()

    executions = lab.app.cloud.executions

    assert (executions._running, executions._read) == ({}, {})
