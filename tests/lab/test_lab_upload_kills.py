"""An upload to Azurite that is ended by SIGKILL, and typed again: what has arrived is not sent twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.testing import LabUnderTest, running_lab

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BLOCK = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    with running_lab(tmp_path_factory.mktemp("kills") / "lab") as lab:
        yield lab


def command(act: str, folder: Path, prefix: str) -> list[str]:
    return [sys.executable, "-m", "tests.lab.uploading", act, str(folder), prefix]


def said(lab: LabUnderTest, act: str, folder: Path, prefix: str) -> dict[str, Any]:
    """The last line of a whole run."""
    done = lab.run(command(act, folder, prefix), cwd=ROOT, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def killed(lab: LabUnderTest, folder: Path, prefix: str, *, after: int) -> None:
    """End an upload with SIGKILL when so many of its steps are done, and others under way."""
    words = [*command("send", folder, prefix), str(after)]
    with subprocess.Popen(words, cwd=ROOT, env=lab.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline()) == {"steps": after}
        process.kill()


def test_files_that_arrived_before_a_kill_are_not_sent_again(lab: LabUnderTest, tmp_path: Path) -> None:
    prefix, after = "kills/many/", 100
    for number in range(300):
        file = tmp_path / "many" / f"{number % 7}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number:01000}")

    killed(lab, tmp_path / "many", prefix, after=after)
    there = said(lab, "look", tmp_path / "many", prefix)["there"]
    done = said(lab, "send", tmp_path / "many", prefix)

    assert after <= len(there) < 300
    # What was on its way when the process ended may have arrived after the look.
    assert done["sent"] <= 1000 * (300 - len(there))
    now = said(lab, "look", tmp_path / "many", prefix)["there"]
    assert len(now) == 300
    assert {name: now[name] for name in there} == there, "nothing that was there was written again"


def test_blocks_that_arrived_before_a_kill_are_not_sent_again(lab: LabUnderTest, tmp_path: Path) -> None:
    folder, prefix, after, blocks = tmp_path / "large", "kills/large/", 2, 12
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        for number in range(blocks):
            file.write(bytes([number]) * BLOCK)

    killed(lab, folder, prefix, after=after)
    before = said(lab, "look", folder, prefix)
    done = said(lab, "send", folder, prefix)

    assert before["there"] == {}
    assert after * BLOCK <= before["blocks"] < blocks * BLOCK
    assert done["sent"] <= blocks * BLOCK - before["blocks"]
    assert len(said(lab, "look", folder, prefix)["there"]) == 1
