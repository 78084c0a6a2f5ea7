"""Digests of files are used again only where nothing changed, and a cache that cannot be used is no trouble."""

import os
import sqlite3
import time
from pathlib import Path

import pytest

from providers.blob import Digests, kept, manifest, scan

SECOND = 1_000_000_000


def later() -> int:
    """A clock by which every file has been at rest for a minute."""
    return time.time_ns() + 60 * SECOND


@pytest.fixture
def digests(tmp_path: Path) -> Digests:
    return Digests(tmp_path / "cache" / "digests.sqlite", later)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "deep").mkdir(parents=True)
    (root / "weights").write_bytes(b"one")
    (root / "deep" / "more").write_bytes(b"two")
    return root


def forged(digests: Digests, root: Path) -> None:
    """Let the cache say something else of every file, which shows where it is believed."""
    digests.keep(root, {path: (stamp, "f" * 64) for path, (stamp, _) in digests.below(root).items()})


def test_a_file_that_is_as_it_was_is_not_read_again(root: Path, digests: Digests) -> None:
    first = manifest(root, digests)
    forged(digests, root)

    assert {each.sha256 for each in manifest(root, digests)} == {"f" * 64}
    assert manifest(root) == first, "without the cache everything is read"
    assert [each.size for each in manifest(root, digests)] == [each.size for each in first]


def content(root: Path) -> None:
    (root / "weights").write_bytes(b"six")


def content_with_the_old_date(root: Path) -> None:
    """Same size, same date of modification: what a careless copy or a clock that was put back leaves."""
    file = root / "weights"
    before = file.stat()
    file.write_bytes(b"six")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def another_file(root: Path) -> None:
    """Another file in its place, of the same size and date."""
    file = root / "weights"
    before = file.stat()
    other = root / "other"
    other.write_bytes(b"six")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)


@pytest.mark.parametrize("change", [content, content_with_the_old_date, another_file])
def test_a_file_that_changed_is_read_again_whatever_its_date_says(root: Path, digests: Digests, change: object) -> None:
    manifest(root, digests)
    assert callable(change)
    change(root)

    assert scan(root, digests).digest == scan(root).digest


def test_a_file_that_changed_just_now_is_not_kept(root: Path, tmp_path: Path) -> None:
    digests = Digests(tmp_path / "digests.sqlite", lambda: (root / "weights").stat().st_ctime_ns + SECOND)
    manifest(root, digests)

    assert digests.below(root) == {}


def test_a_single_file_is_kept_too_and_a_neighbour_with_a_longer_name_is_not_its(root: Path, digests: Digests) -> None:
    neighbour = root.parent / "model-2"
    neighbour.mkdir()
    (neighbour / "weights").write_bytes(b"three")
    for each in (root, neighbour, root / "weights"):
        manifest(each, digests)

    assert {Path(path).name for path in digests.below(root)} == {"weights", "more"}
    assert list(digests.below(root / "weights")) == [str(root / "weights")]
    assert len(digests.below(neighbour)) == 1


def test_what_is_gone_from_the_folder_is_gone_from_the_cache(root: Path, digests: Digests) -> None:
    manifest(root, digests)
    (root / "deep" / "more").unlink()
    manifest(root, digests)

    assert [Path(path).name for path in digests.below(root)] == ["weights"]


def test_a_folder_is_the_same_by_a_link_or_a_relative_path(
    root: Path, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest(root, digests)
    forged(digests, root)
    (root.parent / "link").symlink_to(root)
    monkeypatch.chdir(root.parent)

    for name in ("model", "link", "./link/../model"):
        assert {each.sha256 for each in manifest(name, digests)} == {"f" * 64}, name


def test_what_nobody_asked_for_in_two_months_goes(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "digests.sqlite"
    manifest(root, Digests(file, later))
    Digests(file, lambda: later() + 61 * 24 * 3600 * SECOND).keep(tmp_path / "elsewhere", {})

    assert Digests(file).below(root) == {}


@pytest.mark.parametrize("broken", [b"no database", b"SQLite format 3\x00" + b"\x00" * 200])
def test_a_broken_cache_is_replaced(root: Path, tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "digests.sqlite"
    file.write_bytes(broken)
    digests = Digests(file, later)

    assert scan(root, digests) == scan(root)
    assert scan(root, digests) == scan(root)
    assert len(digests.below(root)) == 2


def test_a_cache_that_cannot_be_written_is_no_cache(root: Path, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("", encoding="utf-8")

    assert scan(root, Digests(tmp_path / "a-file" / "digests.sqlite")) == scan(root)


def test_a_cache_that_somebody_else_holds_is_waited_for_and_then_left_out(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digests.sqlite"
    digests = Digests(file, later)
    scan(root, digests)
    connect = sqlite3.connect
    with connect(file) as holder:
        holder.execute("begin exclusive")
        monkeypatch.setattr(sqlite3, "connect", lambda name, timeout: connect(name, timeout=0.01))
        assert scan(root, digests) == scan(root)
    assert file.is_file()


def test_it_lies_in_the_virtual_environment_and_only_there() -> None:
    found = kept({}, "/v", "/usr")

    assert found is not None
    assert found._file == Path("/v/cache/digests.sqlite")
    assert kept({}, "/usr", "/usr") is None
    assert kept({"AML_BATCH_VERIFY": "1"}, "/v", "/usr") is None
    assert kept({"AML_BATCH_VERIFY": "0"}, "/v", "/usr") is not None
