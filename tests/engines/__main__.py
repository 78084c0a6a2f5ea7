"""`python -m tests.engines --programs 200 --seed 1`: random programs, on the embedded engine and on the pulumi CLI.

Where no pulumi CLI of the release is on PATH the embedded engine's invariants alone are checked: every state that it
saves is valid, a second `up` changes nothing, and `destroy` leaves the test cloud empty.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.engine import engines
from tests.engines.drawing import draw
from tests.engines.playing import Played, jobs_of_this_machine, play
from tests.engines.programs import Program, from_json, to_json
from tests.engines.shrinking import shrink


@dataclass
class Total:
    compared: bool
    seeds: list[int] = field(default_factory=list)
    failing: list[int] = field(default_factory=list)
    steps: int = 0
    runs: int = 0
    calls: int = 0
    kills: int = 0
    failed: int = 0
    saves: int = 0
    differences: int = 0
    broken: int = 0

    def add(self, played: Played) -> None:
        self.seeds.append(played.program.seed)
        if played.findings:
            self.failing.append(played.program.seed)
        self.steps += played.steps
        self.runs += played.runs
        self.calls += played.calls
        self.kills += played.kills
        self.failed += sum(status > 0 for status in played.statuses)
        self.saves += played.saves
        self.differences += len(played.differences)
        self.broken += len(played.broken)

    def __str__(self) -> str:
        differences = f"{self.differences} differences" if self.compared else "no pulumi CLI to compare with"
        return (
            f"{len(self.seeds)} programs (seeds {min(self.seeds, default=0)} to {max(self.seeds, default=0)}), "
            f"{self.steps} steps ({self.failed} failing, {self.kills} killed), {self.runs} runs, {self.calls} provider "
            f"calls, {self.saves} saved states: {differences}, {self.broken} invariants broken"
        )


def play_all(programs: Iterable[Program], total: Total, jobs: int, minutes: float) -> list[Played]:
    """Play them, some at a time, starting none after `minutes`; the result has those with findings."""
    found = []
    end = time.monotonic() + 60 * minutes
    # Each worker is a process: the embedded engine changes directory, environment and signal handlers.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(partial(play, compare=total.compared), program) for program in programs]
        for future in as_completed(futures):
            if future.cancelled():
                continue
            played = future.result()
            total.add(played)
            if played.findings:
                found.append(played)
                print(f"seed {played.program.seed}: {played.findings[0][:1500]}", flush=True)
            if len(total.seeds) % 10 == 0:
                print(f"... {total}", flush=True)
            if time.monotonic() > end:
                for waiting in futures:
                    waiting.cancel()
    return found


def write(played: Played, directory: Path, tries: int) -> Path:
    """The program, made small, as a file that can be played again; beside it what the engines printed."""
    compare = engines.pulumi_path() is not None
    small = shrink(played.program, lambda program: bool(play(program, compare=compare).findings), tries)
    again = play(small, compare=compare)
    path = directory / f"seed-{small.seed}.json"
    path.write_text(to_json(small))
    path.with_suffix(".txt").write_text("\n".join([*again.findings, again.outputs]))
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description=__doc__)
    parser.add_argument("--programs", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=None, metavar="S", help="of the first program; each has the next")
    parser.add_argument("--jobs", type=int, default=jobs_of_this_machine(), metavar="J")
    parser.add_argument(
        "--replay", type=Path, action="append", default=[], metavar="FILE", help="play written programs"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="M", help="start no program after these")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where failing programs are written")
    parser.add_argument("--tries", type=int, default=60, metavar="T", help="plays spent on making one smaller")
    return parser


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    seed = int(time.time()) if options.seed is None else options.seed
    programs = [from_json(path.read_text()) for path in options.replay]
    programs = programs or [draw(number) for number in range(seed, seed + options.programs)]
    total = Total(compared=engines.pulumi_path() is not None)
    print(f"seeds {programs[0].seed} to {programs[-1].seed}", flush=True)
    found = play_all(programs, total, options.jobs, options.minutes)
    if found:
        directory = options.keep or Path(tempfile.mkdtemp(prefix="engines-"))
        directory.mkdir(parents=True, exist_ok=True)
        for played in found:
            path = write(played, directory, options.tries)
            print(f"python -m tests.engines --replay {path}\n{path.read_text()}", flush=True)
    print(total)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
