"""Downloads as `python -m jobs download` makes them, beside azure-storage-blob as it comes: 10,000 files, and 1 GiB.

Both through the same door of the lab, in processes of their own (bench/download_by.py), taking turns.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from azure.storage.blob import ContainerClient

from bench.blobs import container
from bench.download_by import WAYS
from bench.figure import Figure, Runs
from lab import identity
from lab.home import CHECKOUT
from lab.testing import LabUnderTest, running_lab

FILES, FILE_BYTES, LARGE_BYTES = 10_000, 2048, 1 << 30
_PIECE = 1 << 24
_BESIDE = "azure-storage-blob's own defaults"


def figures(folder: Path, runs: int, files: int = FILES, large: int = LARGE_BYTES) -> list[Figure]:
    """In a lab of its own. Every file that came is counted, and the bytes of all of them."""
    folder.mkdir()
    tasks = {"many": (files, files * FILE_BYTES), "large": (1, large)}
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {(task, way): [] for task in tasks for way in WAYS}
    with running_lab(folder / "lab") as lab:
        with container(lab.facts, None, identity.DEFAULT_CONTAINER) as blobs:
            _put_many(blobs, files)
            _put_large(blobs, folder / "large.bin", large)
        for _ in range(runs):
            for task, expected in tasks.items():
                for way in WAYS:
                    taken[task, way].append(_download(lab, way, task, folder / "came", expected))
    found = []
    for task, words in (("many", f"{files:,} files of 2 KiB"), ("large", f"one file of {large / 2**20:,.0f} MiB")):
        for index, (what, unit) in enumerate((("download of", "s"), ("memory: download of", "MiB"))):
            here, there = (Runs(tuple(each[index] for each in taken[task, way]), unit) for way in WAYS)
            found.append(Figure(f"{what} {words}", here, _BESIDE, there))
    return found


def _download(lab: LabUnderTest, way: str, task: str, folder: Path, expected: tuple[int, int]) -> tuple[float, float]:
    """Seconds, and MiB at most."""
    done = lab.run(
        [sys.executable, "-m", "bench.download_by", way, f"bench/{task}", str(folder)],
        cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT)},
        timeout=3600,
    )
    if done.returncode != 0:
        raise RuntimeError(f"download by {way} ({task}): {done.stdout[-2000:]}{done.stderr[-2000:]}")
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    if (len(sizes), sum(sizes)) != expected:
        raise RuntimeError(f"download by {way} ({task}): {len(sizes)} files, {sum(sizes)} bytes, not {expected}")
    shutil.rmtree(folder)
    said = json.loads(done.stdout.strip().splitlines()[-1])
    sys.stderr.write(f"  {way}, {task}: {said['seconds']:.1f} s\n")
    return said["seconds"], said["mib"]


def _put_many(blobs: ContainerClient, files: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(blobs.upload_blob, f"bench/many/d{number % 100:02d}/{number:05d}.bin", os.urandom(FILE_BYTES))
            for number in range(files)
        ]
    for each in sent:
        each.result()


def _put_large(blobs: ContainerClient, file: Path, size: int) -> None:
    with file.open("wb") as opened:
        for _ in range(size // _PIECE):
            opened.write(os.urandom(_PIECE))
    with file.open("rb") as opened:
        blobs.upload_blob("bench/large/large.bin", opened, max_concurrency=8)
    file.unlink()
