"""Only the builder of scoring environments reaches out: the lab's own processes open no connection off this machine.

Where the environment of the job is not built yet, `uv` builds it, a program of its own that is not watched here.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.lifecycle.checkout import Checkout

AUDIT = """
import os, sys

def _note(event, arguments):
    if event == "socket.connect":
        where = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        where = (arguments[0], 0)
    else:
        return
    with open(os.environ["LAB_REACH"], "a", encoding="utf-8") as file:
        file.write(repr((sys.orig_argv[-3:], where)) + "\\n")

sys.addaudithook(_note)
"""
"""Runs in every Python process that the lab starts, as its sitecustomize."""

HERE = {"127.0.0.1", "::1", "localhost", None, b"127.0.0.1", b"localhost"}


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout with the MLflow model, whose lab is started with every connection of its Python processes
    written down.

    It is the stack with the most reasons to reach out: MLflow comes with a service of its own and reports its use."""
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")
    (tmp_path / "project").mkdir()
    checkout = Checkout(tmp_path / "project", "embedded", "mlflow")
    audit = {"PYTHONPATH": str(tmp_path / "audit"), "LAB_REACH": str(tmp_path / "reach")}
    try:
        started = checkout.lab.command("start", env=audit)
        assert started.returncode == 0, started.stderr
        yield checkout
    finally:
        checkout.lab.stop()


def test_no_process_of_the_lab_connects_to_another_machine(watched: Checkout, tmp_path: Path) -> None:
    done = threading.Event()
    seen: set[str] = set()
    sampler = threading.Thread(target=_sample, args=(watched.lab.facts.pid, done, seen))
    sampler.start()
    try:
        said = watched.succeed("up")
    finally:
        done.set()
        sampler.join()

    assert "Completed, 200 rows" in said
    reached = [ast.literal_eval(line) for line in (tmp_path / "reach").read_text(encoding="utf-8").splitlines()]
    assert any("lab.scoring" in words for words, _ in reached), "the job's process was not watched"
    assert [entry for entry in reached if isinstance(entry[1], tuple) and entry[1][0] not in HERE] == []
    assert seen == set()


def _sample(pid: int, done: threading.Event, seen: set[str]) -> None:
    """Note where the daemon and Azurite have connections to, as the system sees it."""
    daemon = psutil.Process(pid)
    while not done.wait(0.05):
        for process in (daemon, *daemon.children()):
            try:
                connections = process.net_connections(kind="inet")
                name = " ".join(process.cmdline()[:4])
            except psutil.Error:
                continue
            seen |= {f"{name} -> {each.raddr.ip}" for each in connections if each.raddr and each.raddr.ip not in HERE}
