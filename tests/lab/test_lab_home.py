"""Where a lab keeps what it has, and who may read it."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.home import CHECKOUT, Home, home_from, last_ports, read_facts, secrets_of, write_private
from lab.lock import holder, locked, try_lock


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home", tmp_path / "cache")
    home.prepare()
    return home


def test_the_home_is_in_the_checkout_unless_told_otherwise() -> None:
    assert home_from({}) == Home(CHECKOUT / ".lab", CHECKOUT / ".lab" / "cache")
    assert home_from({"LAB_HOME": "/a", "LAB_CACHE": "/b"}) == Home(Path("/a"), Path("/b"))


@pytest.mark.parametrize("name", ["LAB_HOME", "LAB_CACHE"])
def test_a_relative_folder_is_refused_by_name(name: str) -> None:
    with pytest.raises(LabError, match=f"{name} must be an absolute path, got 'here'"):
        home_from({name: "here"})


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(LabError, match="cannot make the folder"):
        Home(tmp_path / "file" / "home", tmp_path).prepare()


def test_secrets_are_made_once_and_readable_by_the_owner_alone(home: Home) -> None:
    assert secrets_of(home) == secrets_of(home)
    assert stat.S_IMODE(home.secrets_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_secrets_do_not_show(home: Home) -> None:
    secrets = secrets_of(home)
    assert secrets.storage_key not in repr(secrets)
    assert secrets.client_secret not in repr(secrets)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": 1}', '{"strange": 1}'])
def test_a_lab_json_that_makes_no_sense_is_none(home: Home, text: str) -> None:
    home.facts_file.write_text(text, encoding="utf-8")
    assert read_facts(home) is None


@pytest.mark.parametrize("text", ["", "{", '{"proxy_port": "x"}'])
def test_ports_that_are_not_known_are_left_to_the_system(home: Home, text: str) -> None:
    home.ports_file.write_text(text, encoding="utf-8")
    assert set(last_ports(home).values()) == {0}


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_private(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(file, "new \ud800")
    assert [one.name for one in tmp_path.iterdir()] == ["a"]
    assert file.read_text(encoding="utf-8") == "old"


def test_a_lock_is_held_by_one_and_tells_by_whom(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    assert try_lock(tmp_path / "lock") is None
    assert holder(tmp_path / "lock") == os.getpid()
    lock.release()
    assert holder(tmp_path / "lock") is None


def test_who_waits_for_a_lock_says_so_and_gets_it(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    waiting = threading.Event()

    def release_when_waited_for() -> None:
        waiting.wait(60)
        lock.release()

    threading.Thread(target=release_when_waited_for).start()
    with locked(tmp_path / "lock", wait_seconds=60, what="a start", waiting=waiting.set):
        assert waiting.is_set()


def test_a_lock_that_stays_held_is_an_error_that_names_the_holder(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    with (
        pytest.raises(LabError, match=rf"a start is at work.*pid {os.getpid()}"),
        locked(tmp_path / "lock", wait_seconds=0, what="a start"),
    ):
        raise AssertionError("not reached")
    lock.release()
