"""A lab's life: started, killed, healed, ended; each test has a home of its own."""

from __future__ import annotations

import functools
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from azure.storage.blob import ContainerClient

from lab import identity
from lab.azurite import RESTARTS
from lab.daemon import listener
from lab.home import Facts
from lab.processes import gone
from lab.running import control_get
from lab.testing import LabUnderTest


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[LabUnderTest]:
    """A lab that does not run yet; whatever the test starts is ended after it."""
    fresh = LabUnderTest(tmp_path / "home")
    yield fresh
    fresh.stop()
    assert _processes(fresh) == []


def _processes(lab: LabUnderTest) -> list[str]:
    """Command lines of the processes that name this lab's home."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(str(lab.home) in word for word in words) and not gone(process):
            found.append(" ".join(words))
    return found


def _wait_until(true: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def _container(facts: Facts) -> ContainerClient:
    return ContainerClient(
        f"https://127.0.0.1:{facts.azurite_port}/{identity.STORAGE_ACCOUNT}",
        identity.DEFAULT_CONTAINER,
        credential=facts.storage_key,
        connection_verify=facts.ca_file,
    )


def _has_listened(lab: LabUnderTest, times: int) -> bool:
    return lab.log(1000).count("successfully listens") >= times


def _azurite(lab: LabUnderTest) -> psutil.Process:
    return next(
        child for child in psutil.Process(lab.facts.pid).children() if str(lab.paths.azurite_data) in child.cmdline()
    )


def test_stop_ends_every_process_and_keeps_the_data(fresh: LabUnderTest) -> None:
    fresh.start()
    assert len(_processes(fresh)) == 2
    with _container(fresh.facts) as container:
        container.upload_blob("kept", b"content")
    done = fresh.command("stop")
    assert (done.returncode, _processes(fresh)) == (0, [])
    assert not fresh.paths.facts_file.exists()
    fresh.start()
    with _container(fresh.facts) as container:
        assert container.download_blob("kept").readall() == b"content"


def test_ports_and_secrets_survive_a_restart(fresh: LabUnderTest) -> None:
    fresh.start()
    before = fresh.env
    fresh.stop()
    fresh.start()
    assert fresh.env == before


def test_stop_with_nothing_running_says_so(fresh: LabUnderTest) -> None:
    done = fresh.command("stop")
    assert done.returncode == 0
    assert "no lab was running" in done.stdout


@pytest.mark.parametrize("verb", [["status"], ["env"], ["run", "--", "true"]], ids=lambda verb: verb[0])
def test_without_a_lab_the_other_verbs_say_how_to_start_one(fresh: LabUnderTest, verb: list[str]) -> None:
    done = fresh.command(*verb)
    assert (done.returncode, done.stdout) == (3, "")
    assert "python -m lab start" in done.stderr


def test_after_a_kill_no_azurite_is_left_and_the_next_start_has_the_data(fresh: LabUnderTest) -> None:
    fresh.start()
    facts, azurite = fresh.facts, _azurite(fresh)
    with _container(facts) as container:
        container.upload_blob("kept", b"content")
    os.kill(facts.pid, signal.SIGKILL)
    _wait_until(lambda: gone(azurite), "Azurite ends with its daemon")
    assert fresh.command("status").returncode == 3  # the stale lab.json deceives nobody
    fresh.start()
    assert fresh.facts.pid != facts.pid
    with _container(fresh.facts) as container:
        assert container.download_blob("kept").readall() == b"content"


def test_an_azurite_that_outlived_its_daemon_is_ended_by_the_next_start(fresh: LabUnderTest) -> None:
    fresh.start()
    azurite = _azurite(fresh)
    azurite.suspend()  # too stuck to see that its daemon is gone
    os.kill(fresh.facts.pid, signal.SIGKILL)
    done = fresh.command("start")
    assert f"ended the Azurite (pid {azurite.pid})" in done.stdout
    assert gone(azurite)


def test_a_stale_lab_json_with_a_strangers_pid_is_no_lab_and_the_stranger_lives(fresh: LabUnderTest) -> None:
    fresh.start()
    os.kill(fresh.facts.pid, signal.SIGKILL)
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        fresh.paths.azurite_pid_file.write_text(f'{{"pid": {stranger.pid}, "created": 1.0}}', encoding="utf-8")
        text = fresh.paths.facts_file.read_text(encoding="utf-8")
        fresh.paths.facts_file.write_text(text.replace('"pid": ', f'"pid": {stranger.pid}, "x": '), encoding="utf-8")
        fresh.start()
        fresh.stop()
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n", timeout=60)


def test_starts_at_once_make_one_lab(fresh: LabUnderTest) -> None:
    with ThreadPoolExecutor(3) as starts:
        done = [one.result() for one in [starts.submit(fresh.command, "start") for _ in range(3)]]
    assert [one.returncode for one in done] == [0, 0, 0]
    assert sum("ready in" in one.stdout for one in done) == 1
    assert len(_processes(fresh)) == 2


def test_taken_ports_give_others_and_that_is_told(fresh: LabUnderTest) -> None:
    fresh.start()
    before = fresh.facts
    fresh.stop()
    ports = (before.proxy_port, before.emulator_port, before.azurite_port, before.page_port)
    taken = [listener(port) for port in ports]
    try:
        told = fresh.command("start")
        after = fresh.facts
        for port, name in zip(ports, ("proxy", "emulator", "Azurite", "page"), strict=True):
            assert f"port {port} ({name}) is taken by another program" in told.stdout + told.stderr
        assert not {after.proxy_port, after.emulator_port, after.azurite_port, after.page_port} & set(ports)
    finally:
        for one in taken:
            one.close()


@pytest.mark.xdist_group("running lab")
def test_two_labs_do_not_meet(lab: LabUnderTest, fresh: LabUnderTest) -> None:
    fresh.start()
    first, second = lab.facts, fresh.facts
    ports = ("proxy_port", "emulator_port", "azurite_port")
    assert not {getattr(first, port) for port in ports} & {getattr(second, port) for port in ports}
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(
            f"https://127.0.0.1:{second.emulator_port}/",
            verify=ssl.create_default_context(cafile=first.ca_file),
            trust_env=False,
        )
    assert control_get(second, "/_lab/status", token=first.control_token).status == 401
    fresh.stop()
    assert lab.command("status").returncode == 0


@pytest.mark.xdist_group("running lab")
def test_a_lab_started_inside_another_one_reaches_the_outside_for_its_installations(
    lab: LabUnderTest, fresh: LabUnderTest
) -> None:
    inner = {"LAB_HOME": str(fresh.home), "LAB_CACHE": str(fresh.paths.cache)}
    done = lab.run([sys.executable, "-m", "lab", "start"], env=inner, check=False)
    assert done.returncode == 0, done.stderr
    assert "HTTPS_PROXY" not in psutil.Process(fresh.facts.pid).environ() or "HTTPS_PROXY" in os.environ


def test_an_azurite_that_dies_is_started_again_on_its_port_and_has_every_change(fresh: LabUnderTest) -> None:
    """Azurite saves its tables once in five seconds; what it took in since is kept beside them."""
    fresh.start()
    for times in (2, 3):
        with _container(fresh.facts) as container:
            for number in range(9):
                container.upload_blob(f"{times}/{number}", b"first")
            container.upload_blob(f"{times}/0", b"second", overwrite=True)
            container.delete_blob(f"{times}/1")
        _azurite(fresh).kill()
        _wait_until(lambda times=times: fresh.log().count("prepared on port") == times, "a new Azurite")  # type: ignore[misc]

    with _container(fresh.facts) as container:
        content = {name: container.download_blob(name).readall() for name in container.list_blob_names()}

    kept = [f"{times}/{number}" for times in (2, 3) for number in (0, 2, 3, 4, 5, 6, 7, 8)]
    assert content == {name: b"second" if name.endswith("/0") else b"first" for name in kept}
    assert "starting it again on port" in fresh.log()


def test_an_azurite_that_keeps_dying_stays_down_and_its_clients_are_told(fresh: LabUnderTest) -> None:
    fresh.start()
    for times in range(1, RESTARTS + 2):
        _wait_until(functools.partial(_has_listened, fresh, times), f"Azurite is up for the {times}. time")
        _azurite(fresh).kill()
    _wait_until(lambda: "it stays down" in fresh.log(), "the lab gives up")
    url = f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net/"
    assert "response 502" in fresh.run(["curl", "-sS", url]).stderr


def test_stop_ends_scoring_drivers_and_what_they_started(fresh: LabUnderTest) -> None:
    fresh.start()
    job = fresh.home / "jobs" / "job-1"
    job.mkdir(parents=True)
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()', sys.argv[2]])"
    driver = subprocess.Popen(
        [sys.executable, "-c", script, "lab.scoring", str(job / "spec.json")], stdin=subprocess.PIPE
    )
    (job / "pid").write_text(f"{driver.pid}\n", encoding="ascii")
    _wait_until(lambda: len(_processes(fresh)) == 4, "driver and worker run")
    done = fresh.command("stop")
    assert "1 scoring job" in done.stdout
    assert _processes(fresh) == []
    driver.communicate()


def test_a_process_that_merely_has_a_drivers_number_is_left_alone(fresh: LabUnderTest) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    job = fresh.home / "jobs" / "job-1"
    job.mkdir(parents=True)
    (job / "pid").write_text(f"{stranger.pid}\n", encoding="ascii")
    fresh.stop()
    assert stranger.poll() is None
    stranger.communicate(b"\n", timeout=60)


def test_without_network_start_says_what_is_missing_and_the_next_start_goes_on(
    fresh: LabUnderTest, tmp_path: Path
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, script in (("node", "echo v24.0.0"), ("npm", "echo ENOTFOUND; exit 1")):
        (tools / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tools / name).chmod(0o700)
    broken = {"PATH": f"{tools}:{os.environ['PATH']}", "LAB_CACHE": str(tmp_path / "cache")}
    done = fresh.command("start", env=broken)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "npm could not install Azurite" in done.stderr
    fresh.start()


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = LabUnderTest(tmp_path / "file" / "home").command("start")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert str(tmp_path / "file" / "home") in done.stderr


def test_a_lab_that_does_not_answer_is_named_and_can_be_stopped(fresh: LabUnderTest) -> None:
    fresh.start()
    facts = fresh.facts
    text = fresh.paths.facts_file.read_text(encoding="utf-8")
    fresh.paths.facts_file.write_text(text.replace(facts.control_token, "other"), encoding="utf-8")
    done = fresh.command("start")
    assert done.returncode == 1
    assert f"pid {facts.pid}" in done.stderr
    assert "python -m lab stop" in done.stderr
