from pathlib import Path

import pytest

from tests.scoring.job_bench import FolderBlobs, JobBench


@pytest.fixture
def bench(tmp_path: Path) -> JobBench:
    return JobBench(tmp_path / "job", FolderBlobs(tmp_path / "blobs"))
