"""Thousands of inputs through check and diff, and what check accepts into the lab. INPUTS=10000 makes them more."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from providers import arm_body, schema, scoring_job
from providers.asset_version import CodeVersionKind, DataVersionKind, ModelVersionKind
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind
from providers.default_deployment import DefaultDeploymentKind
from providers.kind import Kind
from providers.ownership import TAG
from providers.scoring_job import ScoringJobKind
from tests.emulator.in_process_lab import InProcessLab, blob, endpoint_body
from tests.providers.generated_inputs import KINDS, MARKER, well_meant_inputs, wild_inputs
from tests.providers.lab_side import kinds_in

INPUTS = int(os.environ.get("INPUTS", "1000"))
MANY = settings(
    max_examples=INPUTS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    derandomize=INPUTS <= 1000,
)
FEWER = MANY if "INPUTS" in os.environ else settings(MANY, max_examples=INPUTS // 4)
SENT: tuple[Kind, ...] = (
    BatchEndpointKind(),
    BatchDeploymentKind(),
    ModelVersionKind(),
    CodeVersionKind(),
    DataVersionKind(),
    DefaultDeploymentKind(),
    ScoringJobKind(),
)


@MANY
@given(st.data())
def test_check_and_diff_take_whatever_comes(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    inputs = data.draw(wild_inputs(kind) | well_meant_inputs(kind))
    olds = data.draw(well_meant_inputs(kind))

    checked = kind.check({}, inputs)
    before = kind.check({}, olds)
    asked = kind.diff("id", before.inputs, checked.inputs)

    declared = schema.properties(kind.args)
    paths = {*declared, *inputs}
    unnamed = [each for each in checked.failures if not any(_leads_to(path, each.property) for path in paths)]
    assert unnamed == []
    assert all(each.reason for each in checked.failures)
    assert set(asked.replaces or ()) <= set(declared)


def _leads_to(name: str, path: str) -> bool:
    """Whether `path` is the property `name`, or something in it: `tags.team`, `books[1]`."""
    return path == name or path.startswith((f"{name}.", f"{name}["))


@FEWER
@given(st.data())
def test_what_check_made_is_not_changed_by_it_again(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    once = kind.check({}, data.draw(well_meant_inputs(kind) | wild_inputs(kind)))
    assume(not once.failures)

    twice = kind.check({}, once.inputs)

    assert not twice.failures
    known = {name: value for name, value in once.inputs.items() if not schema.is_unknown(value)}
    assert {name: twice.inputs[name] for name in known} == known
    assert kind.diff("id", known, {name: twice.inputs[name] for name in known}).changes is False


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessLab]:
    """An emulator with the parts of a deployment and endpoint `ept-1`, whose operations end at once."""
    emulator = InProcessLab(
        tmp_path_factory.mktemp("lab"),
        {"operation_seconds": 0.0, "changed_asset": "accept", "request_log": 1, "token_seconds": 10**7},
    )
    emulator.with_parts()
    emulator.arm("PUT", "batchEndpoints/ept-1", {**endpoint_body(), "tags": {TAG: MARKER}})
    emulator.put_deployment()
    emulator.advance()
    with kinds_in(emulator):
        yield emulator
    emulator.close()


@settings(FEWER, phases=[Phase.explicit, Phase.generate, Phase.shrink])
@given(data=st.data())
def test_what_check_accepts_the_lab_accepts(lab: InProcessLab, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(SENT))
    checked = kind.check({}, data.draw(well_meant_inputs(kind)))
    assume(not checked.failures)
    if isinstance(kind, DataVersionKind | DefaultDeploymentKind | ScoringJobKind):
        patient = {"deadline": "PT5M", "deadlines": None}  # how long it may take is no matter of what is accepted
        taken_by_its_own_words(lab, kind, {**checked.inputs, **patient})
        return
    path, body = request(kind, checked.inputs)
    path = "/subscriptions/" + path.split("/", 2)[2]  # how that lab tells a whole path from one below the workspace

    answer = lab.arm("PUT", path, body, version=checked.inputs["api_version"])

    assert answer.status_code in (200, 201, 202), f"{path} {body}\n{answer.text}"
    if isinstance(kind, BatchEndpointKind | BatchDeploymentKind):
        lab.advance(1)
        live = lab.arm("GET", path).json()
        assert schema.changes(kind.args, kind.live(live, checked.inputs), checked.inputs) == {}, live
        lab.arm("DELETE", path)
        lab.advance(1)


def taken_by_its_own_words(lab: InProcessLab, kind: Kind, inputs: dict[str, Any]) -> None:
    """The kind's own create, which looks whether each value took; of a job the request that starts it."""
    if isinstance(kind, ScoringJobKind):
        asked = scoring_job._submission({**inputs, "deployment_name": "dep-1"})
        answer = lab.score("POST", "jobs", asked.request(asked.attempt(1)), deployment="dep-1")
        assert answer.status_code == 201, f"{inputs}\n{answer.text}"
        return
    if isinstance(kind, DefaultDeploymentKind):
        lab.put_deployment(inputs["deployment_name"])
        lab.advance(1)
    made = kind.create(inputs)
    found = dict(kind.read(made.id, dict(made.outs or {})).outs or {})
    assert kind.diff(made.id, found, inputs).changes is False
    kind.delete(made.id, found)
    if isinstance(kind, DefaultDeploymentKind):
        lab.arm("DELETE", f"batchEndpoints/ept-1/deployments/{inputs['deployment_name']}")
        lab.advance(1)


def request(kind: Kind, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Path and body of the PUT that create sends."""
    body = arm_body.upon(kind.args, {}, {}, inputs)[0]
    if isinstance(kind, BatchEndpointKind):
        return f"{inputs['workspace_id']}/batchEndpoints/{inputs['endpoint_name']}", body
    if isinstance(kind, BatchDeploymentKind):
        return f"{inputs['endpoint_id']}/deployments/{inputs['deployment_name']}", body
    collection = "models" if isinstance(kind, ModelVersionKind) else "codes"
    body["properties"]["modelUri" if collection == "models" else "codeUri"] = (
        inputs["uri"] if collection == "models" else blob("up/code")
    )
    return f"{inputs['workspace_id']}/{collection}/{inputs['asset_name']}/versions/{inputs['version']}", body
