"""A stack of one endpoint says it in a short form; several have names. Behind that there is one form, and what is wrong
in either is said by its full path."""

import asyncio
import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from providers.schema import InvalidSettings
from stacks import normal_form
from stacks.checking import check
from stacks.json_schema import json_schema
from stacks.settings import Settings, from_config, gather
from stacks.stack_file import configuration, document, stack_files

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "batch-scoring"
CPU = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/computes/theirs"


def short() -> dict[str, Any]:
    """The lab's stack file, by the names of its settings."""
    return {key.partition(":")[2]: each for key, each in document(stack_files()["lab"])["config"].items()}


def long() -> dict[str, Any]:
    """The same, with names for its compute and its endpoint."""
    given = short()
    given["computes"] = {"cpu": {key: each for key, each in given.pop("compute").items() if key != "name"}}
    alone = {name: given.pop(name) for name in ("endpoint", "deployments", "default", "smoke_job")}
    return {**given, "endpoints": {PROJECT: alone}}


def several() -> dict[str, Any]:
    """Two endpoints on two clusters."""
    given = long()
    given["computes"]["spare"] = {"vm_priority": "LowPriority"}
    for name, compute in ((PROJECT, "cpu"), ("nightly", "spare")):
        given["endpoints"][name] = copy.deepcopy(given["endpoints"][PROJECT])
        given["endpoints"][name]["deployments"]["digits"]["compute"] = compute
    return given


def text_of(given: dict[str, Any]) -> dict[str, str]:
    return configuration({"config": {f"{PROJECT}:{name}": each for name, each in given.items()}})


def settings(given: dict[str, Any]) -> Settings:
    return from_config(PROJECT, text_of(given))


def failures(given: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidSettings) as refused:
        settings(given)
    return [str(failure) for failure in refused.value.failures]


def changed(given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """`endpoints__nightly__default="x"` reaches inside; None takes away."""
    for path, value in changes.items():
        *parents, last = path.replace("__project", f"__{PROJECT}").split("__")
        target = given
        for each in parents:
            target = target.setdefault(each, {})
        if value is None:
            del target[last]
        else:
            target[last] = value
    return given


def test_the_short_form_is_the_long_one_with_the_projects_name() -> None:
    one, other = settings(short()), settings(long())

    assert normal_form.normal_form(one, PROJECT) == normal_form.normal_form(other, PROJECT)


def test_every_stack_file_has_a_normal_form_of_one_endpoint() -> None:
    for stack, path in stack_files().items():
        found = normal_form.normal_form(from_config(PROJECT, configuration(document(path))), PROJECT)

        assert list(found.endpoints) == [PROJECT], stack
        assert len(found.computes) == 1, stack


def test_a_cluster_has_the_name_of_its_settings_unless_it_says_another() -> None:
    given = {**several(), "computes": {"cpu": {}, "spare": {"name": "spare-1"}, "theirs": {"id": CPU}}}

    found = normal_form.computes(settings(given))

    assert {key: (each.name, each.id) for key, each in found.items()} == {
        "cpu": ("cpu", None),
        "spare": ("spare-1", None),
        "theirs": (None, CPU),
    }


def test_several_computes_go_with_one_endpoint() -> None:
    given = {name: each for name, each in short().items() if name != "compute"} | {"computes": several()["computes"]}

    found = normal_form.normal_form(settings(changed(given, deployments__digits__compute="spare")), PROJECT)

    assert (list(found.endpoints), list(found.computes)) == ([PROJECT], ["cpu", "spare"])


def test_several_endpoints_go_with_one_compute_that_they_need_not_name() -> None:
    given = {name: each for name, each in several().items() if name != "computes"} | {"compute": {"name": "only"}}
    for each in given["endpoints"].values():
        del each["deployments"]["digits"]["compute"]

    found = normal_form.normal_form(settings(given), PROJECT)

    assert (list(found.endpoints), list(found.computes)) == ([PROJECT, "nightly"], ["only"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"compute": {"name": "big"}},
            ["compute: is one compute, and there are `computes`: move it there, to a name of its own"],
        ),
        (
            {"default": "digits", "deployments": {"digits": {"model": "m"}}},
            [
                "deployments: is one endpoint's, and there are `endpoints`: move it to "
                "endpoints.batch-scoring.deployments, where it changes nothing",
                "default: is one endpoint's, and there are `endpoints`: move it to endpoints.batch-scoring.default, "
                "where it changes nothing",
            ],
        ),
        (
            {"endpoints__nightly__deployments__digits__compute": "gpu"},
            [
                "endpoints.nightly.deployments.digits.compute: must be one of the stack's (cpu, spare) or an ARM id, "
                "got 'gpu'"
            ],
        ),
        (
            {"endpoints__nightly__deployments__digits__compute": None},
            ["endpoints.nightly.deployments.digits.compute: is required: the stack has several (cpu, spare)"],
        ),
        (
            {"endpoints__nightly__deployments__digits__compute": "no/cluster"},
            [
                "endpoints.nightly.deployments.digits.compute: must have 2 to 24 letters, digits and dashes, a letter "
                "first, no dash last, got 'no/cluster'"
            ],
        ),
        (
            {"endpoints__nightly__default": "numbers"},
            ["endpoints.nightly.default: must name one of the deployments (digits), got 'numbers'"],
        ),
        (
            {"endpoints__nightly__default": None},
            ["endpoints.nightly.smoke_job: gates the default deployment, so `default` must be set"],
        ),
        (
            {"endpoints__nightly__endpoint": {"name": "same"}, "endpoints__project__endpoint": {"name": "Same"}},
            ["endpoints.nightly: is the endpoint same, as endpoints.batch-scoring is: give one of them another name"],
        ),
        (
            {
                "endpoints__nightly__endpoint": {"name": "all-in"},
                "endpoints__project__endpoint": {"name": "all"},
                "endpoints__project__deployments__in-digits": {
                    "model": CPU.replace("computes", "models") + "/versions/1"
                },
                "endpoints__project__deployments__in-digits__compute": "cpu",
            },
            [
                "endpoints.nightly.deployments.digits: cannot be told from "
                "endpoints.batch-scoring.deployments.in-digits: endpoint and deployment give one name together"
            ],
        ),
        (
            {"endpoints__a_b": {"deployments": {"one": {"model": "m", "compute": "cpu"}}}},
            [
                "endpoints.a_b: its name must have 3 to 32 characters: a letter first, then letters, digits and single "
                "dashes, no dash last, got 'a_b'"
            ],
        ),
        (
            {"endpoints__a-name-of-twenty-four-ch": {"deployments": {"one": {"model": "m", "compute": "cpu"}}}},
            ["endpoints.a-name-of-twenty-four-ch: its name must have at most 23 characters (its hash follows)"],
        ),
        (
            {"endpoints__nightly": {"default": "digits"}},
            ["endpoints.nightly.deployments: is required: Deployments by name."],
        ),
        ({"endpoints": {}}, ["endpoints: must not be empty, got {}"]),
        ({"computes": {}}, ["computes: must not be empty, got {}"]),
        (
            {"computes__spare__name": "CPU"},
            ["computes.spare: is the cluster CPU, as computes.cpu is: give one of them another `name`"],
        ),
        (
            {"computes__spare__min_node_count": 9},
            ["computes.spare.min_node_count: must not be above `max_node_count`"],
        ),
        (
            {"computes__spare__identity_type": "UserAssigned"},
            [
                "computes.spare.user_assigned_identities: goes with an `identity_type` of UserAssigned or "
                "SystemAssigned,UserAssigned: set both or neither"
            ],
        ),
        (
            {"endpoints__nightly__deployments__digits__model": "azureml:digits:3"},
            [
                "endpoints.nightly.deployments.digits.model: must be a full ARM id: azureml:<name>:<version> is "
                "shorthand of the az command line alone, got 'azureml:digits:3'"
            ],
        ),
        (
            {"endpoints__nightly__deployments__digits__model": "azureml://registries/r/models/digits"},
            [
                "endpoints.nightly.deployments.digits.model: must be like "
                "azureml://registries/<registry>/models/<name>/versions/<version>, got "
                "'azureml://registries/r/models/digits'"
            ],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_what_is_wrong_among_several_is_named_by_its_full_path(changes: dict[str, Any], expected: list[str]) -> None:
    assert failures(changed(several(), **changes)) == expected


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ("compute", "compute: is required: what jobs run on; or `computes`, where there are several"),
        ("deployments", "deployments: is required: deployments by name; or `endpoints` with theirs"),
    ],
)
def test_one_of_both_forms_is_required(taken: str, expected: str) -> None:
    given = {key: each for key, each in short().items() if key not in (taken, "default", "smoke_job")}

    assert expected in failures(given)


def test_a_missing_folder_of_one_endpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    given = changed(
        several(),
        endpoints__nightly__deployments__digits__model="examples/none",
        endpoints__nightly__deployments__digits__environment__conda_file="examples/none.yml",
        endpoints__nightly__smoke_job__max_files=3,
    )

    with pytest.raises(InvalidSettings) as refused:
        gather(settings(given))

    assert [failure.property for failure in refused.value.failures] == [
        "endpoints.nightly.deployments.digits.model",
        "endpoints.nightly.deployments.digits.environment.conda_file",
        "endpoints.nightly.smoke_job.input",
    ]


def test_secrets_of_every_endpoint_stay_secret() -> None:
    given = changed(several(), endpoints__nightly__deployments__digits__environment_variables={"TOKEN": "s3cret"})

    async def read() -> Settings:  # outputs belong to an event loop, as programs have one
        return from_config(PROJECT, text_of(given), frozenset({f"{PROJECT}:endpoints"}))

    assert "s3cret" not in repr(asyncio.run(read()))


@pytest.mark.parametrize("given", [short(), long(), several()], ids=["short", "long", "several"])
def test_editors_take_both_forms(given: dict[str, Any]) -> None:
    jsonschema.validate({"config": {f"{PROJECT}:{name}": each for name, each in given.items()}}, json_schema())


@pytest.mark.parametrize(
    "given",
    [
        {**several(), "compute": {"name": "cpu"}},
        {**several(), "deployments": {"digits": {}}},
        {key: each for key, each in several().items() if key != "endpoints"},
        changed(several(), endpoints__nightly__defualt="digits"),
        changed(several(), computes__spare__vm_sise="x"),
    ],
    ids=["both computes", "both endpoints", "no endpoint", "a misspelt setting", "of a compute"],
)
def test_editors_mark_what_cannot_be_among_several(given: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"config": {f"{PROJECT}:{name}": each for name, each in given.items()}}, json_schema())


def test_two_stacks_of_one_workspace_cannot_claim_one_of_several_names(tmp_path: Path) -> None:
    named = changed(several(), endpoints__nightly__endpoint={"name": "digits"})
    files = {}
    for stack, given in (("one", named), ("two", {**short(), "endpoint": {"name": "Digits"}})):
        files[stack] = tmp_path / f"Pulumi.{stack}.yaml"
        files[stack].write_text(yaml.safe_dump({"config": text_of(given)}), encoding="utf-8")

    found = check(files)

    assert [str(each) for each in found["two"]] == [
        "compute.name: is 'cpu', as in stack one, which uses the same workspace",
        "endpoint.name: is 'Digits', as in stack one, which uses the same workspace",
    ]


def test_a_name_that_stands_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    """YAML's own readers take the last one, and the first endpoint would be gone without a word."""
    text = yaml.safe_dump({"config": {f"{PROJECT}:{name}": each for name, each in several().items()}})
    path = tmp_path / "Pulumi.here.yaml"
    path.write_text(re.sub(r"(?m)^    nightly:$", "    batch-scoring:", text), encoding="utf-8")

    (failure,) = check({"here": path})["here"]

    assert failure.property == "Pulumi.here.yaml"
    assert re.search(r"'batch-scoring' stands twice in one mapping, in lines \d+ and \d+", failure.reason)


def test_the_example_of_the_documentation_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "Pulumi.here.yaml"
    page = (ROOT / "docs" / "stacks.md").read_text(encoding="utf-8")
    path.write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0], encoding="utf-8")

    assert check({"here": path}) == {"here": []}
    jsonschema.validate(document(path), json_schema())
    assert json.loads(configuration(document(path))[f"{PROJECT}:computes"])["spare"]["min_node_count"] == 0
