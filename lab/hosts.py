"""Which of Azure's host names end in the lab, and where: pure decisions, no I/O."""

from __future__ import annotations

import re
from enum import Enum

from lab import identity

INFERENCE_REGIONS = (identity.LOCATION, "eastus2", "westus2", "westeurope", "northeurope")
"""Regions whose scoring hosts end in the lab. A certificate's wildcard stands for one label, so each is named."""

_BLOB_SUFFIX = ".blob.core.windows.net"

EMULATED = frozenset({"management.azure.com", "login.microsoftonline.com", "login.windows.net", "ml.azure.com"})
_ACCOUNT = r"[a-z0-9]{3,24}"
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_EMULATED_PATTERNS = (
    re.compile(rf"{_LABEL}(\.api)?\.azureml\.ms"),
    re.compile(rf"{_LABEL}\.({'|'.join(INFERENCE_REGIONS)})\.inference\.ml\.azure\.com"),
)

CERTIFICATE_NAMES = (
    *sorted(EMULATED),
    "*.azureml.ms",
    "*.api.azureml.ms",
    *(f"*.{region}.inference.ml.azure.com" for region in INFERENCE_REGIONS),
    "*.blob.core.windows.net",
    "localhost",
)
PERMITTED_DOMAINS = (*sorted(EMULATED), "azureml.ms", "blob.core.windows.net", "localhost")
"""What the lab's authority may vouch for at all; each stands for itself and what lies below it."""


class Destination(Enum):
    """Where a connection to one of Azure's host names ends."""

    EMULATOR = "emulator"
    BLOBS = "blobs"


def destination(host: str, port: int) -> Destination | None:
    """Where `host:port` ends in the lab, None when the lab refuses it (any port but 443 is refused)."""
    name = host.lower().rstrip(".")
    if port != 443:
        return None
    if blob_account(name):
        return Destination.BLOBS
    if name in EMULATED or any(pattern.fullmatch(name) for pattern in _EMULATED_PATTERNS):
        return Destination.EMULATOR
    return None


def blob_account(host: str) -> str:
    """The storage account that a host name is for, empty for any other host. Whether there is one is not said here."""
    name = host.lower().rstrip(".").removesuffix(_BLOB_SUFFIX)
    return name if re.fullmatch(_ACCOUNT, name) and host.lower().rstrip(".").endswith(_BLOB_SUFFIX) else ""


def refusal(host: str, port: int) -> str:
    """One line that says what the lab refuses, and why."""
    where = printable(host) if port == 443 else f"{printable(host)}:{port}"
    if where.lower().endswith(_BLOB_SUFFIX):
        return f"the lab refuses {where}: it has no storage account of that name; its own is {identity.STORAGE_ACCOUNT}"
    return f"the lab refuses {where}: nothing leaves the lab, and it has no such host"


def printable(host: str) -> str:
    """The host as it may stand in a status line: printable ASCII, of a host name's length, whatever the client sent."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in host)[:253]
