from collections.abc import Iterator

import pytest

from providers.arm import client as _  # noqa: F401  # the module below must be imported before it is patched
from tests.providers.far_side import FarSide


@pytest.fixture
def far_side(monkeypatch: pytest.MonkeyPatch) -> Iterator[FarSide]:
    """Kinds ask the process's ARM client; here that client's transport is the far side."""
    import sys

    far = FarSide()
    client = far.client()
    monkeypatch.setitem(sys.modules["providers.arm.client"]._clients, "public", client)
    yield far
    client.close()
