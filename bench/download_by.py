"""One download by one of the ways that the benchmark compares, in a process of its own: `download_by WAY PLACE FOLDER`.

Prints `{"seconds", "mib"}`: the download's own time (imports and sign-in objects not counted, listing counted) and the
process's peak memory. Runs inside the lab.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.memory import peak_mib
from bench.upload_by import CONTAINER, HOST

Download = Callable[[], None]


def ours(place: str, folder: Path) -> Download:
    """What `python -m jobs download` does for an output: list it, see what is there, fetch and verify the rest."""
    from providers.blob import Wanted, container, download, list_blobs, plan, target_below

    source = container(f"https://{HOST}", CONTAINER)

    def run() -> None:
        found = list_blobs(source, f"{place}/")
        download(source, plan([Wanted(blob, target_below(folder, blob.name)) for blob in found]).fetch)

    return run


def defaults(place: str, folder: Path) -> Download:
    """azure-storage-blob as it comes: one `download_blob` after the other, into files."""
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import ContainerClient

    source = ContainerClient(f"https://{HOST}", CONTAINER, credential=DefaultAzureCredential())

    def run() -> None:
        for name in source.list_blob_names(name_starts_with=f"{place}/"):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                source.download_blob(name).readinto(file)

    return run


WAYS: dict[str, Callable[[str, Path], Download]] = {"ours": ours, "defaults": defaults}


def main(way: str, place: str, folder: str) -> None:
    run = WAYS[way](place, Path(folder))
    began = time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps({"seconds": seconds, "mib": peak_mib(psutil.Process(os.getpid()))}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
