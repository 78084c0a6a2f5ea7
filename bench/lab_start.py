"""From `python -m lab start` in an empty home to a lab that answers, beside the Azurite in it alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.figure import Figure, Runs
from lab.authority import certificates_in
from lab.azurite import Azurite, AzuriteCommand
from lab.azurite_package import ensure_azurite
from lab.home import secrets_of
from lab.nodejs import ensure_node
from lab.testing import LabUnderTest


def figures(folder: Path, runs: int) -> list[Figure]:
    """What is installed once per machine (Azurite by npm) is there already."""
    first, again, alone = [], [], []
    for run in range(runs):
        lab = LabUnderTest(folder / f"home{run}")
        try:
            first.append(_started(lab))
            lab.stop()
            again.append(_started(lab))
        finally:
            lab.stop()
        alone.append(_azurite_alone(lab))
    theirs = Runs(tuple(alone), "s")
    return [
        Figure("lab ready, in a new home", Runs(tuple(first), "s"), "Azurite alone", theirs),
        Figure("lab ready, in a home that it had", Runs(tuple(again), "s"), "Azurite alone", theirs),
    ]


def _started(lab: LabUnderTest) -> float:
    began = time.perf_counter()
    lab.start()
    return time.perf_counter() - began


def _azurite_alone(lab: LabUnderTest) -> float:
    home = lab.paths
    node = ensure_node(home.cache, os.environ, home.log)
    script = ensure_azurite(home.cache, node, os.environ, home.log)
    command = AzuriteCommand(node.node, script, home.azurite_data, certificates_in(home.certificates))
    azurite = Azurite(command, home, storage_key=secrets_of(home).storage_key, environ=os.environ)
    began = time.perf_counter()
    try:
        azurite.start()
        return time.perf_counter() - began
    finally:
        azurite.stop()
