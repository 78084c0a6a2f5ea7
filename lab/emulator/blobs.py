"""The lab's storage account, as the emulator needs it: containers, signed URLs, and a count of what lies there."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import Protocol

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

from lab import identity
from lab.emulator.config import EmulatorConfig

HOST = f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net"


class BlobStorage(Protocol):
    """Calls may block; they are made from worker threads."""

    def ensure_container(self, name: str) -> None: ...

    def container_sas(self, name: str, now: float) -> str: ...

    def blob_url(self, container: str, path: str, now: float) -> str: ...

    def head(self, container: str, path: str, length: int) -> bytes: ...

    def census(self, outputs: Collection[tuple[str, str]]) -> dict[str, int]: ...


class AzuriteBlobs:
    """Azurite behind its loopback address, with the account key, past the lab's proxy."""

    def __init__(self, config: EmulatorConfig) -> None:
        self._key = config.storage_key
        self._url = f"{config.blob_endpoint.rstrip('/')}/{identity.STORAGE_ACCOUNT}"
        self._ca_file = str(config.ca_file)

    def _client(self) -> BlobServiceClient:
        return BlobServiceClient(
            self._url,
            credential={"account_name": identity.STORAGE_ACCOUNT, "account_key": self._key},
            connection_verify=self._ca_file,
            # Loopback: a proxy of the environment has no business here, and an empty map is one that none matches.
            proxies={},
            use_env_settings=False,
            retry_total=1,
            connection_timeout=5,
        )

    def ensure_container(self, name: str) -> None:
        with self._client() as service:
            try:
                service.create_container(name)
            except ResourceExistsError:
                return

    def container_sas(self, name: str, now: float) -> str:
        """Query string that lets its holder read, create, write and list for an hour, as the real one does (`rcwl`)."""
        return generate_container_sas(
            identity.STORAGE_ACCOUNT,
            name,
            account_key=self._key,
            permission=ContainerSasPermissions(read=True, create=True, write=True, list=True),
            start=_instant(now) - timedelta(minutes=10),
            expiry=_instant(now) + timedelta(hours=1),
        )

    def blob_url(self, container: str, path: str, now: float) -> str:
        """URL of one blob at the real host name, readable for an hour without a token."""
        sas = generate_blob_sas(
            identity.STORAGE_ACCOUNT,
            container,
            path,
            account_key=self._key,
            permission=BlobSasPermissions(read=True),
            start=_instant(now) - timedelta(minutes=10),
            expiry=_instant(now) + timedelta(hours=1),
        )
        return f"{HOST}/{container}/{path}?{sas}"

    def head(self, container: str, path: str, length: int) -> bytes:
        """The first `length` bytes of a blob, or as many as it has."""
        with self._client() as service:
            return service.get_blob_client(container, path).download_blob(offset=0, length=length).readall()

    def census(self, outputs: Collection[tuple[str, str]]) -> dict[str, int]:
        """Blobs counted: logs in the logs container, outputs at or below these places, uploads all the rest."""
        counts = {"uploads": 0, "outputs": 0, "logs": 0}
        places = frozenset(outputs)
        with self._client() as service:
            for container in service.list_containers():
                for blob in service.get_container_client(container.name).list_blob_names():
                    counts[_sort(container.name, blob, places)] += 1
        return counts


def _sort(container: str, path: str, outputs: frozenset[tuple[str, str]]) -> str:
    if container == identity.LOGS_CONTAINER:
        return "logs"
    parts = path.split("/")
    ancestors = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    return "outputs" if any((container, ancestor) in outputs for ancestor in ancestors) else "uploads"


def _instant(now: float) -> datetime:
    return datetime.fromtimestamp(now, timezone.utc)
