"""The digits stack on one engine, beside an empty program that imports the same packages on the same engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.figure import Figure, Runs
from bench.memory import Peaks
from lab import identity
from tests.lifecycle.checkout import Checkout

IMPORTS = ("pulumi", "pulumi_azure_native", "httpx", "azure.identity", "azure.storage.blob")
"""What the digits program and its providers import."""
EMPTY = "an empty program with its imports"
VERBS = {"up": "first up", "up again": "no-op up", "destroy": "destroy"}


class EmptyProgram:
    """A Pulumi project of nothing but imports, with state and settings of its own."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder = folder
        self._command = ["pulumi"] if engine == "pulumi" else [sys.executable, "-m", "lab.engine"]
        self._engine = engine
        folder.mkdir(parents=True)
        (folder / "state").mkdir()
        (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        (folder / "Pulumi.yaml").write_text(
            "name: empty\nruntime: {name: python, options: {virtualenv: .venv}}\n", encoding="utf-8"
        )
        # The embedded engine serves the lab's stacks alone.
        (folder / "Pulumi.bench.yaml").write_text(
            f"config: {{'empty:subscription_id': {identity.SUBSCRIPTION_ID}}}\n", encoding="utf-8"
        )
        (folder / "__main__.py").write_text("".join(f"import {name}\n" for name in IMPORTS), encoding="utf-8")
        if engine == "pulumi":
            self.run("stack", "init", "bench")

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self._folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_HOME": str(self._folder / "home"),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        }
        return subprocess.Popen(  # noqa: S603  # an engine, and words of ours
            [*self._command, *words],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> None:
        with self.start(*words) as process:
            said, _ = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} of the empty program on {self._engine}: {said}")

    def verb(self, verb: str) -> None:
        self.run(verb, "--stack", "bench", "--yes", "--skip-preview", "--non-interactive")


def figures(checkout: Checkout, folder: Path, runs: int) -> list[Figure]:
    """Each verb, the two programs taking turns. The stack is to be as good as never deployed, its lab running."""
    empty = EmptyProgram(folder, checkout.engine)
    took: dict[str, tuple[list[float], list[float]]] = {verb: ([], []) for verb in VERBS}
    for _ in range(runs):
        for verb, (ours, theirs) in took.items():
            word = verb.split()[0]
            ours.append(_seconds(checkout.succeed, word))
            theirs.append(_seconds(empty.verb, word))
    return [
        Figure(f"{VERBS[verb]} of digits, {checkout.engine}", Runs(tuple(ours), "s"), EMPTY, Runs(tuple(theirs), "s"))
        for verb, (ours, theirs) in took.items()
    ]


def memory(checkout: Checkout, folder: Path) -> list[Figure]:
    """Peaks of one first `up`, each process beside what runs for the empty program. Leaves the stack deployed."""
    peaks = _peaks_of(checkout.start("up"))
    empty = EmptyProgram(folder, checkout.engine)
    theirs = _peaks_of(empty.start("up", "--stack", "bench", "--yes", "--skip-preview", "--non-interactive"))
    beside = {"engine": "engine", "dynamic provider": "program", "azure-native stand-in": "program"}
    names = {"engine": "its engine", "program": "its process"}
    return [
        Figure(
            f"memory: {role}, {checkout.engine}",
            Runs((peaks[role],), "MiB"),
            f"{EMPTY}: {names[other]}",
            Runs((theirs[other],), "MiB"),
        )
        for role, other in beside.items()
    ]


def _peaks_of(process: subprocess.Popen[str]) -> dict[str, float]:
    with process, Peaks(process.pid) as peaks:
        said, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the run whose memory was measured failed: {said}")
    return peaks.mib


def _seconds(run: Callable[[str], object], verb: str) -> float:
    began = time.perf_counter()
    run(verb)
    return time.perf_counter() - began


def engines() -> list[str]:
    """The embedded engine, and the CLI where it is on PATH."""
    return ["embedded", *(["pulumi"] if shutil.which("pulumi") else [])]
