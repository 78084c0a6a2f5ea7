"""The store by itself: what a crash leaves, and how durations are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.emulator.shapes import duration_seconds, duration_text
from lab.emulator.store import Store


def test_a_failed_group_of_changes_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")

    with pytest.raises(RuntimeError), store.together():
        store.put("endpoint", "p", {"id": "/a"}, 0.0)
        raise RuntimeError

    assert store.get("/a") is None
    store.close()


def test_deleting_takes_what_is_below_and_nothing_beside(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    for arm_id in ("/E/one", "/e/one/deployments/d", "/e/one-more", "/e/one0"):
        store.put("k", "p", {"id": arm_id}, 0.0)

    store.delete("/e/ONE")

    assert store.ids("k") == ["/e/one-more", "/e/one0"]
    store.close()


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("PT30S", "PT30S"),
        ("PT60S", "PT1M"),
        ("PT3600S", "PT1H"),
        ("P1D", "P1D"),
        ("PT24H1S", "P1DT1S"),
        ("PT0S", "PT0S"),
    ],
)
def test_durations_have_one_shortest_form(text: str, shortest: str) -> None:
    seconds = duration_seconds(text)

    assert seconds is not None
    assert duration_text(seconds) == shortest


@pytest.mark.parametrize("text", ["", "30", "P", "PT", "1M", "PT1X"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration_seconds(text) is None
