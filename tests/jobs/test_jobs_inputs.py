"""What an input on the command line means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.emulator.in_process_lab import WS
from tests.jobs.desk import CONTAINER, STORE, Desk

SHORT = "azureml://datastores/workspaceblobstore/paths"


def scored(desk: Desk, words: str, *more: str) -> tuple[str, str]:
    """Type and uri that the job reads."""
    ran = desk.run(f"submit {words}", *more)
    assert ran.code == 0, ran
    given = desk.jobs[0]["echo"]["inputData"]["input"]
    return str(given["jobInputType"]), str(given["uri"])


def refused(desk: Desk, words: str, *more: str) -> str:
    ran = desk.run(f"submit {words}", *more)
    assert ran.code == 3
    assert desk.jobs == []
    return ran.err


def test_a_local_file_keeps_its_name(desk: Desk) -> None:
    desk.file("some data/übung 1.csv", b"1")

    kind, uri = scored(desk, "'some data/übung 1.csv'")

    assert kind == "UriFile"
    assert uri.startswith(f"{STORE}/jobs/ept-1/inputs/") and uri.endswith("/übung 1.csv")
    assert desk.blobs.blobs[f"{CONTAINER}/{uri.partition('/paths/')[2]}"].content == b"1"


def test_a_local_folder_goes_without_what_its_ignore_file_leaves_out(desk: Desk) -> None:
    for name in ("in/a.png", "in/deep/b.png", "in/c.tmp"):
        desk.file(name)
    desk.file("in/.amlignore", "*.tmp\n")

    ran = desk.run("submit in")

    assert ran.out.splitlines()[0] == "input  in: 2 files, 2 bytes"


def test_the_same_content_is_not_sent_again(desk: Desk) -> None:
    desk.file("in/a.png", b"12345")
    first = scored(desk, "in")
    (desk.folder / "in").rename(desk.folder / "elsewhere")

    ran = desk.run("submit elsewhere")

    assert ran.out.splitlines()[1].startswith("it is there already: azureml://")
    assert desk.jobs[0]["echo"]["inputData"]["input"]["uri"] == first[1]


@pytest.mark.parametrize(
    ("given", "kind"),
    [("in/a.png", "UriFile"), ("in", "UriFolder"), ("in/", "UriFolder")],
)
@pytest.mark.parametrize(
    "form", [SHORT, STORE, STORE.replace("/workspaces", "/providers/Microsoft.MachineLearningServices/workspaces")]
)
def test_a_datastore_path_is_looked_at(desk: Desk, given: str, kind: str, form: str) -> None:
    desk.put("in/a.png")

    assert scored(desk, f"{form}/{given}") == (kind, f"{STORE}/{given}")


def test_a_datastore_path_that_may_not_be_looked_at_is_left_to_the_service(desk: Desk) -> None:
    """The compute's identity may read what the caller's may not."""
    from tests.blob.blob_service import refusal

    desk.blobs.fault = lambda what, name: (
        refusal(403, "AuthorizationPermissionMismatch") if what == "list" and name == "other" else None
    )
    store = {"datastoreType": "AzureBlob", "accountName": "labstore", "containerName": "other"}
    desk.lab.arm("PUT", "datastores/other", {"properties": {**store, "credentials": {"credentialsType": "None"}}})

    ran = desk.run("submit azureml://datastores/other/paths/in/data.csv")

    assert ran.code == 0, ran
    assert "(a file)" in ran.out


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://labstore.blob.core.windows.net/c/in", "UriFolder"),
        ("https://labstore.blob.core.windows.net/c/in/a.csv?sv=1&sig=c2VjcmV0", "UriFile"),
    ],
)
def test_an_https_url_is_handed_on_and_its_signature_not_told(desk: Desk, url: str, kind: str) -> None:
    ran = desk.run("submit", url)

    given = desk.jobs[0]["echo"]["inputData"]["input"]
    assert (given["jobInputType"], given["uri"]) == (kind, url)
    assert "c2VjcmV0" not in ran.out.splitlines()[0]


def test_what_a_url_is_can_be_said(desk: Desk) -> None:
    assert scored(desk, "https://labstore.blob.core.windows.net/c/in.d --input-type folder")[0] == "UriFolder"


@pytest.fixture
def asset(desk: Desk) -> Desk:
    for version, kind in (("1", "uri_folder"), ("2", "uri_file"), ("3", "mltable")):
        uri = f"{STORE}/in/{version}"
        desk.lab.arm("PUT", f"data/images/versions/{version}", {"properties": {"dataType": kind, "dataUri": uri}})
        desk.lab.advance(1)
    return desk


@pytest.mark.parametrize("given", ["images:1", "azureml:images:1", f"{WS}/data/images/versions/1"])
def test_a_data_asset_goes_by_its_id_and_its_own_type(asset: Desk, given: str) -> None:
    assert scored(asset, given) == ("UriFolder", f"{WS}/data/images/versions/1")
    assert scored(asset, "images:2")[0] == "UriFile"


def test_the_label_latest_is_the_version_that_was_made_last(asset: Desk) -> None:
    asset.lab.arm("PUT", "data/images/versions/0", {"properties": {"dataType": "uri_folder", "dataUri": f"{STORE}/x"}})

    assert scored(asset, "azureml:images@latest")[1] == f"{WS}/data/images/versions/0"


def test_a_local_path_that_looks_like_an_asset_is_local(asset: Desk) -> None:
    asset.file("images:1", b"12345")

    assert scored(asset, "images:1")[0] == "UriFile"
    assert scored(asset, "azureml:images:1")[1] == f"{WS}/data/images/versions/1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("images:7", "data asset images:7 does not exist in lab; it has 3, 2, 1"),
        ("image:1", "data asset image:1 does not exist in lab; there are images"),
        ("other@latest", "data asset other does not exist in lab; there are images"),
        ("images@stable", "workspaces know the label `latest` of data and no other; name a version: it has 3, 2, 1"),
        ("images:3", "data asset images:3 is mltable; batch endpoints read uri_folder and uri_file"),
        (f"{WS}/models/m/versions/1", "not the id of a version of a data asset"),
        (f"{WS.replace('/lab', '/other')}/data/images/versions/1", "lies in another workspace than the endpoint"),
    ],
)
def test_an_asset_that_is_none_says_what_there_is(asset: Desk, given: str, said: str) -> None:
    assert said in refused(asset, given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere", "nowhere: no such folder or file"),
        ("empty", "no file to upload"),
        ("http://example.org/a.csv", "only https is read"),
        ("https://example.org", "names no file or folder"),
        ("azureml:x", "no input that is known here"),
        (f"{SHORT}/nothing/here", f"nothing lies at {STORE}/nothing/here"),
        ("azureml://datastores/nope/paths/x", "/datastores/nope does not exist"),
        ("azureml://subscriptions/odd", "must be azureml://subscriptions/<id>/"),
        ("a.csv --input-type folder", "a.csv is a file, and --input-type says otherwise"),
    ],
)
def test_an_input_that_is_not_there_is_one_message(desk: Desk, given: str, said: str) -> None:
    (desk.folder / "empty").mkdir()
    desk.file("a.csv")

    err = refused(desk, given)

    assert said in err
    assert len(err.strip().splitlines()) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(desk: Desk) -> None:
    Path(desk.file("in/secret.png")).chmod(0)

    assert "secret.png" in refused(desk, "in")


def test_an_input_can_be_registered_and_the_same_content_is_the_same_version(desk: Desk) -> None:
    desk.file("in/a.png", b"12345")

    first, again = scored(desk, "in --register pictures"), scored(desk, "in --register pictures")
    desk.file("in/b.png", b"6")
    other = scored(desk, "in --register pictures")

    assert first[0] == "UriFolder"
    assert first[1].startswith(f"{WS}/data/pictures/versions/")
    assert first == again != other


def test_a_version_that_has_something_else_is_refused(asset: Desk) -> None:
    asset.file("in/a.png")

    assert "is registered already, with" in refused(asset, "in --register images:1")
