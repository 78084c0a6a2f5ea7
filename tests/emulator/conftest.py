from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from lab.emulator.entra import TokenKeys
from tests.emulator.in_process_lab import InProcessLab

MakeLab = Callable[..., InProcessLab]


@pytest.fixture(scope="session")
def token_key(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One signing key for all labs of the run: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("keys") / "entra.pem"
    TokenKeys(path)
    return path.read_bytes()


@pytest.fixture
def make_lab(tmp_path: Path, token_key: bytes) -> Iterator[MakeLab]:
    """A lab with these settings; all are closed at the end."""
    made: list[InProcessLab] = []

    def make(settings: Mapping[str, object] | None = None, **options: object) -> InProcessLab:
        home = tmp_path / f"lab{len(made)}"
        home.mkdir()
        (home / "entra.pem").write_bytes(token_key)
        made.append(InProcessLab(home, settings, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for lab in made:
        lab.close()


@pytest.fixture
def lab(make_lab: MakeLab) -> InProcessLab:
    return make_lab()
