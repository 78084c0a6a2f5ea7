"""What is known of the real service, as tables of our own in `facts/`: true wherever this repository is.

An entry has `fact`, `source`, `arrange` (steps), `send` (one request) and `answer`: `status`, `headers` (regular
expressions, null for absent), `text` or `whole` (the body), `body` (values), `matches` (regular expressions) and
`absent`, these three by dotted path; a dot inside a name is written `\\.`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.emulator.in_process_lab import WS, InProcessLab
from tests.parity.wire_form import differences, named

Table = dict[str, Any]
MISSING = object()


def _facts() -> Iterator[Any]:
    for path in sorted((Path(__file__).parent / "facts").glob("*.json")):
        for entry in json.loads(path.read_text(encoding="utf-8")):
            yield pytest.param(entry, id=entry["fact"].replace(" ", "-")[:60])


@pytest.mark.parametrize("entry", list(_facts()))
def test_the_lab_answers_as_the_fact_says(lab: InProcessLab, entry: Table) -> None:
    answer = _send(lab, entry["send"], [_arrange(lab, step) for step in entry.get("arrange", [])])
    expected = entry["answer"]

    assert answer.status_code == expected["status"], answer.text
    for name, pattern in expected.get("headers", {}).items():
        said = answer.headers.get(name)
        assert said is None if pattern is None else re.search(pattern, said or ""), (name, said)
    if "text" in expected:
        assert answer.text == expected["text"]
        return
    body = answer.json()
    assert "whole" not in expected or body == expected["whole"]
    assert {path: _at(body, path) for path in expected.get("body", {})} == _here(expected.get("body", {}))
    for path, pattern in expected.get("matches", {}).items():
        assert re.search(pattern, str(_at(body, path))), (path, _at(body, path))
    assert [path for path in expected.get("absent", []) if _at(body, path) is not MISSING] == []


def _arrange(lab: InProcessLab, step: Any) -> httpx.Response | None:
    if step == "wait":
        lab.advance()
    elif step == "parts":
        lab.with_parts()
    elif step == "endpoint":
        lab.put_endpoint()
        lab.advance()
    elif step == "deployed":
        lab.deployed()
    else:
        return _send(lab, step, [])
    return None


def _send(lab: InProcessLab, send: Table, before: list[httpx.Response | None]) -> httpx.Response:
    if send.get("operation"):
        if "of" in send:
            before = [*before, _send(lab, send["of"], [])]
            lab.advance()
        url = next(each.headers["Azure-AsyncOperation"] for each in reversed(before) if each is not None)
        return lab.request("GET", url, headers={"Authorization": f"Bearer {lab.token()}"})
    body = _here(send.get("body"))
    if "scoring" in send:
        return lab.score(
            send["method"], send["path"], body, endpoint=send["scoring"], deployment=send.get("deployment", "")
        )
    return lab.arm(send["method"], send["path"], body, version=send.get("version", "2025-12-01"))


def _here(value: Any) -> Any:
    return json.loads(json.dumps(value).replace("{ws}", WS))


def _at(body: Any, path: str) -> Any:
    for name in re.split(r"(?<!\\)\.", path):
        if isinstance(body, list):
            body = body[int(name)] if int(name) < len(body) else MISSING
        else:
            body = body.get(name.replace("\\.", "."), MISSING) if isinstance(body, dict) else MISSING
    return body


def test_a_difference_is_found_wherever_it_lies() -> None:
    recorded = {"a": [{"b": 1}], "c": "x", "gone": None, "t": "2023-12-02T02:19:42.3435775+00:00"}
    answered = {"a": [{"b": "1"}], "c": "y", "new": None, "t": "2027-01-15T08:00:00.0000000+00:00"}

    found = list(differences(recorded, answered))

    assert found == ["a[0].b: 1 != '1'", "c: 'x' != 'y'", "gone: only in the recording", "new: only in the lab"]


def test_places_are_named_alike_in_recordings_and_in_the_lab() -> None:
    recorded = "/subscriptions/00000000-0000-0000-0000-000000000/resourceGroups/00000/workspaces/00000"

    assert named(recorded) == named(
        "/subscriptions/1ab00000-0000-4000-8000-000000000001/resourceGroups/lab/workspaces/lab"
    )
