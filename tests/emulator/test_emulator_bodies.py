"""Whatever is sent, the answer is one of the service's: never a failure of the emulator itself."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.emulator import lenient_json
from tests.emulator.in_process_lab import InProcessLab

NAMES = re.split(
    r"\s+",
    """properties location tags identity type sku name authMode defaults deploymentName keys model referenceType
    assetId codeConfiguration codeId scoringScript environmentId compute resources instanceCount
    retrySettings timeout miniBatchSize computeType vmSize scaleSettings maxNodeCount condaFile image build
    modelUri codeUri dataUri dataType isArchived inputData outputData jobInputType uri dataset dataInputType
    path deploymentConfiguration x""",
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "AADToken", "Id", "AmlCompute", "UriFolder", "PT1M", "a: [", "1: 2", "2020-01-01: 1", "/x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)
TARGETS = (
    "batchEndpoints/fuzz",
    "batchEndpoints/ept-1/deployments/fuzz",
    "computes/fuzz",
    "codes/fuzz/versions/1",
    "models/fuzz/versions/1",
    "environments/fuzz/versions/1",
    "data/fuzz/versions/1",
    "models/fuzz",
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, token_key: bytes) -> Iterator[InProcessLab]:
    home: Path = tmp_path_factory.mktemp("fuzzed")
    (home / "entra.pem").write_bytes(token_key)
    lab = InProcessLab(home).deployed()
    yield lab
    lab.close()


@settings(max_examples=60, deadline=None)
@given(body=VALUES, target=st.sampled_from(TARGETS), wrapped=st.booleans())
def test_no_body_of_a_put_breaks_the_emulator(fuzzed: InProcessLab, body: Any, target: str, wrapped: bool) -> None:
    content = repr_json({"location": "eastus", "properties": body} if wrapped else body)

    assert fuzzed.arm("PUT", target, content=content).status_code < 500
    fuzzed.advance()


@settings(max_examples=40, deadline=None)
@given(body=VALUES)
def test_no_body_of_an_invocation_breaks_the_emulator(fuzzed: InProcessLab, body: Any) -> None:
    reply = fuzzed.score(
        "POST", "jobs", lenient_json.loads(repr_json({"properties": body}, plain=True)), deployment="dep-1"
    )

    assert reply.status_code < 500


@given(value=VALUES)
def test_lenient_json_reads_all_that_json_reads(value: Any) -> None:
    text = repr_json(value, plain=True)

    assert repr_json(lenient_json.loads(text), plain=True) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1,}', {"a": 1}),
        ("[1, [2,], ]", [1, [2]]),
        ('{"a": ",}"}', {"a": ",}"}),
        ('{"a\\"": ",]",\n}', {'a"': ",]"}),
    ],
)
def test_trailing_commas_are_dropped_outside_of_strings_alone(text: str, value: Any) -> None:
    assert lenient_json.loads(text) == value


def repr_json(value: Any, *, plain: bool = False) -> str:
    """JSON text; numbers that JSON does not have are written as Python writes them unless `plain`."""

    def tame(item: Any) -> Any:
        if isinstance(item, float) and not math.isfinite(item):
            return None
        if isinstance(item, dict):
            return {name: tame(each) for name, each in item.items()}
        return [tame(each) for each in item] if isinstance(item, list) else item

    return json.dumps(tame(value) if plain else value)
