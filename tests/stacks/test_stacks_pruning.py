"""What nobody uses, out of what a stack has kept: its own, of whatever life, and never what anybody still needs."""

from typing import Any

from stacks import remains
from stacks.pruning import unused
from stacks.remains import PATH, Known, Thing

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
CONTAINER = "https://store.blob.core.windows.net:443/container"
MARKER = "batch-scoring/staging/"
PLACE = f"{MARKER}digits-code"


def version(name: str, owner: str, **more: Any) -> Thing:
    return Thing(id=f"{WS}/codes/{name}/versions/1", kind="code", marker=owner, **more)


def upload(digest: str, **more: Any) -> Thing:
    return Thing(id=f"{CONTAINER}/{PLACE}/{digest}", kind="upload", marker=PATH, **more)


def pruned(things: list[Thing], state: Known | None = None) -> list[str]:
    """Last parts of the ids of what goes, in the order of deletion; the stack keeps assets."""
    known = state or Known()
    going = unused(remains.left(things, known, keeps=True), known)
    return [each.id.removesuffix("/versions/1").rpartition("/")[2] for each in going]


def test_only_what_nobody_uses_and_no_state_has_goes() -> None:
    used = "/subscriptions/s/deployments/d"
    things = [
        version("this-life", f"{MARKER}2"),
        version("earlier-life", f"{MARKER}1"),
        version("used", f"{MARKER}1", used_by=(used,)),
        version("in-state", f"{MARKER}2"),
    ]
    state = Known(ids=frozenset({f"{WS}/codes/in-state/versions/1".lower()}), markers=(f"{MARKER}2",))

    assert sorted(pruned(things, state)) == ["earlier-life", "this-life"]


def test_what_is_no_asset_is_not_prunings_business() -> None:
    things = [
        Thing(id=f"{WS}/batchEndpoints/e", kind="endpoint", marker=f"{MARKER}1"),
        Thing(id=f"{WS}/computes/cpu", kind="compute", marker=f"{MARKER}1"),
        Thing(id=f"{CONTAINER}/{MARKER}smoke/e", kind="outputs", marker=PATH),
    ]

    assert pruned(things) == []


def test_an_upload_goes_when_nothing_that_is_left_lies_in_it() -> None:
    made = {
        f"{WS}/codes/used/versions/1": (f"{CONTAINER}/{PLACE}/aaa/code", f"{MARKER}1"),
        f"{WS}/codes/unused/versions/1": (f"azureml://datastores/d/paths/{PLACE}/bbb", f"{MARKER}1"),
        f"{WS}/codes/a-strangers/versions/1": (f"azureml://datastores/d/paths/{PLACE}/ddd", ""),
    }
    uploads = list(remains.assigned([upload("aaa"), upload("bbb"), upload("ccc"), upload("ddd")], made, {}))
    versions = [
        version("used", f"{MARKER}1", used_by=("/subscriptions/s/deployments/d",)),
        version("unused", f"{MARKER}1"),
    ]

    assert pruned([*versions, *uploads]) == ["unused", "bbb", "ccc"]
    in_state = Known(paths=frozenset({f"azureml://subscriptions/s/workspaces/w/datastores/d/paths/{PLACE}/ccc"}))
    assert pruned([*versions, *uploads], in_state) == ["unused", "bbb"]
