"""What azure-native failed at is explained at the end of the run, by the table of errors."""

import json
from pathlib import Path

from stacks.native_errors import explained

VAULT = "urn:pulumi:dev::batch-scoring::azureml:index:BatchScoring$azure-native:keyvault:Vault::key-vault"
OWN = "urn:pulumi:dev::batch-scoring::azureml:index:BatchScoring$pulumi-python:dynamic/azureml:BatchEndpoint::e"
HELD = (
    'error: Status=409 Code="ConflictError" Message="A vault with the same name already exists in deleted state.\n'
    'You need to either recover or purge existing key vault."'
)


def events(folder: Path, *said: tuple[str, str]) -> Path:
    path = folder / "events.jsonl"
    lines = [json.dumps({"diagnosticEvent": {"urn": urn, "message": text}}) for urn, text in said]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_an_error_of_azure_native_is_explained_once(tmp_path: Path) -> None:
    path = events(tmp_path, (VAULT, HELD), (VAULT, HELD), ("", "update failed"))

    assert list(explained(path)) == [
        "key-vault: a deleted key vault holds this name; purge it by `az keyvault purge --name <name>`, or set another "
        "name (docs/errors.md#vault-soft-deleted)"
    ]


def test_our_own_errors_explain_themselves_and_what_nobody_knows_is_left_alone(tmp_path: Path) -> None:
    path = events(tmp_path, (OWN, HELD), (VAULT, 'Status=418 Code="Teapot" Message="short and stout"'))

    assert list(explained(path)) == []


def test_a_run_without_events_has_nothing_to_explain(tmp_path: Path) -> None:
    assert list(explained(tmp_path / "none.jsonl")) == []
