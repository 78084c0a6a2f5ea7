"""Tokens go to hosts of their own cloud, and nowhere else."""

from __future__ import annotations

import pytest

from providers.arm import CHINA, PUBLIC, US_GOVERNMENT, ForeignHost, cloud
from providers.arm.clouds import CLOUDS

ARM = PUBLIC.arm_audience
ML = PUBLIC.ml_audience
STORAGE = PUBLIC.storage_audience


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://management.azure.com/subscriptions/1", ARM),
        ("https://MANAGEMENT.azure.com:443/subscriptions/1", ARM),
        ("https://eastus.api.azureml.ms/mferp/managementfrontend", ARM),
        ("https://digits.eastus.inference.ml.azure.com/jobs", ML),
        ("https://eastus.api.azureml.ms/history/v1.0", ML),
        ("https://labstore.blob.core.windows.net/c/b", STORAGE),
    ],
)
def test_own_hosts_get_their_token(url: str, audience: str) -> None:
    PUBLIC.require(url, audience)


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("http://management.azure.com/", ARM),
        ("https://management.azure.com:8443/", ARM),
        ("https://management.azure.com.evil.example/", ARM),
        ("https://evilmanagement.azure.com/", ARM),
        ("https://management.azure.com@evil.example/", ARM),
        ("https://user:pass@management.azure.com/", ARM),
        ("https://evil.example/management.azure.com", ARM),
        ("https://evil.example#management.azure.com", ARM),
        ("https://evil.example\\@management.azure.com/", ARM),
        ("https://management.azure.com\\.evil.example/", ARM),
        ("https://management.azure.com\t.evil.example/", ARM),
        ("https://management.azure.com./", ARM),
        ("https://management.usgovcloudapi.net/", ARM),
        ("https://digits.eastus.inference.ml.azure.com/jobs", ARM),
        ("https://management.azure.com/", ML),
        ("https://labstore.blob.core.windows.net/", ML),
        ("https://labstore.blob.core.windows.net/", ARM),
        ("https://xinference.ml.azure.com/jobs", ML),
        ("https://inference.ml.azure.com.evil.example/jobs", ML),
        ("https://labstore.file.core.windows.net/", STORAGE),
        ("https://management.azure.com/", "https://vault.azure.net"),
        ("https://[::1/", ARM),
        ("https://management.azure.com:port/", ARM),
        ("//management.azure.com/", ARM),
        ("", ARM),
    ],
)
def test_no_other_host_gets_a_token(url: str, audience: str) -> None:
    with pytest.raises(ForeignHost, match="refused to send a token"):
        PUBLIC.require(url, audience)


def test_a_refusal_does_not_show_a_signature() -> None:
    with pytest.raises(ForeignHost) as caught:
        PUBLIC.require("https://evil.example/a?sig=abcdef", ARM)
    assert "abcdef" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "admitted"),
    [
        ("https://labstore.blob.core.windows.net/azureml/log.txt?sig=x", True),
        ("https://labstore.file.core.windows.net/log.txt?sig=x", True),
        ("https://eastus.api.azureml.ms/discovery", True),
        ("http://labstore.blob.core.windows.net/log.txt", False),
        ("https://core.windows.net/", False),
        ("https://management.azure.com/", False),
        ("https://169.254.169.254/metadata", False),
        ("file:///etc/passwd", False),
    ],
)
def test_links_without_a_token_stay_in_the_cloud_too(url: str, admitted: bool) -> None:
    assert PUBLIC.admits_unsigned(url) is admitted


@pytest.mark.parametrize("one", CLOUDS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("other", CLOUDS.values(), ids=lambda other: other.name)
def test_no_cloud_takes_the_host_of_another(one: object, other: object) -> None:
    assert isinstance(one, type(PUBLIC))
    assert isinstance(other, type(PUBLIC))
    assert one.admits(f"{other.arm}/x", one.arm_audience) is (one is other)
    assert one.admits(f"https://e.r.{other.scoring_suffix}/jobs", one.ml_audience) is (one is other)


@pytest.mark.parametrize(("name", "expected"), [("public", PUBLIC), ("usgovernment", US_GOVERNMENT), ("china", CHINA)])
def test_a_cloud_has_a_name(name: str, expected: object) -> None:
    assert cloud(name) is expected


def test_an_unknown_cloud_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"cloud: must be one of public, usgovernment, china, got 'germany'"):
        cloud("germany")
