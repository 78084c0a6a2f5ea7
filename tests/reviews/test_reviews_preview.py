"""A digest of either engine becomes values; what is no digest is refused with a sentence."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from providers.blob import FileEntry
from reviews.content import compare
from reviews.markdown import code, table
from reviews.preview import ABSENT, CREATE, LATER, REPLACE, SECRET, NotAPreview, difference, read
from tests.reviews.recordings import ENGINES, previewed

URN = "urn:pulumi:lab::p::azureml:index:BatchScoring$pulumi-python:dynamic/azureml:BatchEndpoint::e"


def digest(*steps: dict[str, Any], **more: Any) -> str:
    return json.dumps({"steps": steps, **more})


@pytest.mark.parametrize("engine", ENGINES)
def test_components_and_providers_are_nothing_in_the_cloud(engine: str) -> None:
    kinds = {each.kind for each in previewed(engine, "first-up").changes}

    assert "BatchEndpoint" in kinds
    assert not any("pulumi:" in kind or "index" in kind for kind in kinds)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_not_known_before_up_is_a_word(engine: str) -> None:
    compute = previewed(engine, "first-up").of("azure-native:machinelearningservices:Compute")[0]

    assert compute.inputs["tags"]["pulumi-stack-owner"] is LATER


@pytest.mark.parametrize("engine", ENGINES)
def test_a_secret_is_a_word(engine: str) -> None:
    deployment = previewed(engine, "settings").of("BatchDeployment")[0]

    assert SECRET in (deployment.inputs["environment_variables"], *_values(deployment.inputs["environment_variables"]))


def _values(given: Any) -> list[Any]:
    return list(given.values()) if isinstance(given, dict) else []


def test_an_encrypted_value_is_a_secret_too() -> None:
    sealed = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    state = {"inputs": {"key": sealed}}

    assert read(digest({"op": "create", "urn": URN, "newState": state}), "lab").changes[0].inputs["key"] is SECRET


def test_lines_of_the_engine_before_the_document_are_passed_over() -> None:
    text = "engine: embedded\nlab: ready {in} .lab\n" + digest({"op": "create", "urn": URN}) + "\nerror: later words\n"

    assert read(text, "lab").changes[0].op == CREATE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON document"),
        ("error: there is no stacks/Pulumi.x.yaml", "no JSON document"),
        ('{"steps": [', "its JSON is broken"),
        ('{"version": 3}', "it has none of steps"),
    ],
)
def test_what_is_no_preview_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotAPreview, match=said):
        read(text, "lab")


def test_the_halves_of_a_replacement_are_one_change() -> None:
    steps = [{"op": op, "urn": URN} for op in ("create-replacement", "replace", "delete-replaced")]

    assert [each.op for each in read(digest(*steps), "lab").changes] == [REPLACE]
    assert [each.op for each in read(digest(steps[0]), "lab").changes] == [REPLACE]


def test_the_last_word_on_a_resource_counts_after_a_refresh() -> None:
    steps = [{"op": "refresh", "urn": URN}, {"op": "delete", "urn": URN + "2"}, {"op": "same", "urn": URN}]

    found = read(digest(*steps, {"op": "create", "urn": URN + "2"}), "lab").changes

    assert [(each.op, each.vanished) for each in found] == [("same", False), ("create", True)]


def test_an_error_is_told_once_and_without_what_only_says_that_there_was_one() -> None:
    said = [
        {"severity": "error", "message": "error: x must be y\n"},
        {"severity": "error", "message": "error: x must be y\n"},
        {"severity": "error", "message": "error: preview failed\n"},
    ]

    assert [each.text for each in read(digest(diagnostics=said), "lab").diagnostics] == ["x must be y"]
    assert [each.text for each in read(digest(diagnostics=said[2:]), "lab").diagnostics] == ["preview failed"]


def test_every_property_that_differs_is_named_by_its_path() -> None:
    old = {"a": {"b": 1, "c": [1]}, "gone": {"x": 1}, "same": 2}
    new = {"a": {"b": 2, "c": [1, 2]}, "came": {"y": True}, "same": 2, "later": LATER}

    assert [(each.path, each.old, each.new) for each in difference(old, new)] == [
        ("a.b", 1, 2),
        ("a.c", [1], [1, 2]),
        ("came.y", ABSENT, True),
        ("gone.x", 1, ABSENT),
        ("later", ABSENT, LATER),
    ]


def test_files_are_added_changed_removed_renamed_or_the_same() -> None:
    old = [FileEntry("a", 1, "1"), FileEntry("b", 2, "2"), FileEntry("c", 3, "3"), FileEntry("d", 0, "0")]
    new = [FileEntry("a", 1, "1"), FileEntry("b", 4, "4"), FileEntry("e", 3, "3"), FileEntry("f", 0, "0")]

    found = compare(old, new)

    assert found.changed == {"b": (2, 4)}
    assert found.renamed == {"c": "e"}
    assert (found.added, found.removed) == ({"f": 0}, {"d": 0})
    assert (found.unchanged, found.to_send) == (1, 4)


def test_two_files_of_one_content_are_renamed_once_each() -> None:
    found = compare([FileEntry("a", 1, "1"), FileEntry("b", 1, "1")], [FileEntry("c", 1, "1")])

    assert (found.renamed, found.removed) == ({"a": "c"}, {"b": 1})


@given(st.text(max_size=40))
def test_inline_code_holds_any_text_as_text(text: str) -> None:
    html = MarkdownIt("gfm-like", {"linkify": False}).render(table(("head",), [(code(text),)]))

    assert html.count("<td>") == html.count("<code>") == 1
    assert html.count("<tr>") == 2
