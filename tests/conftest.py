"""The order of the tests: what takes longest begins first, so that no core is left idle at the end."""

import pytest

LONGEST = (
    "tests/lifecycle/",
    "tests/faults/",
    "tests/page/test_page_browser.py",
    "tests/lab/",
    "tests/engines/",
    "tests/engine/",
)
"""Beginnings of node ids, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, each in enumerate(LONGEST) if item.nodeid.startswith(each)), 9))
