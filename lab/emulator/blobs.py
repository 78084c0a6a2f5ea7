"""The lab's storage accounts, as the emulator needs them: containers, signed URLs, and a count of what lies there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
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


def blob_host(account: str) -> str:
    return f"{account}.blob.core.windows.net"


class BlobStorage(Protocol):
    """Calls may block; they are made from worker threads. Accounts are named, all of them have one key."""

    def serve(self, accounts: Sequence[str]) -> None: ...

    def empty(self, account: str) -> None: ...

    def ensure_container(self, account: str, name: str) -> None: ...

    def container_sas(self, account: str, name: str, now: float) -> str: ...

    def blob_url(self, account: str, container: str, path: str, now: float) -> str: ...

    def head(self, account: str, container: str, path: str, length: int) -> bytes: ...

    def census(self, accounts: Iterable[str], outputs: Collection[tuple[str, str]]) -> dict[str, int]: ...


class AzuriteBlobs:
    """Azurite behind its loopback address, with the account key, past the lab's proxy."""

    def __init__(self, config: EmulatorConfig, serve: Callable[[Sequence[str]], None] = lambda _: None) -> None:
        """`serve`: makes Azurite serve these accounts and no others."""
        self._key = config.storage_key
        self._endpoint = config.blob_endpoint.rstrip("/")
        self._ca_file = str(config.ca_file)
        self._serve = serve

    def _client(self, account: str) -> BlobServiceClient:
        return BlobServiceClient(
            f"{self._endpoint}/{account}",
            credential={"account_name": account, "account_key": self._key},
            connection_verify=self._ca_file,
            # Loopback: a proxy of the environment has no business here, and an empty map is one that none matches.
            proxies={},
            use_env_settings=False,
            retry_total=1,
            connection_timeout=5,
        )

    def serve(self, accounts: Sequence[str]) -> None:
        """These accounts and no others; what another one held is left where it is."""
        self._serve(accounts)

    def empty(self, account: str) -> None:
        """Delete every container of an account."""
        with self._client(account) as service:
            for container in service.list_containers():
                service.delete_container(container.name)

    def ensure_container(self, account: str, name: str) -> None:
        with self._client(account) as service:
            try:
                service.create_container(name)
            except ResourceExistsError:
                return

    def container_sas(self, account: str, name: str, now: float) -> str:
        """Query string that lets its holder read, create, write and list for an hour, as the real one does (`rcwl`)."""
        return generate_container_sas(
            account,
            name,
            account_key=self._key,
            permission=ContainerSasPermissions(read=True, create=True, write=True, list=True),
            start=_instant(now) - timedelta(minutes=10),
            expiry=_instant(now) + timedelta(hours=1),
        )

    def blob_url(self, account: str, container: str, path: str, now: float) -> str:
        """URL of one blob at the real host name, readable for an hour without a token."""
        sas = generate_blob_sas(
            account,
            container,
            path,
            account_key=self._key,
            permission=BlobSasPermissions(read=True),
            start=_instant(now) - timedelta(minutes=10),
            expiry=_instant(now) + timedelta(hours=1),
        )
        return f"https://{blob_host(account)}/{container}/{path}?{sas}"

    def head(self, account: str, container: str, path: str, length: int) -> bytes:
        """The first `length` bytes of a blob, or as many as it has."""
        with self._client(account) as service:
            return service.get_blob_client(container, path).download_blob(offset=0, length=length).readall()

    def census(self, accounts: Iterable[str], outputs: Collection[tuple[str, str]]) -> dict[str, int]:
        """Blobs counted: logs in the logs container, outputs at or below these places, uploads all the rest."""
        counts = {"uploads": 0, "outputs": 0, "logs": 0}
        places = frozenset(outputs)
        for account in accounts:
            with self._client(account) as service:
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
