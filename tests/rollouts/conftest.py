from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.conftest import MakeLab, make_lab, token_key  # noqa: F401 - fixtures
from tests.rollouts.gate_bench import GateBench


@pytest.fixture
def bench(make_lab: MakeLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GateBench]:  # noqa: F811
    with GateBench(make_lab({"operation_seconds": 0.5, "compute_seconds": 0.5})).open(monkeypatch) as made:
        yield made
