"""Uploads by four ways to the same Azurite, through the same door of the lab: 10,000 small files, and one of 1 GiB.

Each way runs in a process of its own (bench/upload_by.py), the ways taking turns. `sdk` needs the virtual environment
that `make test-clients` makes; where that is missing the way is left out, and said.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.figure import Figure, Runs
from lab.home import CHECKOUT
from lab.testing import LabUnderTest

SMALL, SMALL_BYTES = 10_000, 2048
LARGE_MIB = 1024
OTHERS = {"sdk": "azure-ai-ml 1.35.2", "one-by-one": "azure-storage-blob, one by one", "raw": "raw parallel PUTs"}


@dataclass
class Measured:
    """What one way took for each task."""

    seconds: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)
    mib: dict[str, float] = field(default_factory=dict)


def figures(lab: LabUnderTest, folder: Path, files: int = SMALL, mib: int = LARGE_MIB) -> list[Figure]:
    """Once for each way and task: first all files, then nothing changed, then one file changed; then the large one."""
    tree, file = folder / "small", folder / "large" / "weights.bin"
    _tree(tree, files)
    _large(file, mib)
    taken = {way: Measured() for way in _pythons(lab)}
    if "sdk" not in taken:
        sys.stderr.write("  azure-ai-ml is left out: `make test-clients` makes its virtual environment\n")
    for task in ("first", "again"):
        for way, measured in taken.items():
            _upload(lab, way, tree, task, measured)
    changed = sorted(tree.rglob("*.txt"))[files // 2]
    changed.write_bytes(b"changed" * 200)
    for way, measured in taken.items():
        _upload(lab, way, tree, "one changed", measured)
    for way, measured in taken.items():
        _upload(lab, way, file, "large", measured)
    file.unlink()
    ours = taken["ours"]
    return [each for way in OTHERS if way in taken for each in _beside(ours, taken[way], OTHERS[way], files, mib)]


def _beside(ours: Measured, theirs: Measured, instead: str, files: int, mib: int) -> list[Figure]:
    def figure(what: str, unit: str, here: float, there: float) -> Figure:
        return Figure(what, Runs((here,), unit), instead, Runs((there,), unit))

    small, big = f"{files:,} files of 2 KiB", f"one file of {mib:,} MiB"
    found = [
        figure(f"upload of {small}", "files/s", files / ours.seconds["first"], files / theirs.seconds["first"]),
        figure(
            f"upload of {big}",
            "MiB/s",
            mib / ours.seconds["large"],
            mib / theirs.seconds["large"],
        ),
    ]
    for task, words in (("again", "nothing changed"), ("one changed", "one file changed")):
        found.append(figure(f"{words} in {small}", "s", ours.seconds[task], theirs.seconds[task]))
        found.append(figure(f"{words}: sent", "MB", ours.bytes[task] / 1e6, theirs.bytes[task] / 1e6))
    found.append(figure(f"memory: {small}", "MiB", ours.mib["first"], theirs.mib["first"]))
    found.append(figure(f"memory: {big}", "MiB", ours.mib["large"], theirs.mib["large"]))
    return found


def _upload(lab: LabUnderTest, way: str, what: Path, task: str, taken: Measured) -> None:
    done = lab.run(
        [_pythons(lab)[way], "-m", "bench.upload_by", way, str(what), f"bench/{way}-{what.stem}"],
        cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT)},
        timeout=3600,
    )
    if done.returncode != 0:
        raise RuntimeError(f"upload by {way} ({task}): {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    taken.seconds[task], taken.bytes[task], taken.mib[task] = found["seconds"], found["bytes"], found["mib"]
    sys.stderr.write(f"  {way}, {what.name}, {task}: {found['seconds']:.1f} s\n")


def _pythons(lab: LabUnderTest) -> dict[str, str]:
    """Way -> the interpreter that it runs on."""
    sdk = lab.paths.cache / "clients" / "ai-ml"
    found = {"ours": sys.executable, "raw": sys.executable, "one-by-one": sys.executable}
    if (sdk / ".installed").is_file():
        found["sdk"] = str(sdk / "bin" / "python")
    return found


def _tree(root: Path, files: int) -> None:
    """A tree three folders deep; each file of its own content, and old enough for digests to be kept."""
    for number in range(files):
        place = root / f"d{number % 100:02d}" / f"e{number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{number:05d}.txt"
        file.write_bytes((f"{number} " * SMALL_BYTES).encode()[:SMALL_BYTES])


def _large(file: Path, mib: int) -> None:
    file.parent.mkdir(parents=True)
    with file.open("wb") as opened:
        for _ in range(mib):
            opened.write(os.urandom(2**20))
