"""What each kind asks of ARM: merge, adopt, refuse, verify, delete. The lifecycle as a whole is in tests/lifecycle."""

from typing import Any

import httpx
import pytest

from providers import schema
from providers.arm.errors import ArmError, DeadlineExceeded
from providers.asset_version import CodeVersionKind, ModelVersionArgs, ModelVersionKind
from providers.batch_deployment import BatchDeploymentArgs, BatchDeploymentKind, coloured_name
from providers.batch_endpoint import BatchEndpointArgs, BatchEndpointKind
from providers.default_deployment import DefaultDeploymentKind
from providers.kind import Kind, Refusal, planned
from providers.ownership import TAG, OwnerKind
from providers.schema import LOCAL, REPLACE, UPDATE
from tests.providers.far_side import OWNER, SHARED, WORKSPACE, FarSide
from tests.providers.generated_inputs import KINDS

ENDPOINT = f"{WORKSPACE}/batchEndpoints/digits-1"
MODEL = f"{WORKSPACE}/models/digits/versions/1"
URI = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/p/s/model/abc/model"


IDS: dict[str, Any] = {
    "workspace_id": WORKSPACE,
    "endpoint_id": f"{WORKSPACE}/batchEndpoints/digits-1",
    "compute": f"{WORKSPACE}/computes/cpu",
    "code_configuration": {"code_id": f"{WORKSPACE}/codes/c/versions/1", "scoring_script": "score.py"},
    "model": {"asset_id": f"{WORKSPACE}/models/m/versions/1"},
    "environment_id": f"{WORKSPACE}/environments/e/versions/1",
    "uri": URI,
    "input_uri": URI,
    "output_uri": URI,
}


def checked(kind: Kind, **values: Any) -> dict[str, Any]:
    bag, failures = schema.check(kind.args, {**SHARED, **values})
    assert failures == []
    return bag


def endpoint(**values: Any) -> dict[str, Any]:
    given = {"workspace_id": WORKSPACE, "endpoint_name": "digits-1", "location": "eastus", "owner": OWNER}
    return checked(BatchEndpointKind(), **{**given, **values})


def deployment(**values: Any) -> dict[str, Any]:
    given = {"endpoint_id": ENDPOINT, "deployment_name": "blue", "location": "eastus", "owner": OWNER}
    return checked(BatchDeploymentKind(), **{**given, **values})


def model(**values: Any) -> dict[str, Any]:
    given = {"workspace_id": WORKSPACE, "asset_name": "digits", "version": "1", "uri": URI, "owner": OWNER}
    return checked(ModelVersionKind(), **{**given, **values})


def default(name: str) -> dict[str, Any]:
    return checked(DefaultDeploymentKind(), endpoint_id=ENDPOINT, deployment_name=name, owner=OWNER)


def live_endpoint(owner: str | None = OWNER, **properties: Any) -> dict[str, Any]:
    tags = {"policy": "theirs", **({TAG: owner} if owner else {})}
    return {"location": "eastus", "tags": tags, "properties": {"authMode": "AADToken", **properties}}


def test_a_new_endpoint_is_put_with_our_marker(far_side: FarSide) -> None:
    created = BatchEndpointKind().create(endpoint(tags={"team": "x"}))

    assert created.id == ENDPOINT
    assert far_side.puts()[0]["tags"] == {"team": "x", TAG: OWNER}
    assert far_side.puts()[0]["properties"]["authMode"] == "AADToken"


def test_an_endpoint_that_an_earlier_run_made_is_adopted(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, live_endpoint(scoringUri="https://x/jobs"))

    created = BatchEndpointKind().create(endpoint(description="new"))

    assert (created.outs or {})["scoring_uri"] is None
    assert far_side.puts()[0]["tags"]["policy"] == "theirs"


@pytest.mark.parametrize("kind", [BatchEndpointKind(), BatchDeploymentKind()])
def test_what_is_there_as_it_is_wanted_is_adopted_without_a_write(far_side: FarSide, kind: Kind) -> None:
    """An earlier run began it and was cut off: a second PUT would be another operation of minutes."""
    props = endpoint(description="d") if isinstance(kind, BatchEndpointKind) else deployment(description="d")
    first = kind.create(props)
    far_side.requests.clear()

    again = kind.create(props)

    assert far_side.puts() == []
    assert (again.id, again.outs) == (first.id, first.outs)


@pytest.mark.parametrize("owner", [None, "p/s/of-somebody-else"])
def test_a_strangers_endpoint_is_refused_with_the_setting_that_adopts_it(far_side: FarSide, owner: str | None) -> None:
    far_side.has(ENDPOINT, live_endpoint(owner))

    with pytest.raises(Refusal, match=r"nothing was changed\. .*`endpoint: \{adopt: true\}`"):
        BatchEndpointKind().create(endpoint())

    assert far_side.puts() == []


def test_a_strangers_endpoint_is_adopted_on_purpose(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, live_endpoint("p/s/of-somebody-else"))

    BatchEndpointKind().create(endpoint(adopt=True))

    assert far_side.puts()[0]["tags"][TAG] == OWNER


def test_an_update_keeps_the_default_and_other_peoples_tags(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, live_endpoint(defaults={"deploymentName": "blue"}, provisioningState="Succeeded"))
    olds, news = endpoint(tags={"a": "1", "b": "2"}), endpoint(tags={"a": "3"}, description="new")

    BatchEndpointKind().update(ENDPOINT, olds, news)

    sent = far_side.puts()[0]
    assert sent["properties"]["defaults"] == {"deploymentName": "blue"}
    assert sent["tags"] == {"policy": "theirs", "a": "3", TAG: OWNER}
    assert "provisioningState" not in sent["properties"]


def test_what_is_ours_alone_is_not_sent(far_side: FarSide) -> None:
    outs = {**endpoint(), "scoring_uri": "https://x/jobs"}

    result = BatchEndpointKind().update(ENDPOINT, outs, endpoint(deadline="PT1H"))

    assert far_side.requests == []
    assert result.outs == {**outs, "deadline": "PT1H"}


def test_a_strangers_deployment_is_neither_taken_nor_deleted(far_side: FarSide) -> None:
    id_ = f"{ENDPOINT}/deployments/blue"
    far_side.has(id_, {"tags": {}, "properties": {}})

    with pytest.raises(Refusal, match="carries no tag pulumi-stack-owner"):
        BatchDeploymentKind().create(deployment())
    with pytest.raises(Refusal, match="is not deleted"):
        BatchDeploymentKind().delete(id_, deployment())

    assert {method for method, _, _ in far_side.requests} == {"GET"}


@pytest.mark.parametrize("kind", [BatchEndpointKind(), BatchDeploymentKind(), ModelVersionKind()])
def test_what_is_gone_already_is_deleted(far_side: FarSide, kind: Kind) -> None:
    props = {"BatchEndpointKind": endpoint, "BatchDeploymentKind": deployment, "ModelVersionKind": model}

    kind.delete(ENDPOINT, props[type(kind).__name__]())

    assert "DELETE" not in {method for method, _, _ in far_side.requests}


@pytest.mark.parametrize("kind", [BatchEndpointKind(), BatchDeploymentKind(), ModelVersionKind()])
def test_what_is_gone_reads_as_gone(far_side: FarSide, kind: Kind) -> None:
    props = {"BatchEndpointKind": endpoint, "BatchDeploymentKind": deployment, "ModelVersionKind": model}

    read = kind.read(ENDPOINT, props[type(kind).__name__]())

    assert (read.id, read.outs) == ("", {})


def test_drift_shows_in_the_inputs_that_are_read(far_side: FarSide) -> None:
    kind = BatchDeploymentKind()
    kind.create(deployment(mini_batch_size=25))
    far_side.resources[f"{ENDPOINT}/deployments/blue".lower()]["properties"]["miniBatchSize"] = 7

    read = kind.read(f"{ENDPOINT}/deployments/blue", deployment(mini_batch_size=25))

    assert read.inputs is not None
    assert read.inputs["mini_batch_size"] == 7
    assert kind.diff("", read.outs or {}, deployment(mini_batch_size=25)).changes is True


def test_the_default_is_set_by_a_put_that_keeps_the_rest(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, live_endpoint(description="d", defaults={"deploymentName": None}))

    DefaultDeploymentKind().create(default("blue"))

    assert far_side.puts() == [
        {
            "location": "eastus",
            "tags": {"policy": "theirs", TAG: OWNER},
            "properties": {"authMode": "AADToken", "description": "d", "defaults": {"deploymentName": "blue"}},
        }
    ]


def test_a_default_that_is_set_already_is_not_written(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, live_endpoint(defaults={"deploymentName": "blue"}))

    DefaultDeploymentKind().create(default("blue"))

    assert far_side.puts() == []


def test_a_default_that_somebody_switched_is_left_alone_on_delete(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, live_endpoint(defaults={"deploymentName": "green"}))

    DefaultDeploymentKind().delete("", default("blue"))

    assert far_side.puts() == []


def test_a_model_that_is_there_with_the_same_content_is_adopted(far_side: FarSide) -> None:
    theirs = URI.replace("resourcegroups", "resourceGroups")
    far_side.has(MODEL, {"properties": {"modelUri": theirs, "tags": {TAG: OWNER}}})

    assert ModelVersionKind().create(model()).id == MODEL


def test_a_model_with_other_content_is_refused(far_side: FarSide) -> None:
    far_side.has(MODEL, {"properties": {"modelUri": f"{URI}-other", "tags": {TAG: OWNER}}})

    with pytest.raises(Refusal, match="registered already with other content"):
        ModelVersionKind().create(model())

    assert far_side.puts() == []


def test_code_is_named_by_its_https_url(far_side: FarSide) -> None:
    store = {"datastoreType": "AzureBlob", "accountName": "a", "endpoint": "core.windows.net", "containerName": "c"}
    far_side.has(f"{WORKSPACE}/datastores/d", {"properties": {**store, "protocol": "https"}})
    props = checked(CodeVersionKind(), workspace_id=WORKSPACE, asset_name="code", version="1", uri=URI, owner=OWNER)

    CodeVersionKind().create(props)

    where = far_side.puts()[0]["properties"]["codeUri"]
    assert where == "https://a.blob.core.windows.net/c/p/s/model/abc/model"


def test_a_replacement_deletes_the_old_one_first() -> None:
    asked = BatchEndpointKind().diff("", endpoint(), endpoint(location="westus"))

    assert (asked.changes, asked.replaces, asked.delete_before_replace) == (True, ["location"], True)


def test_other_content_has_another_name_and_settings_have_not() -> None:
    content = {"model": {"asset_id": MODEL}, "environment_id": "e", "mini_batch_size": 10}

    name = coloured_name("digits", content)

    assert name == coloured_name("digits", {**content, "mini_batch_size": 99, "description": "other"})
    assert name != coloured_name("digits", {**content, "environment_id": "f"})
    assert len(name) == len("digits-12345678")


def test_the_marker_is_random_and_stays() -> None:
    props = {**SHARED, "stack": "p/s"}

    one, other = OwnerKind().create(props), OwnerKind().create(props)
    kept = OwnerKind().update(one.id, one.outs or {}, {**props, "stack": "p/t"})

    assert one.id != other.id
    assert one.id.startswith("p/s/")
    assert (kept.outs or {})["marker"] == one.id


def test_a_workspace_that_is_not_there_ends_a_run_before_anything_is_made_or_deleted(far_side: FarSide) -> None:
    """All else waits for the marker: what another workspace replaces is deleted first."""
    props = {**SHARED, "stack": "p/s", "workspace_id": WORKSPACE}

    for refused in (
        lambda: OwnerKind().create(props),
        lambda: OwnerKind().update("marker", {**props, "workspace_id": f"{WORKSPACE}2", "marker": "marker"}, props),
    ):
        with pytest.raises(Refusal, match=r"there is no workspace .*/w; nothing was changed. Correct subscription_id"):
            refused()
    far_side.has(WORKSPACE, {"location": "eastus"})

    assert OwnerKind().create(props).id.startswith("p/s/")
    assert [method for method, _, _ in far_side.requests] == ["GET"] * 3


def test_a_marker_whose_workspace_did_not_change_looks_for_nothing(far_side: FarSide) -> None:
    props = {**SHARED, "stack": "p/s", "workspace_id": WORKSPACE, "marker": "marker"}

    OwnerKind().update("marker", props, {**props, "deadline": "PT7M"})

    assert far_side.requests == []


def test_versions_of_models_are_whole_numbers() -> None:
    _, failures = schema.check(ModelVersionArgs, model(version="1") | {"version": "v1"})

    assert [str(failure) for failure in failures] == ["version: must be a positive whole number, as text, got 'v1'"]


def test_a_user_assigned_identity_is_refused_for_endpoints() -> None:
    _, failures = schema.check(BatchEndpointArgs, endpoint() | {"identity": {"type": "UserAssigned"}})

    assert failures[0].property == "identity.type"
    assert "a job's identity is that of its compute" in failures[0].reason


def test_the_deployment_refuses_shorthand_ids() -> None:
    _, failures = schema.check(BatchDeploymentArgs, deployment() | {"environment_id": "azureml:env:3"})

    assert "shorthand of the az command line" in failures[0].reason


class Vanishing:
    """Says that a resource is being deleted, a few times, and then that it is gone."""

    def __init__(self, far_side: FarSide, path: str, times: int) -> None:
        self.far_side, self.path, self.left = far_side, path.lower(), times
        far_side.has(path, {"tags": {}, "properties": {"provisioningState": "Deleting"}})

    def __call__(self, method: str, path: str) -> None:
        if method == "GET" and path.lower() == self.path:
            self.left -= 1
            if self.left < 0:
                self.far_side.resources.pop(self.path, None)


@pytest.mark.parametrize(
    ("kind", "id_"), [(BatchEndpointKind(), ENDPOINT), (BatchDeploymentKind(), f"{ENDPOINT}/deployments/blue")]
)
def test_what_is_still_being_deleted_is_waited_for(far_side: FarSide, kind: Kind, id_: str) -> None:
    far_side.before = Vanishing(far_side, id_, times=4)

    kind.create(endpoint() if id_ == ENDPOINT else deployment())

    methods = [method for method, path, _ in far_side.requests if path == id_]
    assert methods[:6] == ["GET"] * 5 + ["PUT"]


@pytest.mark.parametrize("status", [400, 404])
def test_a_deployment_whose_parts_are_gone_names_them_and_what_to_do(far_side: FarSide, status: int) -> None:
    """As after a destroy that was cut short: the state has the cluster and the model, the workspace has not."""
    said = {"error": {"code": "UserError", "message": "validation errors"}}
    far_side.before = lambda method, _path: httpx.Response(status, json=said) if method == "PUT" else None
    far_side.has(ENDPOINT, {})
    far_side.has(f"{WORKSPACE}/environments/e/versions/1", {})
    model = {"reference_type": "Id", "asset_id": f"{WORKSPACE}/models/m/versions/1"}
    deployment = checked(
        BatchDeploymentKind(),
        endpoint_id=ENDPOINT,
        deployment_name="blue",
        location="eastus",
        owner=OWNER,
        compute=f"{WORKSPACE}/computes/cpu",
        environment_id=f"{WORKSPACE}/environments/e/versions/1",
        model=model,
    )

    with pytest.raises(Refusal, match="make refresh") as refused:
        BatchDeploymentKind().create(deployment)

    assert f"since {WORKSPACE}/computes/cpu and {WORKSPACE}/models/m/versions/1 are not there" in str(refused.value)
    assert "UserError: validation errors" in str(refused.value)
    far_side.has(f"{WORKSPACE}/computes/cpu", {})
    far_side.has(f"{WORKSPACE}/models/m/versions/1", {})
    with pytest.raises(ArmError, match="validation errors"):
        BatchDeploymentKind().create(deployment)


def test_waiting_for_a_deletion_has_a_deadline(far_side: FarSide) -> None:
    far_side.before = Vanishing(far_side, ENDPOINT, times=10**6)

    with pytest.raises(DeadlineExceeded, match="the DELETE was still running in Azure, last seen Deleting"):
        BatchEndpointKind().create(endpoint(deadline="30s"))

    assert far_side.puts() == []


def test_the_default_of_another_stacks_endpoint_is_refused(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, live_endpoint("p/other/fedcba", defaults={"deploymentName": "green"}))

    with pytest.raises(Refusal, match=r"belongs to p/other/fedcba .* not to p/s/.*two stacks do not write"):
        DefaultDeploymentKind().create(default("blue"))
    DefaultDeploymentKind().delete("", default("green"))

    assert far_side.puts() == []


def test_empty_tags_of_others_are_named_before_the_service_refuses_them(far_side: FarSide) -> None:
    live = live_endpoint()
    far_side.has(ENDPOINT, {**live, "tags": {**live["tags"], "costs": "", "team": None}})

    with pytest.raises(Refusal, match="tags costs, team have no value there"):
        BatchEndpointKind().create(endpoint(description="new"))

    assert far_side.puts() == []


BLUE = f"{ENDPOINT}/deployments/blue"


def bearing(kind: Kind, tags: dict[str, str]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Of a kind that bears a marker: its inputs, where it lies, and what the service has of it."""
    if isinstance(kind, BatchEndpointKind):
        return endpoint(description="new"), ENDPOINT, {"location": "eastus", "tags": tags, "properties": {}}
    if isinstance(kind, BatchDeploymentKind):
        return deployment(description="new"), BLUE, {"location": "eastus", "tags": tags, "properties": {}}
    return model(description="new"), MODEL, {"properties": {"modelUri": URI, "tags": tags}}


MARKED: tuple[Kind, ...] = (BatchEndpointKind(), BatchDeploymentKind(), ModelVersionKind())


@pytest.mark.parametrize("kind", MARKED)
def test_an_update_keeps_tags_that_a_policy_put_there_and_takes_out_ours(far_side: FarSide, kind: Kind) -> None:
    news, id_, body = bearing(kind, {TAG: OWNER, "policy": "theirs", "team": "x"})
    far_side.has(id_, body)

    kind.update(id_, news | {"description": "old", "tags": {"team": "x"}}, news)

    sent = far_side.puts()[0]
    assert (sent.get("tags") or sent["properties"]["tags"]) == {TAG: OWNER, "policy": "theirs"}
    assert sent["properties"]["description"] == "new"


@pytest.mark.parametrize("kind", MARKED)
def test_what_another_stack_took_over_is_not_written(far_side: FarSide, kind: Kind) -> None:
    news, id_, body = bearing(kind, {TAG: "p/other/fedcba"})
    far_side.has(id_, body)
    refreshed = kind.read(id_, news).outs or {}
    olds = refreshed | {"description": "old"}
    assert kind.diff(id_, refreshed, news).changes, "a refresh does not see it"

    with pytest.raises(Refusal, match="is not deleted"):
        kind.delete(id_, refreshed)
    with pytest.raises(
        Refusal, match=r"belongs to p/other/fedcba now.*not to p/s/.*Set `.*adopt: true.*to take it back"
    ):
        kind.update(id_, olds, news)
    assert far_side.puts() == []

    kind.update(id_, olds, news | {"adopt": True})
    sent = far_side.puts()[0]
    assert (sent.get("tags") or sent["properties"]["tags"])[TAG] == OWNER


@pytest.mark.parametrize("kind", MARKED)
def test_a_marker_that_somebody_removed_is_put_back(far_side: FarSide, kind: Kind) -> None:
    news, id_, body = bearing(kind, {"policy": "theirs"})
    far_side.has(id_, body)

    refreshed = kind.read(id_, news).outs or {}
    assert kind.diff(id_, refreshed, news).changes, "a refresh does not see it"
    with pytest.raises(Refusal, match="is not deleted"):
        kind.delete(id_, refreshed)
    kind.update(id_, refreshed, news)

    sent = far_side.puts()[0]
    assert (sent.get("tags") or sent["properties"]["tags"]) == {TAG: OWNER, "policy": "theirs"}


def test_a_model_of_the_same_content_that_a_stranger_made_is_adopted_on_purpose(far_side: FarSide) -> None:
    """As after a lost state: the marker is another one then, and nothing of the old stack's bears it."""
    there = {"modelUri": URI, "modelType": "custom_model", "stage": "Production", "isArchived": False}
    far_side.has(MODEL, {"properties": {**there, "tags": {TAG: "p/s/lost"}}})

    with pytest.raises(Refusal, match="set `adopt: true` on its deployment"):
        ModelVersionKind().create(model())
    ModelVersionKind().create(model(adopt=True))

    assert far_side.puts() == [{"properties": {**there, "tags": {TAG: OWNER}}}]


class Settling:
    """Says that an operation is under way, a few times, and then that it has ended."""

    def __init__(self, far_side: FarSide, path: str, times: int, end: str = "Succeeded") -> None:
        self.far_side, self.path, self.left, self.end = far_side, path, times, end
        self.say("Updating")

    def say(self, word: str) -> None:
        self.far_side.resources[self.path.lower()]["properties"]["provisioningState"] = word

    def __call__(self, method: str, path: str) -> None:
        if method == "GET" and path == self.path:
            self.left -= 1
            if self.left < 0:
                self.say(self.end)


@pytest.mark.parametrize("end", ["Succeeded", "Failed"])
@pytest.mark.parametrize("kind", [BatchEndpointKind(), BatchDeploymentKind()])
def test_an_update_waits_for_what_an_earlier_run_began(far_side: FarSide, kind: Kind, end: str) -> None:
    news, id_, body = bearing(kind, {TAG: OWNER})
    far_side.has(id_, body)
    far_side.before = Settling(far_side, id_, 3, end)

    kind.update(id_, news | {"description": "old"}, news)

    methods = [method for method, path, _ in far_side.requests if path == id_]
    assert methods[:4] == ["GET"] * 4
    assert "PUT" in methods[4:]


@pytest.mark.parametrize("kind", [BatchEndpointKind(), BatchDeploymentKind()])
def test_what_an_earlier_run_began_and_came_to_its_end_is_not_written_again(far_side: FarSide, kind: Kind) -> None:
    news, id_, _ = bearing(kind, {})
    kind.create(news)
    far_side.requests.clear()
    far_side.before = Settling(far_side, id_, 3)

    kind.update(id_, news | {"unfinished": "still-running"}, news)

    assert far_side.puts() == []


def in_another_case(value: Any) -> Any:
    """ARM ids down to the workspace, and those in uris, written as somebody else would."""
    if isinstance(value, dict):
        return {key: in_another_case(each) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    return value.replace(WORKSPACE, WORKSPACE.upper()).replace("resourcegroups/g", "resourceGroups/G")


def required(kind: Kind) -> dict[str, Any]:
    """Values for what a kind must have, and for all ids that it may have."""
    ids = {name: each for name, each in IDS.items() if name in schema.properties(kind.args)}
    texts = {name: "x" for name, each in schema.properties(kind.args).items() if each.required and name not in ids}
    counts = {"files": 1, "bytes": 1, "version": "1", "deployment_name": "blue", "endpoint_name": "digits-1"}
    given = {**texts, **{name: each for name, each in counts.items() if name in texts}, **ids}
    return {**given, "location": "East US"} if "location" in texts else given


LOCAL_VALUES: dict[str, Any] = {
    "adopt": True,
    "deadlines": {"create": "PT1M"},
    "drain": "PT1M",
    "jobs_uri": URI,
    "files": 3,
    "bytes": 3,
    "max_files": 3,
    "subjects": ["blue"],
    "on_rollback": "skip",
    "shared_key": True,
}
OUTPUTS_OF: dict[str, dict[str, Any]] = {
    "OwnerKind": {"marker": "m"},
    "BatchEndpointKind": {"scoring_uri": "https://x"},
    "ScoringJobKind": {"verdict": "passed", "passed": {}},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_what_state_alone_keeps_can_be_taken_out_again(far_side: FarSide, kind: Kind) -> None:
    """One that stayed in state would be a change of every preview from then on."""
    bare = checked(kind, **required(kind))
    local = [name for name, each in schema.properties(kind.args).items() if each.change == LOCAL and not each.required]
    given = {name: LOCAL_VALUES[name] for name in local if name in LOCAL_VALUES}
    state = {**checked(kind, **required(kind), **given), **OUTPUTS_OF.get(type(kind).__name__, {})}

    assert kind.diff("id", state, bare).changes is True
    outs = kind.update("id", state, bare).outs

    assert kind.diff("id", dict(outs or {}), bare).changes is False
    assert far_side.requests == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_ids_in_another_letter_case_are_no_change(kind: Kind) -> None:
    given = required(kind)
    ids = {name: each for name, each in IDS.items() if name in given}

    bag, other = checked(kind, **given), checked(kind, **in_another_case(given))

    assert (other != bag) is bool(ids)
    assert kind.diff("", bag, other).changes is False


def test_ids_in_another_letter_case_are_no_other_content() -> None:
    content = {"model": {"asset_id": MODEL}, "environment_id": f"{WORKSPACE}/environments/e/versions/1"}

    assert coloured_name("digits", content) == coloured_name("digits", in_another_case(content))
    assert coloured_name("digits", content) != coloured_name("digits", {"model": {"asset_id": f"{MODEL}0"}})


@pytest.mark.parametrize(
    ("changed", "unfinished", "why"),
    [
        ({}, "", ""),
        ({"tags": UPDATE, "description": UPDATE}, "", "in place: tags, description"),
        ({"deadline": LOCAL}, "", "in state alone, nothing is sent: deadline"),
        ({"location": REPLACE}, "", "location cannot change in place: the old one is deleted first"),
        ({}, "operation-failed", "its last write did not end well (operation-failed): written again"),
        ({"tags": UPDATE, "deadline": LOCAL}, "", "in place: tags; in state alone, nothing is sent: deadline"),
    ],
)
def test_a_planned_change_names_its_properties_and_why(changed: dict[str, str], unfinished: str, why: str) -> None:
    assert planned(changed, unfinished) == why
