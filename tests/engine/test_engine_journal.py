"""Many operations at once share writes of the state, and none goes on before a write that has its own change."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.engine.journal import Journal
from lab.engine.passphrase import Passphrase
from lab.engine.state import State

MANY = 32


def resource(name: str) -> State:
    return State(f"urn:pulumi:s::p::t:m:T::{name}", "t:m:T", custom=True, id=name)


def names(deployment: dict[str, Any], key: str) -> set[str]:
    records = deployment.get(key) or []
    return {str((each.get("resource") or each)["urn"]).rsplit("::", 1)[1] for each in records}


class Disk:
    """Keeps what was written; the first write waits until it is let go."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.first, self.go_on = threading.Event(), threading.Event()
        self.full = False

    def save(self, deployment: dict[str, Any]) -> None:
        if self.full:
            raise OSError("no space left on device")
        if not self.first.is_set():
            self.first.set()
            assert self.go_on.wait(60)
        self.written.append(deployment)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def journal(disk: Disk) -> Journal:
    return Journal([], [], Passphrase.new("p"), disk.save)


def test_operations_that_begin_during_a_write_share_the_next(disk: Disk, journal: Journal) -> None:
    announced_before_return: list[bool] = []

    def begin(number: int) -> None:
        journal.begin(resource(f"r{number}"), "creating")
        announced_before_return.append(f"r{number}" in names(disk.written[-1], "pending_operations"))

    with ThreadPoolExecutor(MANY) as pool:
        begun = [pool.submit(begin, 0)]
        assert disk.first.wait(60)
        begun += [pool.submit(begin, number) for number in range(1, MANY)]
        while journal._asked < MANY:  # all have asked, and wait for the write that is under way
            threading.Event().wait(0.01)
        disk.go_on.set()
        for each in begun:
            each.result(60)

    assert len(disk.written) == 2
    assert names(disk.written[-1], "pending_operations") == {f"r{number}" for number in range(MANY)}
    assert announced_before_return == [True] * MANY


def test_a_write_that_fails_is_told_to_each_that_waited_for_it(disk: Disk, journal: Journal) -> None:
    disk.go_on.set()
    journal.begin(resource("a"), "creating")
    disk.full = True

    with ThreadPoolExecutor(4) as pool:
        puts = [pool.submit(journal.put, resource(f"r{number}")) for number in range(4)]
        errors = [each.exception(60) for each in puts]

    assert [type(each) for each in errors] == [OSError] * 4


def test_nothing_is_written_after_the_journal_was_closed(disk: Disk, journal: Journal) -> None:
    """It is closed when the write that is under way is in the file."""
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(journal.begin, resource("a"), "creating")
        assert disk.first.wait(60)
        closed = pool.submit(journal.close)
        assert not closed.done()
        disk.go_on.set()
        closed.result(60)
        begun.result(60)

    journal.put(resource("late"))

    assert [names(each, "pending_operations") for each in disk.written] == [{"a"}]
