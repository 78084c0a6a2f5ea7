from collections.abc import Iterator

import pytest

from tests.lifecycle.checkout import engines
from tests.teardown.ending import Ending


@pytest.fixture(
    scope="module",
    params=[pytest.param(each, marks=pytest.mark.xdist_group(f"teardown, {each}")) for each in engines()],
)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ending]:
    """One lab for all tests of a file, once per engine; each test finds the stack as `deployed()` leaves it."""
    made = Ending(tmp_path_factory.mktemp("teardown"), request.param)
    try:
        made.start_lab()
        yield made
    finally:
        made.lab.stop()
