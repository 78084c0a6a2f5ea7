"""One running lab for the tests of a session that need no fresh one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.testing import LabUnderTest, running_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab
