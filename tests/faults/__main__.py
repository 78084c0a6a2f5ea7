"""`make faults`: the acceptance matrix and N kills. `python -m tests.faults [--kills N] [--seed S] [--only PART ...]`.

Exit code 1 on any failed cell, and on any kill that one plain `up` did not heal. The last line sums it up.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.testing import running_lab
from tests.faults import other_python
from tests.faults.kills import Kills
from tests.faults.lifecycle import Lifecycle
from tests.faults.report import FOREIGN_KINDS, Cell, counted, failures, from_json, table
from tests.faults.small_checkout import SmallCheckout
from tests.faults.tally import Tally
from tests.lifecycle.checkout import ROOT, engines

PARTS = ("wire", "lifecycle", "kills")
_AT_ONCE = 2
"""Parts that run at a time: most of each is waiting."""
_saying = threading.Lock()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The acceptance matrix, and kills.")
    parser.add_argument("--kills", type=int, default=20, help="how many, 20 by default")
    parser.add_argument("--seed", type=int, help="of the kills; printed when it is not given")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; all by default")
    parser.add_argument(
        "--other-python",
        type=Path,
        help="an interpreter in a virtual environment with the lab's packages; by default one is made where another "
        "version is on this machine",
    )
    asked = parser.parse_args(arguments)
    parts = asked.only or PARTS
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    began = time.monotonic()
    print(f"engines: {', '.join(engines())}; {asked.kills} kills with --seed {seed}", flush=True)
    tables: dict[str, list[Cell]] = {}
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch, ThreadPoolExecutor(_AT_ONCE) as pool:
        folder = Path(scratch)
        other = asked.other_python or (_other_python(folder / "other-python") if "lifecycle" in parts else None)
        kills = (
            pool.submit(_kills, folder / "kills", asked.kills, seed, _sayer("kills"))
            if "kills" in parts and asked.kills
            else None
        )
        running = {}
        if "wire" in parts:
            running["kinds over the wire, without an engine"] = pool.submit(wire, folder / "wire", _sayer("wire"))
        if "lifecycle" in parts:
            for engine in engines():
                where = folder / f"life-{engine}"
                running[f"engine: {engine}"] = pool.submit(lifecycle, where, engine, _sayer(engine), other)
        tables = {name: future.result() for name, future in running.items()}
        tally = kills.result() if kills else tally
    for name, cells in tables.items():
        print(f"\n{table(name, cells)}")
    if tally.hits:
        print(f"\n{tally.table()}")
    for problem, found in {
        **tally.problems,
        "azure-native's, taken by the command it names": tally.foreign_repairs,
    }.items():
        for each in found:
            print(f"  {problem}: {each}")
    cells = [cell for found in tables.values() for cell in found]
    own = [cell for cell in cells if cell.kind not in FOREIGN_KINDS]
    foreign = [cell for cell in cells if cell.kind in FOREIGN_KINDS]
    print(
        f"\nmatrix: {counted(own)}; azure-native's apart: {counted(foreign)}. Seed {seed}: {tally}. "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )
    return 1 if failures(cells) or tally.failed else 0


def _other_python(folder: Path) -> Path | None:
    interpreter = other_python.found(os.environ)
    if interpreter is None:
        return None
    print(f"another Python: {interpreter}", flush=True)
    return other_python.prepared(folder, interpreter)


def wire(folder: Path, say: Callable[[str], None], *options: str) -> list[Cell]:
    """The matrix of kinds and faults in one process that runs inside a lab of its own."""
    with running_lab(folder / "lab") as lab:
        command = [sys.executable, "-m", "tests.faults.wire", *options]
        done = lab.run(command, cwd=ROOT, timeout=900)
        if done.returncode != 0:
            raise AssertionError(f"the matrix did not run:\n{done.stderr}\n{lab.log()}")
    for line in done.stderr.splitlines():
        say(line)
    return from_json(done.stdout)


def lifecycle(
    folder: Path, engine: str, say: Callable[[str], None], other_python: Path | None = None, only: Sequence[str] = ()
) -> list[Cell]:
    """The life of a stack on one engine."""
    (folder / "copy").mkdir(parents=True)
    (folder / "clone").mkdir()
    checkout = SmallCheckout(folder / "copy", engine)
    try:
        return Lifecycle(checkout, folder / "clone", say, other_python).run(only)
    finally:
        checkout.lab.stop()


def _kills(folder: Path, count: int, seed: int, say: Callable[[str], None]) -> Tally:
    folder.mkdir(parents=True)
    checkout = SmallCheckout(folder, engines()[0])
    try:
        return Kills(checkout, seed, engines(), say).run(count)
    finally:
        checkout.lab.stop()


def _sayer(part: str) -> Callable[[str], None]:
    def say(line: str) -> None:
        with _saying:
            print(f"  {part}: {line}", flush=True)

    return say


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
