"""One upload, by one of the ways that the benchmark compares, in a process of its own: `upload_by WAY FOLDER PLACE`.

Prints `{"seconds", "bytes", "mib"}`: the upload's own time (imports and sign-in objects not counted), what was written
to TLS sockets in it, and the process's peak memory. Runs inside the lab; needs of this project only what its way does,
since `sdk` runs in the virtual environment of Microsoft's SDK.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import resource
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

ACCOUNT, CONTAINER = "labstore", "azureml-blobstore-1ab00000-0000-4000-8000-000000000005"
HOST = f"{ACCOUNT}.blob.core.windows.net"
SUBSCRIPTION, GROUP, WORKSPACE = "1ab00000-0000-4000-8000-000000000001", "lab", "lab"
RAW_THREADS = 8
"""Beyond 8 requests at a time Azurite, one Node process, is no faster."""
RAW_BLOCK = 8 * 1024 * 1024

Upload = Callable[[], None]


def ours(folder: Path, place: str) -> Upload:
    """What `up` does for a folder: scan it, verify it, send what is missing, mark it."""
    from providers.blob import container, kept, scan, upload

    target, digests = container(f"https://{HOST}", CONTAINER), kept(os.environ)

    def run() -> None:
        found = scan(folder, digests)
        upload(found, target, f"{place}/{found.digest}/", digests=digests)

    return run


def sdk(folder: Path, place: str) -> Upload:
    """azure-ai-ml: a data asset from a local folder or file."""
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Data
    from azure.identity import DefaultAzureCredential

    client = MLClient(DefaultAzureCredential(), SUBSCRIPTION, GROUP, WORKSPACE)
    kind = "uri_file" if folder.is_file() else "uri_folder"
    name, version = place.replace("/", "-"), str(time.time_ns())
    return lambda: client.data.create_or_update(Data(name=name, version=version, path=str(folder), type=kind))


def one_by_one(folder: Path, place: str) -> Upload:
    """azure-storage-blob with its defaults: one `upload_blob` after the other."""
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import ContainerClient

    target = ContainerClient(f"https://{HOST}", CONTAINER, credential=DefaultAzureCredential())

    def run() -> None:
        for name, file in files(folder):
            with file.open("rb") as opened:
                target.upload_blob(f"{place}/{name}", opened, overwrite=True)

    return run


def raw(folder: Path, place: str) -> Upload:
    """The bound: bare HTTP PUTs over kept connections, nothing hashed, nothing asked, nothing verified."""
    from azure.identity import DefaultAzureCredential

    token = DefaultAzureCredential().get_token("https://storage.azure.com/.default").token
    wire = Wire(token)

    def put(pair: tuple[str, Path]) -> None:
        name, file = pair
        path = f"/{CONTAINER}/{quote(f'{place}/{name}')}"
        size = file.stat().st_size
        if size <= RAW_BLOCK:
            wire.put(path, file.read_bytes(), {"x-ms-blob-type": "BlockBlob"})
            return
        ids = [base64.b64encode(f"{index:06d}".encode()).decode() for index in range(-(-size // RAW_BLOCK))]

        def block(index: int) -> None:
            with file.open("rb") as opened:
                opened.seek(index * RAW_BLOCK)
                wire.put(f"{path}?comp=block&blockid={quote(ids[index], safe='')}", opened.read(RAW_BLOCK), {})

        with ThreadPoolExecutor(RAW_THREADS) as pool:
            list(pool.map(block, range(len(ids))))
        listed = "".join(f"<Latest>{each}</Latest>" for each in ids)
        wire.put(f"{path}?comp=blocklist", f"<BlockList>{listed}</BlockList>".encode(), {})

    def run() -> None:
        with ThreadPoolExecutor(RAW_THREADS) as pool:
            list(pool.map(put, files(folder)))

    return run


class Wire:
    """One kept connection through the lab's proxy for each thread."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._proxy = urlsplit(os.environ["HTTPS_PROXY"])
        self._trusting = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        self._local = threading.local()

    def put(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        connection = self._connection()
        connection.request(
            "PUT", path, body, {"Authorization": f"Bearer {self._token}", "x-ms-version": "2021-12-02", **headers}
        )
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 201:
            raise ValueError(f"PUT was answered with {answer.status}: {said[:300]!r}")

    def _connection(self) -> http.client.HTTPSConnection:
        if not hasattr(self._local, "connection"):
            host, port = str(self._proxy.hostname), self._proxy.port
            made = http.client.HTTPSConnection(host, port, context=self._trusting, timeout=120)
            made.set_tunnel(HOST, 443)
            self._local.connection = made
        found: http.client.HTTPSConnection = self._local.connection
        return found


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name, path) of every file below, or of the one that it is."""
    if folder.is_file():
        yield folder.name, folder
        return
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


class Written:
    """Bytes that this process gives to TLS sockets, whoever opened them."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()
        for name in ("send", "sendall"):
            setattr(ssl.SSLSocket, name, self._counting(getattr(ssl.SSLSocket, name), whole=name == "sendall"))

    def _counting(self, method: Any, *, whole: bool) -> Any:
        def counted(sock: Any, data: Any, flags: int = 0) -> Any:
            if whole:  # CPython's sendall is a loop over send, which counts
                return method(sock, data, flags)
            sent = method(sock, data, flags)
            with self._lock:
                self.total += sent
            return sent

        return counted


WAYS: dict[str, Callable[[Path, str], Upload]] = {"ours": ours, "sdk": sdk, "one-by-one": one_by_one, "raw": raw}


def main(way: str, folder: str, place: str) -> None:
    written = Written()
    run = WAYS[way](Path(folder), place)
    before, worked, began = written.total, time.process_time(), time.perf_counter()
    run()
    seconds, cpu, sent = time.perf_counter() - began, time.process_time() - worked, written.total - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu, "bytes": sent, "mib": peak}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
