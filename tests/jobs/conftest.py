from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.conftest import MakeLab, make_lab, token_key  # fixtures
from tests.jobs.desk import Desk, open_desk

__all__ = ["make_lab", "token_key"]


@pytest.fixture
def desk(make_lab: MakeLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Endpoint `ept-1` with `dep-1` as its default, in a lab whose jobs start when time passes."""
    lab = make_lab().deployed()
    lab.put_endpoint(defaults={"deploymentName": "dep-1"})
    lab.advance()
    folder = tmp_path / "desk"
    folder.mkdir()
    with open_desk(lab, folder, monkeypatch) as desk:
        yield desk
