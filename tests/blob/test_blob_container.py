"""Containers open only on the cloud's own hosts, and say what to do when they refuse."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from providers.arm import CHINA, PUBLIC
from providers.arm.errors import ArmError
from providers.blob import (
    BlobError,
    BlobMissing,
    container,
    delete_below,
    delete_blob,
    list_blobs,
    put_if_absent,
    read_bytes,
    read_dated,
    read_text,
)
from providers.blob.errors import blob_error
from tests.blob.blob_service import BlobService, refusal


@pytest.fixture
def service() -> BlobService:
    return BlobService()


@pytest.mark.parametrize(
    "url",
    [
        "http://labstore.blob.core.windows.net",
        "https://labstore.blob.core.windows.net.evil.example",
        "https://labstore.dfs.core.windows.net",
        "https://labstore.blob.core.chinacloudapi.cn",
        "https://labstore.blob.core.windows.net/container",
        "https://evil.example?sig=abc",
        "",
    ],
)
def test_an_account_outside_the_cloud_is_refused(url: str) -> None:
    with pytest.raises(BlobError, match=r"https://<account>\.blob\.core\.windows\.net") as caught:
        container(url, "data", PUBLIC)
    assert "abc" not in str(caught.value)


def test_another_cloud_has_its_own_suffix() -> None:
    assert container("https://labstore.blob.core.chinacloudapi.cn", "data", CHINA).container_name == "data"


def test_a_key_is_used_only_when_given(service: BlobService) -> None:
    put_if_absent(service.open(key="a2V5"), "a", b"1")
    put_if_absent(service.open(), "b", b"1")
    assert [token.split()[0] for token in service.tokens] == ["SharedKey", "Bearer"]


def test_blobs_are_listed_over_many_pages(service: BlobService) -> None:
    for n in range(10):
        service.put(f"data/p/{n}", b"x" * n, sha256=str(n))
    service.put("data/other", b"")
    found = list(list_blobs(service.open(), "p/"))
    assert [(blob.name, blob.size, blob.sha256) for blob in found] == [(f"p/{n}", n, str(n)) for n in range(10)]
    assert service.count("list") == 4


def test_folders_of_hierarchical_accounts_are_no_blobs(service: BlobService) -> None:
    service.put("data/p", b"", hdi_isfolder="true")
    service.put("data/p/a", b"1")
    assert [blob.name for blob in list_blobs(service.open(), "p")] == ["p/a"]


@pytest.mark.parametrize("content", [b"", b"1", bytes(range(256)) * 1000])
def test_what_was_written_is_read(service: BlobService, content: bytes) -> None:
    assert put_if_absent(service.open(), "a/b c/ü.bin", content)
    assert read_bytes(service.open(), "a/b c/ü.bin", 1_000_000) == content


def test_text_is_read_leniently(service: BlobService) -> None:
    service.put("data/log", b"\xef\xbb\xbfgr\xc3\xbc\xc3\x9fe \xff")
    assert read_text(service.open(), "log", 100) == "grüße \ufffd"


def test_the_age_of_a_blob_is_told_by_the_services_clock(service: BlobService) -> None:
    service.now = lambda: 1_000_000_000.0
    put_if_absent(service.open(), "a", b"1")
    service.now = lambda: 1_000_000_090.0

    found = read_dated(service.open(), "a", 100)

    assert (found.text, found.written, found.age) == ("1", 1_000_000_000.0, 90.0)
    with pytest.raises(BlobMissing):
        read_dated(service.open(), "b", 100)
    with pytest.raises(BlobError, match="more than 0"):
        read_dated(service.open(), "a", 0)


def test_what_is_there_is_not_overwritten(service: BlobService) -> None:
    assert put_if_absent(service.open(), "a", b"1")
    assert not put_if_absent(service.open(), "a", b"2")
    assert service.contents() == {"a": b"1"}


def test_a_large_blob_is_refused_before_it_is_read_whole(service: BlobService) -> None:
    service.put("data/a", b"x" * 100)
    with pytest.raises(BlobError, match="it has 100 bytes, more than 99"):
        read_bytes(service.open(), "a", 99)


def test_a_missing_blob_has_an_error_of_its_own(service: BlobService) -> None:
    with pytest.raises(BlobMissing, match="BlobNotFound: read blob"):
        read_bytes(service.open(), "a", 10)


def test_deleting_what_is_absent_is_success(service: BlobService) -> None:
    service.put("data/a", b"")
    assert [delete_blob(service.open(), "a"), delete_blob(service.open(), "a")] == [True, False]


def test_deleting_where_no_container_is_is_success(service: BlobService) -> None:
    service.fault = lambda what, _: refusal(404, "ContainerNotFound") if what == "delete" else None

    assert not delete_blob(service.open(), "a")


def test_a_deletion_that_is_refused_says_what_and_where(service: BlobService) -> None:
    service.put("data/a", b"")
    service.fault = lambda what, _: refusal(403, "AuthorizationPermissionMismatch") if what == "delete" else None

    with pytest.raises(BlobError, match="delete blob") as refused:
        delete_blob(service.open(), "a")

    assert (refused.value.status, refused.value.code) == (403, "AuthorizationPermissionMismatch")
    assert refused.value.arm_id == "https://labstore.blob.core.windows.net/data/a"


@pytest.mark.parametrize("prefix", ["", "/", "a"])
def test_only_folders_can_be_deleted_below(service: BlobService, prefix: str) -> None:
    service.put("data/a", b"")
    with pytest.raises(ValueError, match="prefix: must be a folder"):
        delete_below(service.open(), prefix)
    assert len(service.blobs) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AuthorizationPermissionMismatch"),
        (403, "KeyBasedAuthenticationNotPermitted"),
        (404, "ContainerNotFound"),
        (401, "InvalidAuthenticationInfo"),
    ],
)
def test_a_refusal_is_one_line_with_its_code_and_place(service: BlobService, status: int, code: str) -> None:
    """What to do about it is in providers/explanations.py, by the code."""
    service.fault = lambda what, name: refusal(status, code, "This request is not authorized.\nTime:1")
    with pytest.raises(BlobError) as caught:
        put_if_absent(service.open(), "a", b"1")
    error = caught.value
    assert (error.status, error.code, error.correlation_id) == (status, code, "r1")
    assert "\n" not in str(error)
    assert "https://labstore.blob.core.windows.net/data/a" in str(error)


def test_a_redirect_is_not_followed(service: BlobService) -> None:
    service.fault = lambda what, name: (302, {"location": "https://evil.example/"}, b"")
    with pytest.raises(BlobError):
        read_bytes(service.open(), "a", 10)
    assert len(service.tokens) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServiceRequestError("Name or service not known"), "no connection to blob storage"),
        (ClientAuthenticationError("AADSTS7000215"), "could not sign in"),
    ],
)
def test_errors_before_any_answer_say_what_to_do(error: ServiceRequestError, words: str) -> None:
    translated = blob_error(error, "read blob", "https://x")
    assert isinstance(translated, ArmError)
    assert words in str(translated)


def test_throttling_is_waited_out_for_as_long_as_the_service_asks(service: BlobService) -> None:
    left = [7.0, 7.0]
    service.fault = lambda what, blob: (429, {"Retry-After": str(left.pop())}, b"") if left else None

    assert put_if_absent(service.open(), "a", b"1")

    assert [7 <= each < 8 for each in service.sleeps] == [True, True]
    assert service.blobs["data/a"].content == b"1"
