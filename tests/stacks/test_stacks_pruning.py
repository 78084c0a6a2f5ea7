"""What nobody uses, out of what a stack has kept: its own, of whatever life, and never what anybody still needs."""

from typing import Any

from providers.arm.ids import folded
from providers.ownership import TAG
from stacks.pruning import unused, unused_uploads

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
MARKER = "batch-scoring/staging/"


def version(name: str, owner: str | None) -> dict[str, Any]:
    tags = {TAG: owner} if owner else {}
    return {"id": f"{WS}/codes/{name}/versions/1", "properties": {"tags": tags}}


def test_only_what_carries_the_stacks_marker_and_is_not_used_goes() -> None:
    versions = [
        version("this-life", f"{MARKER}2"),
        version("earlier-life", f"{MARKER}1"),
        version("used", f"{MARKER}1"),
        version("other-stack", "batch-scoring/staging2/1"),
        version("nobodys", None),
    ]

    gone = unused(versions, MARKER, {folded(f"{WS.upper()}/codes/used/versions/1")})

    assert [each["id"].split("/")[-3] for each in gone] == ["this-life", "earlier-life"]


def test_an_upload_goes_when_nothing_that_is_left_lies_in_it() -> None:
    base = f"{MARKER}digits-code"
    manifests = [f"{base}/manifests/aaa.json", f"{base}/manifests/bbb.json", f"{base}/manifests/ccc.json"]
    places = [
        f"https://store.blob.core.windows.net:443/container/{base}/aaa/code",
        f"azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/{base}/bbb",
    ]

    assert unused_uploads(manifests, places) == [f"{base}/ccc/"]


def test_what_is_no_manifest_is_no_upload() -> None:
    assert unused_uploads([f"{MARKER}jobs/1/predictions.csv", f"{MARKER}digits-code/aaa/code/score.py"], []) == []
