"""Signals, kills and locks: what stays, what goes, and how the next run heals it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine import engines
from tests.engine.project_under_test import PROJECT, STACK, calls, cloud, make_project, thing, wish

_PATIENCE = 120.0
"""Seconds until something that must happen counts as not happening."""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """An `up` whose provider is in the midst of creating `a`; `b` needs it. `touch go` lets the creation end."""
    directory = make_project(tmp_path / "trial")
    wish(directory, thing("a", slow="go"), thing("b", size={"of": "a.twice"}))
    process = engines.start_embedded(directory, "up")
    try:
        _until((directory / "go.begun").exists)
        yield directory, process
    finally:
        (directory / "go").touch()
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=_PATIENCE)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _until_told_of_the_interrupt(process: subprocess.Popen[str]) -> None:
    _until(lambda: "Interrupted" in (process.stdout.readline() if process.stdout else ""))


def _children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _gone(children: list[psutil.Process]) -> bool:
    return not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def _pending(directory: Path) -> list[tuple[str, str]]:
    found = engines.deployment(directory).get("pending_operations") or []
    return [(item["resource"]["urn"].rpartition("::")[2], item["type"]) for item in found]


def _names(directory: Path) -> set[str]:
    return {record["urn"].rpartition("::")[2] for record in engines.resources(directory)}


def test_the_first_interrupt_finishes_what_runs_and_starts_nothing_new(
    held: tuple[Path, subprocess.Popen[str]],
) -> None:
    directory, process = held
    children = _children(process)
    process.send_signal(signal.SIGINT)
    _until_told_of_the_interrupt(process)
    (directory / "go").touch()
    assert process.wait(_PATIENCE) == 1
    assert _names(directory) == {"trial-lab", "default", "a"}
    assert _pending(directory) == []
    assert _gone(children)


def test_a_second_interrupt_stops_now_and_leaves_a_pending_operation(
    held: tuple[Path, subprocess.Popen[str]],
) -> None:
    directory, process = held
    children = _children(process)
    process.send_signal(signal.SIGINT)
    _until_told_of_the_interrupt(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(_PATIENCE) == 8
    assert _pending(directory) == [("a", "creating")]
    assert _gone(children)
    assert not list(_locks(directory))


def test_a_kill_leaves_no_children_and_the_next_run_heals(held: tuple[Path, subprocess.Popen[str]]) -> None:
    directory, process = held
    children = _children(process)
    assert len(children) >= 4  # the program and a provider, each under its supervisor
    process.kill()
    _until(lambda: _gone(children))
    engines.verify(directory)
    assert _pending(directory) == [("a", "creating")]
    locked = engines.embedded(directory, "up")
    assert (locked.status, "currently locked by 1 lock(s)" in locked.output) == (1, True)
    assert engines.embedded(directory, "cancel", "--yes").status == 0
    (directory / "go").touch()
    calls(directory)
    healed = engines.embedded(directory, "up")
    assert healed.status == 0
    assert "a, interrupted while creating" in healed.output
    assert [call[1]["name"] for call in calls(directory) if call[0] == "create"] == ["a", "b"]
    assert set(cloud(directory)) == {"a", "b"}


def test_pending_creations_are_forgotten_on_request(held: tuple[Path, subprocess.Popen[str]]) -> None:
    directory, process = held
    process.kill()
    process.wait(_PATIENCE)
    engines.embedded(directory, "cancel")
    engines.embedded(directory, "refresh")
    assert _pending(directory) == [("a", "creating")]
    engines.embedded(directory, "refresh", "--clear-pending-creates")
    assert _pending(directory) == []


def test_terminate_ends_like_an_interrupt(held: tuple[Path, subprocess.Popen[str]]) -> None:
    directory, process = held
    process.terminate()
    _until_told_of_the_interrupt(process)
    (directory / "go").touch()
    assert process.wait(_PATIENCE) == 1
    assert _pending(directory) == []


def test_a_live_lock_is_told_with_its_holder(held: tuple[Path, subprocess.Popen[str]]) -> None:
    directory, process = held
    result = engines.embedded(directory, "destroy")
    assert result.status == 1
    assert f"(pid {process.pid})" in result.output
    assert "delete the lock file with `pulumi cancel`" in result.output


def test_the_lock_of_the_cli_is_respected_and_ours_has_its_form(held: tuple[Path, subprocess.Popen[str]]) -> None:
    directory, process = held
    (lock,) = _locks(directory)
    content = json.loads(lock.read_text())
    assert content.keys() == {"pid", "username", "hostname", "timestamp"}
    assert content["pid"] == process.pid


@pytest.mark.skipif(engines.pulumi_path() is None, reason="no pulumi CLI 3.260 on PATH to compare with")
def test_the_cli_respects_our_lock_and_heals_our_state(held: tuple[Path, subprocess.Popen[str]]) -> None:
    directory, process = held
    assert "currently locked by 1 lock(s)" in engines.pulumi(directory, "up").output
    process.kill()
    process.wait(_PATIENCE)
    engines.pulumi(directory, "cancel", "--yes")
    (directory / "go").touch()
    healed = engines.pulumi(directory, "up")
    assert healed.status == 0, healed.output
    assert "interrupted while creating" in healed.output
    again = engines.embedded(directory, "up")
    assert "4 unchanged" not in again.output
    assert "3 unchanged" in again.output


def test_no_process_outlives_an_ordinary_run(tmp_path: Path) -> None:
    directory = make_project(tmp_path / "trial")
    wish(directory, thing("a"))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    engines.embedded(directory, "up")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def _locks(directory: Path) -> Iterator[Path]:
    return (directory / "state" / ".pulumi" / "locks" / "organization" / PROJECT / STACK).glob("*.json")


def test_output_of_a_killed_supervisor_does_not_hang_the_engine(held: tuple[Path, subprocess.Popen[str]]) -> None:
    directory, process = held
    for child in psutil.Process(process.pid).children():
        os.killpg(child.pid, signal.SIGKILL)
    assert process.wait(_PATIENCE) == 1
    assert _names(directory) <= {"trial-lab", "default"}


def test_an_up_goes_on_when_nobody_reads_what_it_says(held: tuple[Path, subprocess.Popen[str]]) -> None:
    """As in `up | head -1`: it once waited forever on the thread whose write had failed."""
    directory, process = held
    assert process.stdout is not None
    process.stdout.close()
    (directory / "go").touch()

    code = process.wait(_PATIENCE)

    process.stdout = None
    assert code == 0
    assert {"a", "b"} <= _names(directory)
