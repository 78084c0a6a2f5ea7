"""A lab on a disk without room, on a small file system of its own; skipped where none may be mounted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.testing import LabUnderTest

SIZE = 6 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for a few megabytes, gone with the test."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    done = subprocess.run(
        [mount or "mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left; the file that holds it."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as filler:
        for size in (65536, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue
    return file


@pytest.fixture
def lab(small_disk: Path) -> Iterator[LabUnderTest]:
    lab = LabUnderTest(small_disk / "home")
    yield lab
    lab.stop()


def test_a_start_without_room_is_one_sentence_and_leaves_no_process(lab: LabUnderTest, small_disk: Path) -> None:
    lab.home.mkdir()
    filler = fill(small_disk)

    refused = lab.command("start")

    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert os.strerror(28) in refused.stderr
    filler.unlink()
    lab.start()


def test_a_running_lab_tells_of_a_full_disk_and_goes_on_when_there_is_room(lab: LabUnderTest, small_disk: Path) -> None:
    lab.start()
    filler = fill(small_disk)

    full = _put_many(lab)
    filler.unlink()

    assert "507" in full
    assert "The lab's disk is full" in full
    assert '"value"' in _arm(lab, "GET", "/batchEndpoints")
    assert "201" in _arm(lab, "PUT", "/models/after/versions/1", _MODEL)


_MODEL = '{"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/x", "description": "%s"}}'
_SCRIPT = """
import os, sys, httpx
from azure.identity import ClientSecretCredential
from lab import identity
token = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]
).get_token("https://management.azure.com/.default").token
group = f"subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
where = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}"
method, path, body, times = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
with httpx.Client(headers=headers, timeout=60) as client:
    for number in range(int(times)):
        url = f"https://management.azure.com/{where}{path.replace('#', str(number))}?api-version=2025-12-01"
        answer = client.request(method, url, content=body or None)
        if answer.status_code == 507:
            break
print(answer.status_code, answer.text)
"""


def _arm(lab: LabUnderTest, method: str, path: str, body: str = "", times: int = 1) -> str:
    done = lab.run([sys.executable, "-c", _SCRIPT, method, path, body, str(times)], cwd=Path(__file__).parents[2])
    return done.stdout + done.stderr


def _put_many(lab: LabUnderTest) -> str:
    """Model versions until the lab has no room for another."""
    return _arm(lab, "PUT", "/models/m/versions/1#", _MODEL % ("x" * 100_000), times=100)
