"""Measure everything in one run: `python -m bench [--runs N]`, minutes. Prints a machine line, one table, and notes.

`--only uploads` (or the beginning of another section's name) measures that section alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import blobs, downloads, lab_start, machine, many_endpoints, requests, scoring, stack, uploads
from bench.figure import Figure
from bench.table import table
from lab.testing import running_lab
from tests.lifecycle.checkout import Checkout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each thing that is timed (default %(default)s)")
    parser.add_argument("--only", default="", help="sections whose name begins so")
    parser.add_argument("--files", type=int, default=uploads.SMALL, help="small ones to upload (default %(default)s)")
    parser.add_argument("--mib", type=int, default=uploads.LARGE_MIB, help="of the large file (default %(default)s)")
    asked = parser.parse_args()
    runs: int = asked.runs
    if runs < 1:
        parser.error("--runs must be at least 1")
    _say(machine.line())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        other, found = machine.OtherWork(), []
        for title, measure in _sections(Path(folder), runs, (asked.files, asked.mib)):
            if not title.startswith(asked.only):
                continue
            sys.stderr.write(f"{title} ...\n")
            other.look()
            found += measure()
    _say(f"\n{table(found)}\n")
    _say(f"medians of {runs} runs (least-most), memory of one; ratio = here / there; caches are warm")
    _say(other.note())
    return 0


def _sections(folder: Path, runs: int, sizes: tuple[int, int]) -> list[tuple[str, Callable[[], list[Figure]]]]:
    return [
        ("lab start", lambda: lab_start.figures(folder, runs)),
        ("uploads", lambda: _uploads(folder / "uploads", *sizes)),
        ("mini-batches", lambda: scoring.loops(folder / "loops", runs)),
        ("jobs", lambda: scoring.jobs(folder / "jobs", runs)),
        ("downloads", lambda: downloads.figures(folder / "downloads", runs)),
        *((f"digits on {engine}", _on(engine, folder / engine, runs)) for engine in stack.engines()),
    ]


def _uploads(folder: Path, files: int, mib: int) -> list[Figure]:
    folder.mkdir()
    with running_lab(folder / "lab") as lab:
        return uploads.figures(lab, folder, files, mib)


def _on(engine: str, folder: Path, runs: int) -> Callable[[], list[Figure]]:
    """Everything that needs a deployed stack, on one engine; what no engine has part in is measured on the first."""

    def measure() -> list[Figure]:
        folder.mkdir()
        checkout = Checkout(folder, engine)
        try:
            checkout.lab.start()
            taken = stack.memory(checkout, folder / "empty-memory")
            found = []
            if engine == stack.engines()[0]:
                found += requests.figures(checkout.lab, folder, runs)
                found += blobs.figures(checkout.lab.facts, runs)
            checkout.succeed("destroy")
            found += stack.figures(checkout, folder / "empty", runs) + taken
            # The last, since it sets the lab's pace for itself.
            return found + many_endpoints.figures(checkout.lab, folder / "many", engine, runs)
        finally:
            checkout.lab.stop()

    return measure


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
