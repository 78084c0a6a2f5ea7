"""Small blobs through the lab's proxy, beside straight to the same Azurite, by Azure's own client.

`no-quickack` is the proxy without the option that `lab/proxy.py` sets after each receive, to see that it is
still needed.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from azure.storage.blob import ContainerClient

from bench.figure import Figure, Runs
from lab import identity, proxy
from lab.daemon import listener
from lab.home import Facts

BLOBS, BLOB_BYTES = 200, 4096
THREADS = (1, 8)
ACCOUNT = identity.STORAGE_ACCOUNT


def figures(facts: Facts, runs: int) -> list[Figure]:
    """PUTs per second by each number of threads; the ways take turns, so that a busy moment hits them alike."""
    quickack, proxy._QUICKACK = proxy._QUICKACK, None  # in this process alone; the lab's own proxy is the daemon's
    plain = proxy.Proxy(listener(0), lambda *_: facts.azurite_port)
    plain.start()
    ways = {"straight": None, "proxy": facts.proxy_port, "no-quickack": plain.port}
    rates: dict[tuple[str, int], list[float]] = {(way, threads): [] for way in ways for threads in THREADS}
    try:
        for _ in range(runs):
            for way, port in ways.items():
                for threads in THREADS:
                    with container(facts, port) as client:
                        rates[way, threads].append(puts_per_second(client, threads))
    finally:
        plain.stop()
        proxy._QUICKACK = quickack
    with container(facts, None) as client:
        for number in range(BLOBS):
            client.delete_blob(f"bench/{number}")
    found = []
    for way, words in (("proxy", "through the proxy"), ("no-quickack", "through a proxy without TCP_QUICKACK")):
        for threads in THREADS:
            what = f"blobs of 4 KiB {words}, {threads} thread{'s' if threads > 1 else ''}"
            ours, theirs = (Runs(tuple(rates[each, threads]), "/s") for each in (way, "straight"))
            found.append(Figure(what, ours, "straight to Azurite", theirs))
    return found


def container(facts: Facts, proxy_port: int | None, name: str = identity.LOGS_CONTAINER) -> ContainerClient:
    """A container: by way of a proxy and the account's host name, or straight to Azurite."""
    host = f"{ACCOUNT}.blob.core.windows.net" if proxy_port else f"127.0.0.1:{facts.azurite_port}/{ACCOUNT}"
    return ContainerClient(
        f"https://{host}",
        name,
        credential=facts.storage_key,
        connection_verify=facts.ca_file,
        proxies={"https": f"http://127.0.0.1:{proxy_port}"} if proxy_port else {},
        use_env_settings=False,
    )


def puts_per_second(client: ContainerClient, threads: int) -> float:
    data = os.urandom(BLOB_BYTES)
    client.upload_blob("bench/0", data, overwrite=True)
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: client.upload_blob(f"bench/{number}", data, overwrite=True), range(BLOBS)))
    return BLOBS / (time.perf_counter() - began)
