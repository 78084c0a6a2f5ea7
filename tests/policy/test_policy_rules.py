"""Each policy refuses a stack that it is against, in a sentence that says how to mend it, and passes the good ones."""

import copy
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policy.resource import (
    COMPUTE,
    DATASTORE,
    LATER,
    RESOURCE_GROUP,
    SCORING_JOB,
    STORAGE_ACCOUNT,
    WORKSPACE,
    Resource,
    token,
)
from policy.rules import RULES, violations
from tests.policy.program import registered, settings_of

ROOT = Path(__file__).resolve().parents[2]
Settings = dict[str, Any]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def without_gate(settings: Settings) -> None:
    del settings["smoke_job"]


def serverless(settings: Settings) -> None:
    settings["deployments"]["digits"]["resources"] = {"instance_count": 1, "instance_type": "Standard_NC24ads_A100_v4"}


BAD: dict[str, tuple[str, Callable[[Settings], object], dict[str, Any], str]] = {
    "a node that always runs": (
        "lab",
        lambda s: s["compute"].update(min_node_count=1),
        {},
        "cpu keeps 1 nodes running when no job does; set `min_node_count: 0` on the compute",
    ),
    "idle nodes for hours": (
        "lab",
        lambda s: s["compute"].update(node_idle_time_before_scale_down="PT3H"),
        {},
        "cpu an idle node is kept for PT3H, longer than PT15M; set `node_idle_time_before_scale_down: PT15M` or less "
        "on the compute",
    ),
    "a cluster of a hundred": (
        "lab",
        lambda s: s["compute"].update(max_node_count=100),
        {},
        "cpu may grow to 100 nodes, 8 are allowed; set `max_node_count: 8` or less",
    ),
    "a job on all of it": (
        "lab",
        lambda s: s["deployments"]["digits"].update(resources={"instance_count": 5}),
        {"maximum-of-nodes": {"nodes": 4}},
        "batch-scoring-*-digits-* a job takes 5 nodes, 4 are allowed; set `resources: {instance_count: 4}` or less on "
        "the deployment",
    ),
    "a size that nobody agreed on": (
        "lab",
        lambda s: s["compute"].update(vm_size="Standard_ND96asr_v4"),
        {"allowed-vm-sizes": {"sizes": ["Standard_DS3_v2"]}},
        "cpu VM size Standard_ND96asr_v4 is not allowed; set `vm_size` to one of Standard_DS3_v2",
    ),
    "a serverless GPU": (
        "lab",
        serverless,
        {"allowed-vm-sizes": {"sizes": ["standard_ds*_v2"]}},
        "batch-scoring-*-digits-* VM size Standard_NC24ads_A100_v4 is not allowed; set `resources.instance_type` to "
        "one of standard_ds*_v2",
    ),
    "no cost center": (
        "lab",
        lambda s: s.update(tags={"team": "vision"}),
        {"required-tags": {"tags": ["team", "cost-center"]}},
        "cpu has no tag cost-center; set `tags: {cost-center: ...}` in the stack file, for all at once",
    ),
    "uploads with the account's key": (
        "lab",
        lambda s: s.update(shared_key=True),
        {},
        "digits-code-* uses the storage account's key; leave `shared_key` out of the stack file, and give who runs "
        "this Storage Blob Data Contributor",
    ),
    "an endpoint of prod that one command deletes": (
        "prod",
        lambda s: s["endpoint"].update(protect=False),
        {},
        "batch-scoring-* can be deleted by one command, in stack prod; set `endpoint: {protect: true}`",
    ),
    "a default that nobody tested": (
        "lab",
        without_gate,
        {},
        "batch-scoring-*-default digits-* becomes the default untested; set `smoke_job` in the stack file",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_stack_is_refused_with_a_message_that_says_what_to_do(name: str) -> None:
    stack, spoil, config, message = BAD[name]
    settings = copy.deepcopy(settings_of(stack, ROOT))
    spoil(settings)

    found = violations(registered(stack, settings, ROOT), config)

    said = [f"{_without_hash(each.resource)} {_without_hash(each.message)}" for each in found]
    assert message in said
    assert len({each.policy for each in found}) == 1, said


def _without_hash(text: str) -> str:
    return re.sub(r"-[0-9a-f]{8}\b", "-*", text)


@pytest.mark.parametrize("stack", ["lab", "dev", "staging", "prod"])
def test_the_stacks_of_this_project_pass(stack: str) -> None:
    assert violations(registered(stack, settings_of(stack, ROOT), ROOT), {}) == []


def test_every_policy_refuses_one_of_the_bad_stacks() -> None:
    refused = set()
    for stack, spoil, config, _ in BAD.values():
        settings = copy.deepcopy(settings_of(stack, ROOT))
        spoil(settings)
        refused |= {each.policy for each in violations(registered(stack, settings, ROOT), config)}

    assert refused == {rule.name for rule in RULES}


def made(type_: str, props: dict[str, Any], stack: str = "lab", **more: Any) -> Resource:
    return Resource(type_, "it", f"urn:pulumi:{stack}::p::{type_}::it", props, **more)


OWNED = {"pulumi-stack-owner": "p/lab/1"}
FOUNDATIONS = [
    (made(STORAGE_ACCOUNT, {"tags": OWNED}), "takes its shared keys"),
    (made(STORAGE_ACCOUNT, {"allowSharedKeyAccess": True, "tags": OWNED}), "takes its shared keys"),
    (made(WORKSPACE, {"tags": OWNED}), "its own datastores sign in with account keys"),
    (made(WORKSPACE, {"systemDatastoresAuthMode": "AccessKey", "tags": OWNED}), "its own datastores sign in with"),
    (made(DATASTORE, {"properties": {"credentials": {"credentialsType": "AccountKey"}}}), "signs in with AccountKey"),
    (made(DATASTORE, {"properties": {"credentials": {"credentialsType": "Sas"}}}), "signs in with Sas"),
    (made(RESOURCE_GROUP, {}), "has no tag pulumi-stack-owner"),
    (made(RESOURCE_GROUP, {"tags": {"pulumi-stack-owner": ""}}), "has no tag pulumi-stack-owner"),
]


@pytest.mark.parametrize(("resource", "said"), FOUNDATIONS, ids=lambda each: getattr(each, "type", each))
def test_what_a_stack_builds_itself_is_looked_at_too(resource: Resource, said: str) -> None:
    found = violations([resource], {})

    assert [each.message.startswith(said) for each in found] == [True]


GOOD = [
    made(STORAGE_ACCOUNT, {"allowSharedKeyAccess": False, "tags": OWNED}),
    made(WORKSPACE, {"systemDatastoresAuthMode": "identity", "tags": OWNED}),
    made(DATASTORE, {"properties": {"credentials": {"credentialsType": "None"}}}),
    made(COMPUTE, {"properties": {"computeType": "ComputeInstance"}, "tags": OWNED}),
]


@pytest.mark.parametrize("resource", GOOD, ids=lambda each: each.type)
def test_what_is_built_as_it_should_be_passes(resource: Resource) -> None:
    assert violations([resource], {}) == []


@pytest.mark.parametrize("props", [{"tags": LATER}, {"allowSharedKeyAccess": LATER, "tags": LATER}])
def test_what_is_not_known_yet_is_nobodys_fault(props: dict[str, Any]) -> None:
    resource = made(STORAGE_ACCOUNT, {"allowSharedKeyAccess": False, **props})

    assert violations([resource], {}) == []


@pytest.mark.parametrize(
    ("verdict", "refused"),
    [("passed", False), (None, False), (LATER, False), ("skipped", False), ("failed", True), ("pending", True)],
)
def test_a_default_waits_for_a_job_that_passed_on_its_deployment(verdict: Any, refused: bool) -> None:
    resources = registered("lab", settings_of("lab", ROOT), ROOT)
    job = next(each for each in resources if each.type == SCORING_JOB)
    resources = [
        dataclasses.replace(each, props={**each.props, "verdict": verdict}) if each is job else each
        for each in resources
    ]

    found = violations(resources, {})

    assert [f"smoke job {job.name}" in each.message for each in found] == [True] * refused


def test_a_job_on_another_deployment_is_no_gate() -> None:
    resources = registered("lab", settings_of("lab", ROOT), ROOT)
    resources = [
        dataclasses.replace(each, props={**each.props, "deployment_name": "another"})
        if each.type == SCORING_JOB
        else each
        for each in resources
    ]

    assert [each.message.split(";")[0].split()[1:] for each in violations(resources, {})] == [
        ["becomes", "the", "default", "untested"]
    ]


def test_a_job_that_the_default_does_not_wait_for_is_no_gate() -> None:
    resources = [
        dataclasses.replace(each, dependencies=frozenset())
        for each in registered("lab", settings_of("lab", ROOT), ROOT)
    ]

    assert ["-smoke, which tests digits-" in each.message for each in violations(resources, {})] == [True]


def test_every_policy_and_setting_says_what_it_is() -> None:
    for rule in RULES:
        assert rule.description.endswith(".")
        assert all(each["description"].endswith(".") and "default" in each for each in rule.settings.values())


def test_tokens_lose_the_api_version_that_azure_native_may_put_into_them() -> None:
    assert token("azure-native:storage/v20230101:StorageAccount") == STORAGE_ACCOUNT
    assert token("pulumi-python:dynamic/azureml:BatchEndpoint") == "pulumi-python:dynamic/azureml:BatchEndpoint"


def test_the_page_of_policies_names_each_with_its_settings_and_defaults() -> None:
    page = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")

    for rule in RULES:
        line = next(line for line in page.splitlines() if line.startswith(f"| `{rule.name}` |"))
        for name, each in rule.settings.items():
            defaults = each["default"] if isinstance(each["default"], list) else [each["default"]]
            assert f"`{name}`" in line
            assert all(str(value) in line for value in defaults)
