"""Which endpoint of a stack a command is about."""

import pytest

from jobs.__main__ import _without_stack
from jobs.command import parse
from jobs.target import of_stack
from providers.aml.refusal import Refusal
from stacks.outputs import endpoints
from stacks.summary import summary

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


def told(name: str) -> dict[str, object]:
    return {"endpoint_name": name, "endpoint_id": f"{WS}/batchEndpoints/{name}", "default_deployment": "blue-1"}


ONE = endpoints(told("scores-1"))
TWO = endpoints({**told("scores-1"), "endpoints": {"scores": told("scores-1"), "nightly": told("nightly-1")}})


def test_the_only_endpoint_need_not_be_named() -> None:
    assert of_stack("lab", ONE, None) == ("scores-1", f"{WS}/batchEndpoints/scores-1")
    assert of_stack("lab", ONE, "scores-1")[1] == f"{WS}/batchEndpoints/scores-1"


@pytest.mark.parametrize("chosen", ["nightly", "nightly-1", "Nightly-1", f"{WS}/batchEndpoints/nightly-1"])
def test_one_of_several_is_chosen_by_its_name_in_the_stack_file_or_in_azure(chosen: str) -> None:
    assert of_stack("lab", TWO, chosen) == ("nightly", f"{WS}/batchEndpoints/nightly-1")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (None, "stack lab has 2 endpoints: choose one by --endpoint NAME: scores, nightly"),
        ("daily", "stack lab has no endpoint 'daily'; it has scores, nightly"),
    ],
)
def test_who_does_not_say_which_is_told_their_names(chosen: str | None, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        of_stack("lab", TWO, chosen)


def test_inside_its_cloud_the_command_names_the_endpoint_alone() -> None:
    typed = ["list", "--stack", "lab", "--endpoint=nightly", "--limit", "3", "--datastore", "d", "--json"]

    assert _without_stack(typed) == ["list", "--limit", "3", "--json"]


def test_an_option_that_is_cut_short_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It would not be recognised as one of those that are other ones inside the stack's cloud."""
    with pytest.raises(SystemExit) as ended:
        parse(["list", "--stac", "lab"])

    assert ended.value.code == 3
    assert "--stac" in capsys.readouterr().err


def test_a_summary_tells_of_every_endpoint() -> None:
    said = summary({**told("scores-1"), "endpoints": dict(TWO)}).splitlines()

    assert [line.split()[-1] for line in said if line.startswith("endpoint")] == ["scores-1", "nightly-1"]
    assert summary(told("scores-1")).splitlines()[0].split() == ["endpoint", "scores-1"]
