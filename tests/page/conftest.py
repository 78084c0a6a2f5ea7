from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.in_process_lab import InProcessLab
from tests.page.page_under_test import PageUnderTest


@pytest.fixture
def page(tmp_path: Path) -> Iterator[PageUnderTest]:
    lab = InProcessLab(tmp_path / "home")
    yield PageUnderTest(lab)
    lab.close()
