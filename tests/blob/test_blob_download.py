"""Blobs brought here: whole or not at all, resumed, verified, and never over something else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from providers.blob import BlobError, Wanted, download, list_blobs, plan, target_below
from providers.blob.container import BLOCK
from providers.blob.folder import FolderError
from tests.blob.blob_service import Answer, BlobService, Stored, refusal

LARGE = os.urandom(2 * BLOCK + 12_345)


def wanted(service: BlobService, folder: Path, prefix: str = "out/") -> list[Wanted]:
    return [
        Wanted(blob, target_below(folder, blob.name.removeprefix(prefix)))
        for blob in list_blobs(service.open(), prefix)
    ]


def fetch(service: BlobService, folder: Path, **options: bool) -> None:
    download(service.open(), wanted(service, folder), **options)  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def service() -> BlobService:
    service = BlobService()
    service.put("data/out/predictions.csv", b"a 1\n")
    service.put("data/out/deep/er/ünd so.txt", b"x")
    service.put("data/out/empty", b"")
    return service


def without_md5(service: BlobService, name: str, content: bytes, **metadata: str) -> Stored:
    service.put(name, content, **metadata)
    service.blobs[name].has_md5 = False
    return service.blobs[name]


def test_every_file_comes_whole_with_its_folders(service: BlobService, tmp_path: Path) -> None:
    fetch(service, tmp_path)

    assert files(tmp_path) == {"predictions.csv": b"a 1\n", "deep/er/ünd so.txt": b"x", "empty": b""}


@pytest.mark.parametrize("kept", ["md5", "sha256", "nothing"])
def test_a_large_file_comes_in_blocks_whatever_hash_the_service_keeps(tmp_path: Path, kept: str) -> None:
    service = BlobService()
    noted = {"sha256": hashlib.sha256(LARGE).hexdigest()} if kept == "sha256" else {}
    service.put("data/out/large", LARGE, **noted)
    service.blobs["data/out/large"].has_md5 = kept == "md5"

    fetch(service, tmp_path)

    assert files(tmp_path) == {"large": LARGE}
    assert service.count("get") >= 3


def test_a_broken_download_goes_on_behind_what_it_left(tmp_path: Path) -> None:
    service = BlobService()
    service.put("data/out/large", LARGE)
    struck: list[str] = []

    def third(what: str, _name: str) -> Answer | None:
        struck.append(what)
        return refusal(403, "AuthorizationFailure") if struck.count("get") == 3 else None

    service.fault = third
    with pytest.raises(BlobError, match="AuthorizationFailure"):
        download(service.open(), wanted(service, tmp_path), concurrency=1)
    (left,) = files(tmp_path)
    service.fault, before = None, service.count("get")

    fetch(service, tmp_path)

    assert left.startswith("large.") and left.endswith(".partial")
    assert service.count("get") == before + 1
    assert files(tmp_path) == {"large": LARGE}


def test_what_was_left_of_other_content_is_not_gone_on_with(tmp_path: Path) -> None:
    service = BlobService()
    service.put("data/out/large", LARGE)
    (tmp_path / "large.0x0.partial").write_bytes(b"of yesterday")

    fetch(service, tmp_path)

    assert files(tmp_path) == {"large": LARGE}


@pytest.mark.parametrize("content", [b"a 1\n", LARGE], ids=["small", "large"])
def test_what_is_not_what_the_service_keeps_gets_no_name(tmp_path: Path, content: bytes) -> None:
    service = BlobService()
    service.put("data/out/file", content)
    listed = wanted(service, tmp_path)
    service.blobs["data/out/file"].content = content[:-1] + b"?"

    with pytest.raises(BlobError, match="HashMismatch"):
        download(service.open(), listed)

    assert files(tmp_path) == {}


def test_a_blob_that_changes_meanwhile_is_refused(service: BlobService, tmp_path: Path) -> None:
    listed = wanted(service, tmp_path)
    service.put("data/out/predictions.csv", b"b 2\n")

    with pytest.raises(BlobError, match="ConditionNotMet"):
        download(service.open(), listed)

    assert "predictions.csv" not in files(tmp_path)


def test_a_plan_tells_what_is_there_from_what_is_in_the_way(service: BlobService, tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_bytes(b"a 1\n")
    (tmp_path / "empty").write_bytes(b"mine")

    found = plan(wanted(service, tmp_path))

    names = [[each.target.name for each in part] for part in (found.fetch, found.kept, found.strangers)]
    assert names == [["ünd so.txt"], ["predictions.csv"], ["empty"]]


def test_a_file_whose_content_nobody_knows_is_fetched_and_compared(tmp_path: Path) -> None:
    service = BlobService()
    without_md5(service, "data/out/same", b"1234")
    without_md5(service, "data/out/other", b"1234")
    (tmp_path / "same").write_bytes(b"1234")
    (tmp_path / "other").write_bytes(b"abcd")
    found = plan(wanted(service, tmp_path))

    with pytest.raises(FolderError, match="other: is there with other content"):
        download(service.open(), found.fetch, concurrency=1)

    assert [each.target.name for each in found.strangers] == []
    assert files(tmp_path) == {"same": b"1234", "other": b"abcd"}


def test_a_file_that_appears_meanwhile_is_left_unless_asked(service: BlobService, tmp_path: Path) -> None:
    listed = wanted(service, tmp_path)
    (tmp_path / "predictions.csv").write_bytes(b"mine")

    with pytest.raises(FolderError, match="left as it is"):
        download(service.open(), listed)
    kept = files(tmp_path)["predictions.csv"]
    download(service.open(), listed, overwrite=True)

    assert kept == b"mine"
    assert files(tmp_path)["predictions.csv"] == b"a 1\n"


def test_progress_counts_bytes_and_whole_files(service: BlobService, tmp_path: Path) -> None:
    told: list[tuple[int, bool]] = []
    service.put("data/out/large", LARGE)

    download(service.open(), wanted(service, tmp_path), received=lambda count, whole: told.append((count, whole)))

    assert sum(count for count, _ in told) == len(LARGE) + 5
    assert sum(whole for _, whole in told) == 4


def test_a_folder_that_cannot_be_written_to_is_named(service: BlobService, tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("a file where a folder is to be")

    with pytest.raises(FolderError, match="cannot be written"):
        fetch(service, tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/x", "a//b", "back\\slash"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(FolderError, match="no name that a file below"):
        target_below(tmp_path, name)
