"""Which host names end in the lab, and what the others are told."""

from __future__ import annotations

import pytest

from lab.hosts import Destination, destination, printable, refusal


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("management.azure.com", 443, Destination.EMULATOR),
        ("MANAGEMENT.azure.com.", 443, Destination.EMULATOR),
        ("login.microsoftonline.com", 443, Destination.EMULATOR),
        ("login.windows.net", 443, Destination.EMULATOR),
        ("ml.azure.com", 443, Destination.EMULATOR),
        ("eastus.api.azureml.ms", 443, Destination.EMULATOR),
        ("digits-1a2b.eastus.inference.ml.azure.com", 443, Destination.EMULATOR),
        ("labstore.blob.core.windows.net", 443, Destination.BLOBS),
        ("otherstore.blob.core.windows.net", 443, Destination.BLOBS),
        ("Other-store.blob.core.windows.net", 443, None),
        ("a.otherstore.blob.core.windows.net", 443, None),
        ("management.azure.com", 80, None),
        ("management.azure.com.evil.example", 443, None),
        ("evilmanagement.azure.com", 443, None),
        ("a.b.eastus.inference.ml.azure.com", 443, None),
        ("digits.mars.inference.ml.azure.com", 443, None),
        ("127.0.0.1", 443, None),
        ("localhost", 443, None),
        ("example.com", 443, None),
        ("", 443, None),
    ],
)
def test_a_host_has_its_destination_or_none(host: str, port: int, expected: Destination | None) -> None:
    assert destination(host, port) is expected


def test_a_refusal_names_the_host() -> None:
    assert "example.com" in refusal("example.com", 443)
    assert "example.com:8443" in refusal("example.com", 8443)


def test_another_storage_account_is_told_the_one_there_is() -> None:
    assert "labstore" in refusal("otherstore.blob.core.windows.net", 443)


def test_a_refusal_is_one_printable_line_whatever_the_client_sent() -> None:
    assert printable("ex\r\nSet-Cookie: a\x00ä") == "ex??Set-Cookie: a??"
    assert len(printable("a" * 5000)) == 253
