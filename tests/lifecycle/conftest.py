from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.checkout import Checkout, engines


@pytest.fixture(params=engines())
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Checkout]:
    """A copy of the project, once per engine; its lab ends with the test, whatever happens."""
    copy = Checkout(tmp_path, request.param)
    try:
        yield copy
    finally:
        copy.lab.stop()
