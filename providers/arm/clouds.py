"""Azure's clouds: which host is called what, and to which hosts a token of which audience may go.

Sources, read 2026-11-23:
- management, sign-in and storage hosts, and the audience of Azure Machine Learning: azure-ai-ml's table of clouds
  (`azure/ai/ml/_azure_environments.py`), and `Get-AzEnvironment` in Microsoft's PowerShell reference;
- scoring and API hosts: "Public DNS zone forwarders" of Microsoft.MachineLearningServices in
  https://learn.microsoft.com/azure/private-link/private-endpoint-dns, one table per cloud;
- audiences of federated assertions, one per cloud:
  https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity;
- `https://storage.azure.com` is the audience of blob storage in every cloud: azure-storage-blob's own default.
NOT verified against a running service: everything of US government and China.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import ForeignHost


@dataclass(frozen=True)
class Cloud:
    """One Azure cloud. Hosts are without scheme, suffixes without a leading dot, audiences are token audiences."""

    name: str
    arm: str
    """Base URL of Azure Resource Manager, without a slash at the end."""
    authority: str
    """Host that signs in (Entra ID)."""
    arm_audience: str
    ml_audience: str
    storage_audience: str
    exchange_audience: str
    """Of the assertions that Entra ID takes from another identity provider (workload identity federation)."""
    storage_suffix: str
    """`<account>.blob.<storage_suffix>`"""
    scoring_suffix: str
    """`<endpoint>.<region>.<scoring_suffix>`"""
    api_suffixes: tuple[str, ...]
    """`<region>.<api_suffix>`: discovery, run history, lists of jobs."""

    def admits(self, url: str, audience: str) -> bool:
        """Whether a token for `audience` may be sent to `url`: https, the default port, and a host of this cloud."""
        host = _https_host(url)
        if host is None:
            return False
        if audience == self.arm_audience:
            # Run history takes Resource Manager's tokens too; both are this cloud's own hosts.
            return host == self.arm_host or _below(host, self.api_suffixes)
        if audience == self.ml_audience:
            return _below(host, (self.scoring_suffix, *self.api_suffixes))
        if audience == self.storage_audience:
            return _below(host, (f"blob.{self.storage_suffix}",))
        return False

    def admits_unsigned(self, url: str) -> bool:
        """Whether `url` may be fetched without any token: discovery, and links into this cloud's storage."""
        host = _https_host(url)
        return host is not None and _below(host, (self.storage_suffix, *self.api_suffixes))

    def require(self, url: str, audience: str) -> None:
        """Raise ForeignHost, before anything is sent, unless `admits(url, audience)`."""
        if not self.admits(url, audience):
            raise foreign(self, url, f"a token for {audience}")

    @property
    def arm_host(self) -> str:
        return self.arm.removeprefix("https://")


def foreign(cloud: Cloud, url: str, what: str) -> ForeignHost:
    """The refusal to send `what` to `url`. The query is left out: it may hold a signature."""
    shown = url.split("?", maxsplit=1)[0]
    return ForeignHost(
        f"refused to send {what} to {shown!r}: not an https host of the {cloud.name} cloud that takes it; check the "
        "cloud setting, and where this address came from (an operation URL, a link to a next page, a scoring URI)",
        code="ForeignHost",
    )


PUBLIC = Cloud(
    name="public",
    arm="https://management.azure.com",
    authority="login.microsoftonline.com",
    arm_audience="https://management.azure.com",
    ml_audience="https://ml.azure.com",
    storage_audience="https://storage.azure.com",
    exchange_audience="api://AzureADTokenExchange",
    storage_suffix="core.windows.net",
    scoring_suffix="inference.ml.azure.com",
    api_suffixes=("api.azureml.ms",),
)

US_GOVERNMENT = Cloud(
    name="usgovernment",
    arm="https://management.usgovcloudapi.net",
    authority="login.microsoftonline.us",
    arm_audience="https://management.usgovcloudapi.net",
    ml_audience="https://ml.azure.us",
    storage_audience="https://storage.azure.com",
    exchange_audience="api://AzureADTokenExchangeUSGov",
    storage_suffix="core.usgovcloudapi.net",
    scoring_suffix="inference.ml.azure.us",
    api_suffixes=("api.ml.azure.us",),
)

CHINA = Cloud(
    name="china",
    arm="https://management.chinacloudapi.cn",
    authority="login.chinacloudapi.cn",
    arm_audience="https://management.chinacloudapi.cn",
    ml_audience="https://ml.azure.cn",
    storage_audience="https://storage.azure.com",
    exchange_audience="api://AzureADTokenExchangeChina",
    storage_suffix="core.chinacloudapi.cn",
    scoring_suffix="inference.ml.azure.cn",
    api_suffixes=("api.ml.azure.cn",),
)

CLOUDS = {cloud.name: cloud for cloud in (PUBLIC, US_GOVERNMENT, CHINA)}


def cloud(name: str) -> Cloud:
    """The cloud of that name: `public`, `usgovernment` or `china`.

    Raises ValueError, naming those, for any other.
    """
    try:
        return CLOUDS[name]
    except KeyError:
        raise ValueError(f"cloud: must be one of {', '.join(CLOUDS)}, got {name!r}") from None


def _https_host(url: str) -> str | None:
    """The host of an https URL on the default port, in lower case; None for every other URL, odd ones included."""
    if any(character <= " " or character == "\\" for character in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or parts.username is not None or parts.password is not None or port not in (None, 443):
        return None
    return parts.hostname


def _below(host: str, suffixes: tuple[str, ...]) -> bool:
    return any(host.endswith(f".{suffix}") for suffix in suffixes)
