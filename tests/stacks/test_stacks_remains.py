"""What is left of a stack, decided on values: what no state knows, what may be deleted, in which order, what stays."""

from typing import Any

import pytest

from stacks import remains
from stacks.remains import PATH, Known, Thing
from stacks.state import State

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
CONTAINER = "https://store.blob.core.windows.net/c"
OWN, OTHER = "batch-scoring/dev/0123456789abcdef", "batch-scoring/dev/fedcba9876543210"
ENDPOINT, DEPLOYMENT = f"{WS}/batchEndpoints/e", f"{WS}/batchEndpoints/e/deployments/d"
MODEL = f"{WS}/models/m/versions/1"
UPLOAD = f"{CONTAINER}/batch-scoring/dev/digits-model/abc"
INPUT = f"{CONTAINER}/batch-scoring/dev/smoke-input/def"
OUTPUTS = f"{CONTAINER}/batch-scoring/dev/smoke/e"


def thing(id_: str, kind: str, marker: str = OWN, **more: Any) -> Thing:
    return Thing(id=id_, kind=kind, marker=marker, **more)


def life(marker: str = OWN) -> list[Thing]:
    """All sorts of things of one life, in no order."""
    return [
        thing(UPLOAD, "upload", marker, content_of=MODEL),
        thing(MODEL, "model", marker, used_by=(DEPLOYMENT,)),
        thing(f"{WS}/computes/cpu", "compute", marker, used_by=(DEPLOYMENT,)),
        thing(DEPLOYMENT, "deployment", marker, within=ENDPOINT),
        thing(ENDPOINT, "endpoint", marker),
        thing(f"{WS}/jobs/j", "job", marker, within=ENDPOINT),
        thing(INPUT, "upload", PATH),
    ]


def uri(path: str) -> str:
    return f"azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/{path}"


def kinds(things: list[Thing]) -> list[str]:
    return [each.kind for each in things]


def test_what_a_state_knows_by_id_or_by_path_is_not_left() -> None:
    resources = [
        {
            "id": ENDPOINT.upper(),
            "type": "azureml:BatchEndpoint",
            "outputs": {"jobs_uri": uri("batch-scoring/dev/smoke/e")},
        },
        {"id": UPLOAD, "type": "azureml:BlobFolder", "outputs": {"uri": uri("batch-scoring/dev/digits-model/abc")}},
    ]
    known = remains.known(resources, [OWN], [])

    left = remains.left([*life(), thing(OUTPUTS, "outputs")], known)

    assert kinds(left) == ["model", "compute", "deployment", "upload"]
    assert left[-1].id == INPUT


def test_a_folder_whose_name_only_begins_alike_is_another_one() -> None:
    known = Known(paths=frozenset({uri("batch-scoring/dev/smoke/e")}))

    assert not known.has(thing(f"{OUTPUTS}-2", "outputs"))


def test_without_a_state_everything_is_left() -> None:
    assert remains.left(life(), Known()) == life()


def test_what_a_stack_keeps_for_others_is_left_when_nobody_uses_it() -> None:
    used, unused = thing(MODEL, "model", used_by=("another/deployment",)), thing(f"{MODEL}0", "model")
    uploads = [thing(UPLOAD, "upload", content_of=MODEL), thing(INPUT, "upload", content_of=f"{MODEL}0")]

    left = remains.left([used, unused, *uploads], Known(), keeps=True)

    assert left == [unused, uploads[1]]
    assert remains.next_command(OWN, left, Known(), "dev", keeps=True).endswith("stacks prune dev")


def test_what_was_kept_earlier_is_not_a_destroys_to_tell() -> None:
    assert kinds(remains.without_assets(life())) == ["compute", "deployment", "endpoint", "job", "upload"]


def test_what_a_destroy_kept_on_purpose_is_not_left() -> None:
    known = remains.known([{"id": MODEL, "type": "azureml:ModelVersion", "retainOnDelete": True}], [OWN], [])

    assert remains.left([thing(MODEL, "model"), thing(UPLOAD, "upload", content_of=MODEL)], known) == []


def test_an_asset_of_the_own_marker_that_the_living_stack_uses_is_not_left() -> None:
    known = Known(ids=frozenset({DEPLOYMENT.lower()}), markers=(OWN,))

    assert remains.left([thing(MODEL, "model", used_by=(DEPLOYMENT,))], known) == []


def test_parts_go_with_the_whole_and_what_is_needed_goes_last() -> None:
    going, stay = remains.deletable(life(), Known(markers=(OWN,)), [])

    assert kinds(going) == ["job", "endpoint", "model", "compute", "upload", "upload"]
    assert stay == {}


def test_another_life_goes_only_when_it_is_named_and_unmarked_blobs_wait_for_it() -> None:
    going, stay = remains.deletable(life(OTHER), Known(), [])
    named, _ = remains.deletable(life(OTHER), Known(), [OTHER])

    assert going == []
    assert stay == {INPUT: f"it may belong to {OTHER}, which is not to be deleted"}
    assert len(named) == len(life()) - 1
    assert remains.next_command(PATH, life(OTHER), Known(), "dev").endswith(f"--delete --marker {OTHER}")


def test_what_somebody_else_uses_stays_with_its_content() -> None:
    things = [thing(MODEL, "model", used_by=("their/deployment",)), thing(UPLOAD, "upload", content_of=MODEL)]

    going, stay = remains.deletable(things, Known(markers=(OWN,)), [])

    assert going == []
    assert stay == {MODEL: "their/deployment uses it", UPLOAD: f"{MODEL} is made of it, and stays"}


def test_what_stands_in_the_way_is_told_where_nothing_else_can_go() -> None:
    things = [thing(MODEL, "model", used_by=("their/deployment",)), thing(UPLOAD, "upload", content_of=MODEL)]

    assert remains.in_the_way(OWN, things) == ["their/deployment"]
    assert remains.in_the_way(OWN, [*things, thing(ENDPOINT, "endpoint")]) == []
    assert remains.in_the_way(OWN, life()) == []


def test_a_workspace_goes_before_what_it_stands_on_and_the_group_last() -> None:
    kind = ("resource group", "Microsoft.Storage/storageAccounts", "Microsoft.MachineLearningServices/workspaces")
    things = [thing(f"/{each}", each) for each in (*kind, "deleted key vault", "role assignment", "compute")]

    going, _ = remains.deletable(things, Known(markers=(OWN,)), [])

    assert kinds(going) == ["compute", "role assignment", kind[2], kind[1], "deleted key vault", "resource group"]


@pytest.mark.parametrize(
    ("place", "marker"),
    [
        (uri("batch-scoring/dev/digits-model/abc/model"), OWN),
        (f"{CONTAINER}/batch-scoring/dev/digits-model/abc", OWN),
        (uri("batch-scoring/dev/digits-model/abcd/model"), PATH),
    ],
    ids=["a datastore uri", "a url", "other content"],
)
def test_an_upload_has_the_marker_of_what_is_made_of_it(place: str, marker: str) -> None:
    (found,) = remains.assigned([thing(UPLOAD, "upload", PATH)], {MODEL: (place, OWN)}, {})

    assert (found.marker, found.content_of) == (marker, MODEL if marker == OWN else "")


def test_content_that_somebody_else_has_registered_stays_and_says_for_whom() -> None:
    stranger, place = f"{WS}/models/theirs/versions/1", f"{CONTAINER}/batch-scoring/dev/digits-model/abc/model"
    made = {MODEL: (place, OWN), stranger: (place, "")}
    (found,) = remains.assigned([thing(UPLOAD, "upload", PATH)], made, {})

    going, stays = remains.deletable([thing(MODEL, "model"), found], Known(markers=(OWN,)), [])

    assert (found.marker, found.content_of) == (OWN, MODEL)
    assert kinds(going) == ["model"]
    assert stays == {UPLOAD: f"{stranger} uses it"}


def test_outputs_have_the_marker_of_their_endpoint() -> None:
    found = remains.assigned([thing(OUTPUTS, "outputs", PATH)], {}, {"e": OTHER})

    assert [each.marker for each in found] == [OTHER]


def test_a_creation_that_was_cut_off_tells_marker_and_urn_after_the_owner_is_gone() -> None:
    urn = "urn:pulumi:dev::batch-scoring::azure-native:machinelearningservices:Compute::cpu"
    compute = {"urn": urn, "type": "azure-native:machinelearningservices:Compute"}
    compute |= {"inputs": {"tags": {"pulumi-stack-owner": OWN}}}  # type: ignore[dict-item]
    state = State({"resources": [], "pending_operations": [{"type": "creating", "resource": compute}]})

    known = remains.known(state.resources, state.markers, state.cut_off)

    assert state.markers == [OWN]
    assert f"take dev '{urn}' '{WS}/computes/cpu'" in remains.taking(
        thing(f"{WS}/computes/cpu", "compute"), known, "dev"
    )
    assert remains.taking(thing(MODEL, "model"), known, "dev") == ""
