"""Provider plugins found on PATH: default and explicit providers, previews, detailed diffs, functions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.engine import engines, plugin_under_test
from tests.engine.project_under_test import calls, make_project

_WISHES: list[tuple[str, dict[str, Any]]] = [
    ("preview", {"props": {"shape": "round", "key": "s"}, "day": "today"}),
    ("up", {"props": {"shape": "round", "key": "s"}, "day": "today"}),
    ("up", {"props": {"shape": "round", "key": "s"}, "day": "today"}),
    ("up", {"props": {"shape": "round", "size": 1}, "day": "tomorrow"}),
    ("preview", {"props": {"shape": "flat", "size": 1}, "day": "tomorrow"}),
    ("up", {"props": {"shape": "flat", "size": 2}, "day": "tomorrow"}),
    ("refresh", {"props": {"shape": "flat"}, "day": "tomorrow"}),
    ("up", {"props": {"shape": "flat"}, "day": "tomorrow", "region": "north"}),
    ("up", {"props": {"shape": "flat"}, "day": "tomorrow", "region": "south"}),
    ("up", {"props": {"shape": "flat"}, "day": "doomsday", "region": "south"}),
    ("destroy", {"props": {"shape": "flat"}, "day": "tomorrow", "region": "south"}),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = make_project(tmp_path / "trial")
    path = plugin_under_test.install(directory)
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
    return directory


def _play(directory: Path, wish: dict[str, Any]) -> None:
    (directory / "wish.json").write_text(json.dumps(wish))


def test_a_plugin_is_previewed_created_and_asked(project: Path) -> None:
    _play(project, {"props": {"shape": "round", "key": "s"}, "day": "today"})
    engines.embedded(project, "preview")
    asked = [call for call in calls(project) if call[0] == "create"]
    assert [call[-1] for call in asked] == [True, True]
    assert engines.embedded(project, "up").status == 0
    said = json.loads(engines.embedded(project, "stack", "output", "--json").output)
    assert said == {"said": {"day": "today", "sun": True}, "rain": 3}
    names = {record["urn"].rpartition("::")[2] for record in engines.resources(project)}
    assert names == {"trial-lab", "default_1_2_3", "c", "d"}


def test_a_detailed_diff_replaces_and_is_shown(project: Path) -> None:
    _play(project, {"props": {"shape": "round"}, "day": "today"})
    engines.embedded(project, "up")
    _play(project, {"props": {"shape": "flat", "size": 1}, "day": "today"})
    digest = json.loads(engines.embedded(project, "preview", "--json").output)
    step = next(step for step in digest["steps"] if step["op"] == "replace")
    assert step["detailedDiff"]["shape"] == {"kind": "update-replace", "inputDiff": True}
    assert step["diffReasons"] == ["shape", "size"]


def test_a_functions_failure_is_told(project: Path) -> None:
    _play(project, {"props": {}, "day": "doomsday"})
    result = engines.embedded(project, "up")
    assert (result.status, "no weather then" in result.output) == (1, True)


@pytest.mark.skipif(engines.pulumi_path() is None, reason="no pulumi CLI 3.260 on PATH to compare with")
def test_both_engines_treat_plugins_alike(project: Path, tmp_path: Path) -> None:
    theirs = make_project(tmp_path / "theirs")
    plugin_under_test.install(theirs)
    for number, (verb, wish) in enumerate(_WISHES):
        _play(project, wish)
        _play(theirs, wish)
        mine, other = engines.embedded(project, verb), engines.pulumi(theirs, verb)
        what = f"run {number}\n{mine.output}\n{other.output}"
        assert mine.status == other.status, what
        assert engines.multiset(calls(project)) == engines.multiset(calls(theirs)), what
        if number:
            assert engines.resources(project) == engines.resources(theirs), what
