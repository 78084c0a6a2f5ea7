"""Check, changes, request body and read-back of declared properties."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi import Input
from pulumi.output import Unknown

from providers import arm_body, checks, schema
from providers.batch_deployment import BatchDeploymentArgs, DeploymentSettings
from providers.schema import LOCAL, REPLACE, UPDATE, prop

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


def deployment(**values: Any) -> dict[str, Any]:
    given = {
        "endpoint_id": f"{WORKSPACE}/batchEndpoints/e",
        "deployment_name": "digits",
        "location": "eastus",
        "owner": "p/s/0123456789abcdef",
    }
    return {**given, **values}


def test_defaults_are_filled_and_numbers_are_whole_again() -> None:
    bag, failures = schema.check(BatchDeploymentArgs, deployment(mini_batch_size=25.0))

    assert failures == []
    assert bag["mini_batch_size"] == 25
    assert isinstance(bag["mini_batch_size"], int)
    assert bag["retry_settings"] == {"max_retries": 3, "timeout": "PT30S"}
    assert bag["output_action"] == "AppendRow"


@pytest.mark.parametrize(
    ("values", "path", "reason"),
    [
        ({"mini_batch_size": 0}, "mini_batch_size", "must be at least 1, got 0"),
        ({"mini_batch_size": 10.7}, "mini_batch_size", "must be a whole number, got 10.7"),
        ({"mini_batch_size": "25"}, "mini_batch_size", "must be a whole number, got '25'"),
        ({"mini_batch_size": True}, "mini_batch_size", "must be a whole number, got True"),
        ({"mini_batch_sise": 25}, "mini_batch_sise", "is not a setting; did you mean 'mini_batch_size'?"),
        ({"error_threshold": -2}, "error_threshold", "must be at least -1, got -2"),
        ({"logging_level": "loud"}, "logging_level", "must be one of Info, Warning, Debug, got 'loud'"),
        ({"retry_settings": {"max_retries": -1}}, "retry_settings.max_retries", "must be at least 0, got -1"),
        ({"retry_settings": {"timeout": "soon"}}, "retry_settings.timeout", "must be a duration such as PT30S or 30s"),
        ({"retry_settings": {"tries": 3}}, "retry_settings.tries", "is not a setting; did you mean 'max_retries'?"),
        ({"retry_settings": 3}, "retry_settings", "must be a mapping of names to values, got 3"),
        ({"tags": {"team": ""}}, "tags", "tag 'team' must have a value: the service refuses empty ones"),
        ({"tags": {"N": 3}}, "tags.N", "must be text (quote it in YAML), got 3"),
        ({"deployment_name": "9to5"}, "deployment_name", "must have 3 to 32 characters"),
        ({"endpoint_id": "e"}, "endpoint_id", "not a full ARM id: 'e'"),
        ({"compute": "cpu"}, "compute", "not a full ARM id: 'cpu'"),
        ({"environment_id": "azureml:env:1"}, "environment_id", "must be a full ARM id"),
        ({"location": None}, "location", "is required: Azure region."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_value_is_refused_by_its_full_path(values: dict[str, Any], path: str, reason: str) -> None:
    _, failures = schema.check(BatchDeploymentArgs, deployment(**values))

    assert [failure.property for failure in failures] == [path]
    assert failures[0].reason.startswith(reason) or reason in failures[0].reason


def test_all_failures_come_at_once() -> None:
    wrong = deployment(mini_batch_size=0, logging_level="loud", retry_settings={"max_retries": -1})

    _, failures = schema.check(BatchDeploymentArgs, wrong)

    assert [f.property for f in failures] == ["mini_batch_size", "logging_level", "retry_settings.max_retries"]


def test_unknown_values_pass_at_every_depth() -> None:
    unknown = Unknown()  # type: ignore[no-untyped-call]
    values = deployment(
        mini_batch_size=unknown, retry_settings={"timeout": unknown}, environment_variables={"A": unknown}
    )

    bag, failures = schema.check(BatchDeploymentArgs, values)

    assert failures == []
    assert bag["mini_batch_size"] is unknown
    assert bag["retry_settings"]["timeout"] is unknown


def test_canonical_values_do_not_change_again() -> None:
    values = deployment(
        logging_level="WARNING",
        output_action="summary_only",
        retry_settings={"timeout": "90s"},
        compute=f"{WORKSPACE}/computes/c",
    )

    once, _ = schema.check(BatchDeploymentArgs, values)
    twice, _ = schema.check(BatchDeploymentArgs, once)

    assert once == twice
    assert (once["logging_level"], once["output_action"], once["retry_settings"]["timeout"]) == (
        "Warning",
        "SummaryOnly",
        "PT1M30S",
    )


def test_the_body_has_the_wire_names_and_numbers() -> None:
    bag, _ = schema.check(BatchDeploymentArgs, deployment(mini_batch_size=25.0, tags={"team": "x"}))

    body = arm_body.upon(BatchDeploymentArgs, {}, {}, bag)[0]

    assert body["location"] == "eastus"
    assert body["tags"] == {"team": "x", "pulumi-stack-owner": "p/s/0123456789abcdef"}
    assert body["properties"]["miniBatchSize"] == 25
    assert body["properties"]["retrySettings"] == {"maxRetries": 3, "timeout": "PT30S"}
    assert bag["tags"] == {"team": "x"}, "the bag must stay as it was"


def test_reading_back_gives_what_was_sent_whatever_the_service_adds() -> None:
    bag, _ = schema.check(
        BatchDeploymentArgs,
        deployment(tags={"team": "x"}, compute=f"{WORKSPACE}/computes/c", environment_variables={"A": "1"}),
    )
    body = arm_body.upon(BatchDeploymentArgs, {}, {}, bag)[0]
    body["tags"]["policy"] = "added by somebody"
    body["properties"] |= {"loggingLevel": "info", "provisioningState": "Succeeded", "compute": bag["compute"].upper()}
    body["properties"]["resources"] = {"instanceCount": 1, "instanceType": None, "properties": None}

    live = arm_body.from_body(BatchDeploymentArgs, body, bag)

    assert schema.changes(BatchDeploymentArgs, live, bag) == {}


def test_drift_is_seen_on_what_is_owned_alone() -> None:
    bag, _ = schema.check(BatchDeploymentArgs, deployment(tags={"team": "x"}))
    body = arm_body.upon(BatchDeploymentArgs, {}, {}, bag)[0]
    body["properties"]["miniBatchSize"] = 99
    body["properties"]["description"] = "set by hand, and never ours"
    del body["tags"]["team"]

    live = arm_body.from_body(BatchDeploymentArgs, body, bag)

    assert schema.changes(BatchDeploymentArgs, live, bag) == {"mini_batch_size": UPDATE, "tags": UPDATE}


def test_numbers_from_state_are_no_change() -> None:
    bag, _ = schema.check(BatchDeploymentArgs, deployment())
    from_state = {**bag, "mini_batch_size": 10.0, "retry_settings": {"max_retries": 3.0, "timeout": "PT30S"}}

    assert schema.changes(BatchDeploymentArgs, from_state, bag) == {}


@dataclass(frozen=True, kw_only=True)
class Shelf:
    label: Input[str] = prop("A label.")
    books: Input[list[int]] | None = prop("Numbers.", default=None)
    room: Input[str] = prop("Where.", default="hall", change=REPLACE)
    note: Input[str] | None = prop("Ours alone.", default=None, change=LOCAL, wire=None)


def test_each_change_asks_for_what_was_declared() -> None:
    old = {"label": "a", "room": "hall", "note": "x"}

    asked = schema.changes(Shelf, old, {"label": "b", "room": "attic", "note": "y"})

    assert asked == {"label": UPDATE, "room": REPLACE, "note": LOCAL}


def test_a_member_of_a_list_is_refused_by_its_place() -> None:
    _, failures = schema.check(Shelf, {"label": "a", "books": [1, 2.5]})

    assert [str(failure) for failure in failures] == ["books[1]: must be a whole number, got 2.5"]


def test_an_unknown_value_counts_as_changed() -> None:
    assert schema.changes(Shelf, {"label": "a", "room": "hall"}, {"label": Unknown(), "room": "hall"}) == {  # type: ignore[no-untyped-call]
        "label": UPDATE
    }


def test_instances_and_bags_are_each_other() -> None:
    settings = schema.load(DeploymentSettings, {"retry_settings": {"timeout": "1m"}, "mini_batch_size": 5})

    bag = schema.bag_of(settings)

    assert settings.retry_settings.timeout == "PT1M"  # type: ignore[union-attr]
    assert schema.build(DeploymentSettings, bag) == settings


def test_a_request_changes_what_is_owned_and_keeps_the_rest() -> None:
    live: dict[str, Any] = {
        "tags": {"policy": "theirs", "team": "a", "old": "1"},
        "sku": {"name": "S"},
        "properties": {"description": "by hand", "properties": {"kept": "1"}, "miniBatchSize": 9},
    }
    olds = deployment(tags={"team": "a", "old": "1"}, properties={"kept": "1"}, mini_batch_size=9)
    news = deployment(tags={"team": "b"}, mini_batch_size=25)

    body, taken_out = arm_body.upon(BatchDeploymentArgs, live, olds, news)

    assert body["tags"] == {"policy": "theirs", "team": "b", "pulumi-stack-owner": news["owner"]}
    assert body["sku"] == {"name": "S"}
    assert body["properties"] == {"description": "by hand", "properties": {"kept": "1"}, "miniBatchSize": 25}
    assert taken_out, "a tag of ours was there that is no longer wanted"
    assert live["tags"]["old"] == "1", "what was read must stay as it was"


def test_a_property_that_is_no_longer_set_is_taken_out_with_its_members() -> None:
    live = {"properties": {"description": "ours", "environmentVariables": {"A": "1", "B": "by hand"}}}
    olds = deployment(description="ours", environment_variables={"A": "1"})

    body, taken_out = arm_body.upon(BatchDeploymentArgs, live, olds, deployment())

    assert body["properties"] == {"environmentVariables": {"B": "by hand"}}
    assert taken_out
    assert not arm_body.upon(BatchDeploymentArgs, {"properties": {}}, olds, deployment())[1]


def test_settings_that_belong_together_are_sent_as_a_whole() -> None:
    """The members of a model's reference depend on its type: none of the other type may be left over."""
    live = {"properties": {"model": {"referenceType": "DataPath", "datastoreId": "d", "path": "p"}}}
    news = deployment(model={"reference_type": "Id", "asset_id": "m"})

    body, _ = arm_body.upon(BatchDeploymentArgs, live, {}, news)

    assert body["properties"]["model"] == {"referenceType": "Id", "assetId": "m"}


def test_a_state_of_an_earlier_release_has_the_defaults_of_what_it_does_not_know() -> None:
    bag, _ = schema.check(BatchDeploymentArgs, deployment())
    earlier = {name: value for name, value in bag.items() if name not in ("mini_batch_size", "retry_settings")}

    assert schema.changes(BatchDeploymentArgs, schema.filled(BatchDeploymentArgs, earlier), bag) == {}
    other = bag | {"mini_batch_size": 7}
    assert schema.changes(BatchDeploymentArgs, schema.filled(BatchDeploymentArgs, earlier), other) == {
        "mini_batch_size": UPDATE
    }


@pytest.mark.parametrize("value", [7193, True, ["zebra"], {"zebra": "quartz"}, 71.93])
def test_a_refusal_does_not_quote_what_may_be_secret(value: Any) -> None:
    _, failures = schema.check(BatchDeploymentArgs, deployment(environment_variables={"PIN": value}))

    assert [each.property for each in failures] == ["environment_variables.PIN"]
    assert "must be text" in failures[0].reason
    assert not re.search("7193|zebra|quartz|71.93", failures[0].reason)


@pytest.mark.parametrize(
    ("given", "canonical"), [("East US", "eastus"), ("eastus", "eastus"), ("WESTEUROPE", "westeurope")]
)
def test_regions_have_one_form(given: str, canonical: str) -> None:
    assert checks.location(given) == canonical


@pytest.mark.parametrize("given", ["", "  ", "east-us", "https://x"])
def test_what_is_no_region_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must be the name of an Azure region"):
        checks.location(given)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.builds(Unknown),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*schema.properties(BatchDeploymentArgs), "surprise"])


@given(st.dictionaries(names, anything, max_size=6))
def test_check_never_fails_and_names_each_property(values: dict[str, Any]) -> None:
    bag, failures = schema.check(BatchDeploymentArgs, values)

    assert all(failure.property.split(".")[0].split("[")[0] in {*values, *_required()} for failure in failures)
    if not failures:
        again, none = schema.check(BatchDeploymentArgs, bag)
        assert none == []
        assert not {name: 1 for name in bag if not schema.is_unknown(bag[name]) and bag[name] != again[name]}


def _required() -> set[str]:
    return {name for name, each in schema.properties(BatchDeploymentArgs).items() if each.required}


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("30s", "PT30S"),
        ("PT30S", "PT30S"),
        ("pt1m30s", "PT1M30S"),
        ("90s", "PT1M30S"),
        ("2h", "PT2H"),
        ("P1D", "PT24H"),
        ("PT0S", "PT0S"),
        ("500ms", "PT0.5S"),
        ("1 m", "PT1M"),
    ],
)
def test_durations_have_one_form(given: str, canonical: str) -> None:
    assert checks.duration(given) == canonical


@pytest.mark.parametrize("given", ["", "P", "PT", "30", "30 days", "-5s", "PT5"])
def test_what_is_no_duration_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        checks.duration(given)


@pytest.mark.parametrize("name", ["abc", "digits-1a2b3c4d", "A1b", "a" * 32])
def test_names_that_the_service_takes(name: str) -> None:
    assert checks.endpoint_name(name) == name


@pytest.mark.parametrize("name", ["ab", "a" * 33, "1abc", "abc-", "a--b", "a_b", "a.b", "é-abc", "abc\n"])
def test_names_that_the_service_refuses(name: str) -> None:
    with pytest.raises(ValueError, match="3 to 32 characters"):
        checks.endpoint_name(name)
