"""Uploads send each byte once, go on after a break, and mark only what is whole."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

from providers.blob import BlobError, Folder, FolderError, Uploaded, delete_prefix, exists, manifest, scan, upload
from providers.blob.container import BLOCK
from providers.blob.size import size
from providers.blob.upload import manifest_of
from tests.blob.blob_service import Answer, BlobService, refusal


class Killed(BaseException):
    """The process dies here."""


def fill(root: Path, **files: bytes) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root


def place(folder: Folder) -> str:
    return f"shop/prod/code/{folder.digest}/"


def send(service: BlobService, folder: Folder, root: str = "") -> Uploaded:
    return upload(folder, service.open(), place(folder), root=root)


@pytest.fixture
def service() -> BlobService:
    return BlobService()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path / "code", a=b"one", b=b"two", empty=b"")


def test_every_file_arrives_and_then_the_manifest(service: BlobService, root: Path) -> None:
    folder = scan(root)
    assert send(service, folder) == Uploaded(files=3, bytes_sent=6, copied=0)
    stored = service.contents()
    mark = stored.pop(f"shop/prod/code/manifests/{folder.digest}.json")
    assert stored == {
        f"{place(folder)}{name}": content for name, content in {"a": b"one", "b": b"two", "empty": b""}.items()
    }
    assert service.log[-1][:2] == ("put", f"data/shop/prod/code/manifests/{folder.digest}.json")
    assert json.loads(mark)["digest"] == folder.digest
    assert exists(service.open(), place(folder), folder.digest)


def test_folders_inside_keep_their_place(service: BlobService, root: Path) -> None:
    fill(root / "sub", c=b"three")
    folder = scan(root)
    send(service, folder)
    assert service.contents()[f"{place(folder)}sub/c"] == b"three"


def test_files_may_go_to_a_folder_of_their_own(service: BlobService, root: Path) -> None:
    folder = scan(root)
    send(service, folder, root="model")
    assert service.contents()[f"{place(folder)}model/a"] == b"one"
    assert send(service, folder, root="model").bytes_sent == 0


def test_a_second_upload_sends_nothing(service: BlobService, root: Path) -> None:
    send(service, scan(root))
    before = service.sent()
    assert send(service, scan(root)) == Uploaded(files=3, bytes_sent=0, copied=0)
    assert service.sent() - before == {manifest_name(scan(root)): len(json_of(service, scan(root)))}


def manifest_name(folder: Folder) -> str:
    return f"data/{manifest_of(place(folder))}"


def json_of(service: BlobService, folder: Folder) -> bytes:
    return service.blobs[manifest_name(folder)].content


@pytest.mark.parametrize("survivors", range(4))
def test_after_a_kill_no_whole_file_is_sent_again(service: BlobService, tmp_path: Path, survivors: int) -> None:
    folder = scan(fill(tmp_path / "code", **{f"f{n}": bytes([n]) * 1000 for n in range(6)}))

    def kill(what: str, name: str) -> Answer | None:
        if what == "put" and service.count("put") >= survivors:
            raise Killed
        return None

    service.fault = kill
    with pytest.raises(Killed):
        upload(folder, service.open(), place(folder), concurrency=1)
    assert not exists(service.open(), place(folder), folder.digest)
    service.fault = None
    assert send(service, folder).bytes_sent == 1000 * (6 - survivors)
    files = {name: size for name, size in service.sent().items() if "manifests" not in name}
    assert set(files.values()) == {1000}


def test_after_a_kill_no_block_of_a_large_file_is_sent_again(service: BlobService, tmp_path: Path) -> None:
    content = b"".join(bytes([n]) * BLOCK for n in range(4)) + b"rest"
    folder = scan(fill(tmp_path / "model", weights=content))

    def kill(what: str, name: str) -> Answer | None:
        if what == "block" and service.count("block") >= 2:
            raise Killed
        return None

    service.fault = kill
    with pytest.raises(Killed):
        upload(folder, service.open(), place(folder), concurrency=1)
    service.fault = None
    assert send(service, folder).bytes_sent == len(content) - 2 * BLOCK
    assert service.contents()[f"{place(folder)}weights"] == content
    assert service.sent()[f"data/{place(folder)}weights"] == len(content)


def test_blocks_of_other_content_are_not_taken_for_ours(service: BlobService, tmp_path: Path) -> None:
    folder = scan(fill(tmp_path / "model", weights=b"x" * (BLOCK + 1)))
    service.staged[f"data/{place(folder)}weights"] = {"b3RoZXI=": b"y" * BLOCK}
    send(service, folder)
    assert service.contents()[f"{place(folder)}weights"] == b"x" * (BLOCK + 1)


def test_files_of_an_earlier_upload_are_copied_in_the_account(service: BlobService, root: Path) -> None:
    before = scan(root)
    send(service, before)
    fill(root, a=b"changed", renamed=b"two")
    (root / "b").unlink()
    after = scan(root)
    assert send(service, after) == Uploaded(files=3, bytes_sent=7, copied=1)
    assert service.contents()[f"{place(after)}renamed"] == b"two"
    assert service.blobs[f"data/{place(after)}renamed"].metadata["sha256"]


def test_copies_carry_over_to_other_roots(service: BlobService, root: Path) -> None:
    send(service, scan(root), root="old")
    fill(root, c=b"new")
    assert send(service, scan(root), root="new").copied == 2


@pytest.mark.parametrize("status", [403, 404, 409, 500])
def test_where_copying_is_refused_the_file_is_sent(service: BlobService, root: Path, status: int) -> None:
    send(service, scan(root))
    fill(root, a=b"changed")
    service.fault = lambda what, _: refusal(status, "X") if what == "copy" else None
    after = scan(root)
    assert send(service, after).copied == 0
    assert service.contents()[f"{place(after)}b"] == b"two"


def test_a_copy_of_what_is_not_what_its_manifest_says_is_sent_instead(service: BlobService, root: Path) -> None:
    before = scan(root)
    send(service, before)
    service.put(f"data/{place(before)}b", b"bad", sha256="0")
    fill(root, a=b"changed")
    after = scan(root)

    assert send(service, after) == Uploaded(files=3, bytes_sent=10, copied=0)
    assert service.contents()[f"{place(after)}b"] == b"two"


def test_a_wrong_copy_that_may_not_be_deleted_is_a_blob_error(service: BlobService, root: Path) -> None:
    before = scan(root)
    send(service, before)
    service.put(f"data/{place(before)}b", b"bad", sha256="0")
    fill(root, a=b"changed")
    service.fault = lambda what, _: refusal(403, "AuthorizationPermissionMismatch") if what == "delete" else None

    with pytest.raises(BlobError, match="delete blob"):
        send(service, scan(root))


def test_copies_are_looked_at_with_one_listing_for_all(service: BlobService, tmp_path: Path) -> None:
    root = fill(tmp_path / "code", **{f"f{number}": bytes([number]) for number in range(20)})
    send(service, scan(root))
    fill(root, f0=b"changed")
    service.page = 1000
    service.log.clear()

    assert send(service, scan(root)).copied == 19
    assert service.count("copy") == 19
    assert service.count("head") == 0


def test_an_earlier_upload_that_is_only_a_manifest_is_no_trap(service: BlobService, root: Path) -> None:
    before = scan(root)
    send(service, before)
    for name in ("a", "b", "empty"):
        del service.blobs[f"data/{place(before)}{name}"]
    service.put("data/shop/prod/code/manifests/odd.json", b"not json")
    service.put("data/shop/prod/code/manifests/odder.json", b"[]")
    fill(root, c=b"new")
    assert send(service, scan(root)) == Uploaded(files=4, bytes_sent=9, copied=0)


def test_a_folder_that_changed_since_its_scan_is_refused_with_the_newest_file(service: BlobService, root: Path) -> None:
    folder = scan(root)
    fill(root, b=b"changed")
    with pytest.raises(FolderError, match=r"changed since it was scanned.*the file changed last is .*b; run again"):
        send(service, folder)
    assert service.log == []


def test_a_file_that_changes_while_it_is_sent_is_refused_by_name(service: BlobService, root: Path) -> None:
    folder = scan(root)

    def touch(what: str, name: str) -> Answer | None:
        if what == "list":
            (root / "a").write_bytes(b"changed")
        return None

    service.fault = touch
    with pytest.raises(FolderError, match=r"a: changed while it was uploaded"):
        send(service, folder)
    assert not exists(service.open(), place(folder), folder.digest)


def test_a_large_file_that_changes_while_it_is_sent_is_never_committed(service: BlobService, tmp_path: Path) -> None:
    root = fill(tmp_path / "model", weights=b"x" * (2 * BLOCK))
    folder = scan(root)

    def touch(what: str, name: str) -> Answer | None:
        if what == "blocks":
            (root / "weights").write_bytes(b"x" * BLOCK + b"y" * BLOCK)
        return None

    service.fault = touch
    with pytest.raises(FolderError, match="weights: changed while it was uploaded"):
        send(service, folder)
    assert service.count("commit") == 0


def test_blobs_of_others_below_the_prefix_are_refused_by_name(service: BlobService, root: Path) -> None:
    folder = scan(root)
    service.put(f"data/{place(folder)}stranger.py", b"import evil")
    with pytest.raises(BlobError, match=r"'stranger.py' for one; delete them"):
        send(service, folder)


def test_a_blob_of_ours_with_other_content_is_replaced(service: BlobService, root: Path) -> None:
    folder = scan(root)
    service.put(f"data/{place(folder)}a", b"bad", sha256="0")
    send(service, folder)
    assert service.contents()[f"{place(folder)}a"] == b"one"


def test_a_blob_that_changes_between_listing_and_writing_is_not_overwritten(service: BlobService, root: Path) -> None:
    folder = scan(root)
    service.put(f"data/{place(folder)}a", b"bad", sha256="0")

    def meddle(what: str, name: str) -> Answer | None:
        if what == "put" and name.endswith("/a"):
            service.fault = None
            service.put(name, b"other", sha256="1")
        return None

    service.fault = meddle
    with pytest.raises(BlobError, match="another upload wrote other content"):
        upload(folder, service.open(), place(folder), concurrency=1)


def test_two_uploads_of_the_same_folder_at_once_both_end_well(service: BlobService, root: Path) -> None:
    folder = scan(root)
    gate = threading.Barrier(2)

    def meet(what: str, name: str) -> Answer | None:
        if what == "list" and service.count("put") == 0 and not gate.broken:
            gate.wait(60)
        return None

    service.fault_after = meet
    service.page = 1000
    results: list[Uploaded] = []
    threads = [threading.Thread(target=lambda: results.append(send(service, folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [result.files for result in results] == [3, 3]
    assert exists(service.open(), place(folder), folder.digest)


@pytest.mark.parametrize("answer", [refusal(500, "InternalError"), refusal(503, "ServerBusy"), refusal(408, "X")])
def test_a_lost_answer_to_a_write_is_healed(service: BlobService, root: Path, answer: Answer) -> None:
    lost: set[str] = set()

    def lose(what: str, name: str) -> Answer | None:
        if what in ("put", "commit", "block") and name not in lost:
            lost.add(name)
            return answer
        return None

    service.fault_after = lose
    folder = scan(root)
    send(service, folder)
    assert exists(service.open(), place(folder), folder.digest)
    assert len(service.sleeps) >= 4


def test_trouble_that_stays_is_one_line_that_says_where(service: BlobService, root: Path) -> None:
    service.fault = lambda what, _: refusal(503, "ServerBusy", "Busy.") if what == "put" else None
    folder = scan(root)
    with pytest.raises(BlobError, match=r"ServerBusy: write blob: Busy\. \[status 503") as caught:
        send(service, folder)
    assert "\n" not in str(caught.value)
    assert place(folder) in str(caught.value)


def test_the_manifest_of_other_content_is_refused(service: BlobService, root: Path) -> None:
    folder = scan(root)
    service.put(f"data/{manifest_of(place(folder))}", b'{"digest": "other"}')
    with pytest.raises(BlobError, match="is the manifest of other content"):
        send(service, folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"digest": "other"}'])
def test_an_odd_manifest_is_no_upload(service: BlobService, content: bytes) -> None:
    service.put("data/a/manifests/d.json", content)
    assert not exists(service.open(), "a/d/", "digest")


def test_deleting_takes_the_manifest_first_and_every_blob(service: BlobService, root: Path) -> None:
    folder = scan(root)
    send(service, folder)
    service.put(f"data/shop/prod/code/{folder.digest}2/x", b"a neighbour")
    service.log.clear()
    assert delete_prefix(service.open(), place(folder)) == 4
    assert next(name for what, name, _ in service.log if what == "delete").endswith(".json")
    assert list(service.contents()) == [f"shop/prod/code/{folder.digest}2/x"]
    assert delete_prefix(service.open(), place(folder)) == 0


@pytest.mark.parametrize("prefix", ["", "/", "a", "a/b", "/a/b/", "a/manifests/"])
def test_a_prefix_that_is_no_folders_is_refused(service: BlobService, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix: must read like"):
        delete_prefix(service.open(), prefix)
    assert service.log == []


def test_progress_tells_files_and_bytes(service: BlobService, root: Path) -> None:
    folder = scan(root)
    phrases: list[str] = []
    upload(folder, service.open(), place(folder), progress=phrases.append, concurrency=1, clock=lambda: 0.0)
    assert phrases[-1] == "3 of 3 files, 6 bytes of 6 bytes, 0 s"


def test_a_single_file_is_uploaded_by_its_name(service: BlobService, root: Path) -> None:
    folder = scan(root / "a")
    send(service, folder)
    assert service.contents()[f"{place(folder)}a"] == b"one"


def test_uploads_sign_with_the_entra_id_token(service: BlobService, root: Path) -> None:
    send(service, scan(root))
    assert set(service.tokens) == {"Bearer token-for-storage"}


def test_a_manifest_names_every_file(service: BlobService, root: Path) -> None:
    folder = scan(root)
    send(service, folder)
    document = json.loads(json_of(service, folder))
    assert [(file["path"], file["size"], file["sha256"]) for file in document["files"]] == [
        (entry.path, entry.size, entry.sha256) for entry in manifest(root)
    ]


def test_after_a_kill_among_many_requests_nothing_that_arrived_is_sent_again(
    service: BlobService, tmp_path: Path
) -> None:
    """The process dies with requests under way; what the store had taken of them is not asked for a second time."""
    folder = scan(fill(tmp_path / "code", **{f"f{number:02d}": bytes([number]) * 1000 for number in range(40)}))

    def kill(what: str, name: str) -> Answer | None:
        if what == "put" and service.count("put") >= 15:
            raise Killed
        return None

    service.fault = kill
    with pytest.raises(Killed):
        send(service, folder)
    arrived = service.count("put")
    service.fault = None

    assert send(service, folder).bytes_sent == 1000 * (40 - arrived)
    assert {size for name, size in service.sent().items() if "manifests" not in name} == {1000}


def test_the_live_line_tells_the_rate_of_what_is_sent(service: BlobService, root: Path) -> None:
    fill(root, weights=b"x" * 3_000_000)
    phrases: list[str] = []
    seconds = iter(range(1000))
    upload(
        scan(root),
        service.open(),
        place(scan(root)),
        progress=phrases.append,
        concurrency=1,
        clock=lambda: float(next(seconds)),
    )
    found = re.fullmatch(r"4 of 4 files, 3\.0 MB of 3\.0 MB, (\d+) s, (.*)/s", phrases[-1])

    assert found
    assert found[2] == size(3_000_006 / int(found[1]))


def test_a_copy_that_takes_its_time_is_waited_for(service: BlobService, root: Path) -> None:
    send(service, scan(root))
    fill(root, a=b"changed")
    looks = []

    def pending(what: str, name: str) -> Answer | None:
        if what == "copy":
            return (202, {"x-ms-copy-id": "c", "x-ms-copy-status": "pending"}, b"")
        if what == "head":
            looks.append(name)
            state = "pending" if len(looks) < 3 else "success"
            return (200, {"x-ms-copy-id": "c", "x-ms-copy-status": state, "Content-Length": "3", "ETag": '"1"'}, b"")
        return None

    service.fault_after = pending
    waited: list[float] = []
    after = scan(root)

    assert upload(after, service.open(), place(after), concurrency=1, sleep=waited.append).copied == 1
    assert len(looks) == 3
    assert waited == [0.5, 0.5]
