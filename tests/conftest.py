"""The order of the tests: what takes longest begins first, so that no core is left idle at the end."""

import pytest
from hypothesis import HealthCheck, settings

# How fast inputs are made says how busy the machine is, and nothing about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

LONGEST = (
    "tests/lifecycle/",
    "tests/teardown/",
    "tests/faults/",
    "tests/page/test_page_browser.py",
    "tests/lab/",
    "tests/engines/",
    "tests/engine/",
)
"""Beginnings of node ids, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, each in enumerate(LONGEST) if item.nodeid.startswith(each)), 9))
