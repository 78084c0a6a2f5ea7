"""What a failed run says of resources that exist, and what is made of it."""

import json
from pathlib import Path

from stacks.existing import Existing, advice, import_options, refused, with_it

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/computes/cpu"
PARENT = "urn:pulumi:lab::p::azureml:index:BatchScoring::p"
PROVIDER = "urn:pulumi:lab::p::azureml:index:BatchScoring$pulumi:providers:azure-native::azure"
TYPE = "azure-native:machinelearningservices:Compute"
CPU = Existing(f"urn:pulumi:lab::p::azureml:index:BatchScoring${TYPE}::cpu", ID)
STATE = {
    "resources": [
        {"urn": PARENT, "type": "azureml:index:BatchScoring"},
        {"urn": PROVIDER, "type": "pulumi:providers:azure-native", "id": "1-2-3"},
    ],
    "pending_operations": [{"type": "creating", "resource": {"urn": CPU.urn}}],
}


def log(tmp_path: Path, *messages: str) -> Path:
    file = tmp_path / "events.jsonl"
    events = [{"diagnosticEvent": {"urn": CPU.urn, "message": each, "severity": "error"}} for each in messages]
    text = "\n".join(json.dumps(event) for event in [*events, {"summaryEvent": {}}])
    file.write_text(text + '\n{"diagnosticEv', encoding="utf-8")
    return file


def test_what_exists_is_read_from_the_events_once(tmp_path: Path) -> None:
    refusal = f"<{{%reset%}}>error: cannot create already existing resource '{ID}'<{{%reset%}}>\n"

    assert refused(log(tmp_path, refusal, refusal, "another error")) == [CPU]
    assert refused(tmp_path / "none") == []


def test_the_advice_is_one_line_with_the_exact_command() -> None:
    said = advice("lab", CPU)

    assert f"-m stacks take lab '{CPU.urn}' '{ID}'" in said
    assert "\n" not in said


def test_the_import_names_parent_and_provider() -> None:
    options = import_options(CPU, STATE)

    assert options[:3] == (TYPE, "cpu", ID)
    assert options[3:7] == ("--parent", f"parent={PARENT}", "--provider", f"azure={PROVIDER}")


def test_a_bare_entry_takes_the_place_of_the_pending_creation() -> None:
    made = with_it(CPU, STATE)

    assert made["resources"][-1]["provider"] == f"{PROVIDER}::1-2-3"
    assert made["resources"][-1]["parent"] == PARENT
    assert made["pending_operations"] == []
    assert with_it(CPU, made)["resources"] == made["resources"]
