"""A disk without room: told at once, nothing half done, and work goes on when there is room again."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.emulator.app import create_app, run_jobs
from lab.emulator.config import EmulatorConfig
from lab.emulator.full_disk import said_of_full_disk
from lab.emulator.store import Store
from tests.emulator.in_process_lab import CONTROL, SECRET, CountedBlobs, InProcessLab, ScriptedDrivers

Fill = Callable[[InProcessLab], None]


def fill(lab: InProcessLab) -> None:
    """Let SQLite have no page more than it has: it says what it says on a disk without room."""
    database = lab.app.cloud.store._db
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")


def make_room(lab: InProcessLab) -> None:
    lab.app.cloud.store._db.execute("PRAGMA max_page_count = 1000000")


BIG = "x" * 20_000


def test_a_full_disk_is_told_with_a_status_that_nobody_tries_again(lab: InProcessLab) -> None:
    fill(lab)

    reply = lab.put_endpoint(description=BIG)

    assert (reply.status_code, reply.json()["error"]["code"]) == (507, "DiskFull")
    assert reply.json()["error"]["message"].startswith(
        f"The lab's disk is full: nothing more can be kept in {lab.home}"
    )


def test_nothing_is_left_of_what_did_not_fit_and_room_heals(lab: InProcessLab) -> None:
    fill(lab)
    lab.put_endpoint(description=BIG)
    there = lab.arm("GET", "batchEndpoints/ept-1").status_code

    make_room(lab)

    assert there == 404
    assert lab.put_endpoint(description=BIG).status_code == 201


def test_a_job_that_does_not_fit_leaves_no_files(lab: InProcessLab) -> None:
    lab.deployed()
    fill(lab)

    reply = lab.invoke(tags={"a": BIG})

    assert reply.status_code == 507
    assert list(lab.home.glob("jobs/*")) == []
    assert lab.arm("GET", "jobs").json()["value"] == []


def test_a_group_of_changes_that_does_not_fit_leaves_the_store_usable(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    store._db.execute(f"PRAGMA max_page_count = {store._db.execute('PRAGMA page_count').fetchone()[0]}")

    with pytest.raises(sqlite3.OperationalError, match="disk is full"), store.together():
        store.put("endpoint", "p", {"id": "/small"}, 0.0)
        store.put("endpoint", "p", {"id": "/big", "text": BIG}, 0.0)

    assert store.get("/small") is None
    store.put("endpoint", "p", {"id": "/small"}, 0.0)
    assert store.get("/small") == {"id": "/small"}
    store.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_way_to_say_it_is_known(number: int, tmp_path: Path) -> None:
    assert said_of_full_disk(OSError(number, "x"), tmp_path) is not None


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "x"), sqlite3.OperationalError("database is locked")])
def test_other_trouble_is_not_called_a_full_disk(error: OSError | sqlite3.Error, tmp_path: Path) -> None:
    assert said_of_full_disk(error, tmp_path) is None


class FullOnce(ScriptedDrivers):
    """No room for the first driver's log."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    def start(self, spec: Path) -> object:  # type: ignore[override]
        if not self.refused:
            self.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().start(spec)


def test_jobs_go_on_when_there_is_room_again(
    make_lab: Callable[..., InProcessLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.emulator.app._TROUBLE_SECONDS", 0.01)
    drivers = FullOnce()
    lab = make_lab(drivers=drivers).deployed()
    lab.invoke()

    async def until_started() -> None:
        steps = asyncio.create_task(run_jobs(lab.app.cloud, asyncio.Event()))
        while not drivers.started and not steps.done():
            await asyncio.sleep(0.01)
        steps.cancel()
        await asyncio.gather(steps, return_exceptions=True)

    asyncio.run(asyncio.wait_for(until_started(), 10))

    assert (drivers.refused, len(drivers.started)) == (1, 1)


def test_an_emulator_on_a_full_disk_does_not_begin(tmp_path: Path) -> None:
    """`lab start` hands these words on."""
    (tmp_path / "emulator.db").symlink_to("/dev/full")
    config = EmulatorConfig(tmp_path, tmp_path, SECRET, "a2V5", CONTROL, "https://127.0.0.1:1", tmp_path / "ca.pem", 2)

    with pytest.raises((sqlite3.Error, OSError)):
        create_app(config, blobs=CountedBlobs())
