"""What one stack has tested, another one gets: ids of assets, out of the state of one into the file of the other.

Pure: a state and texts in, a text out. `python -m stacks promote FROM TO` (stacks/promote.py) does the rest.
Only the lines of the deployment that name an asset change; comments, order and all other settings stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from providers.arm.ids import folded
from stacks.engine import PROJECT
from stacks.state import State

_OWN = "pulumi-python:dynamic/azureml:"
_REGISTRY = "azureml://registries/"


class CannotPromote(Exception):
    """There is nothing to promote, or not to there; the text says why and what to do."""


@dataclass(frozen=True)
class Passed:
    """What a passed smoke job has run on."""

    endpoint: str
    """The endpoint's name in the stack file; the project's, where the file has one endpoint without a name."""
    setting: str
    """The deployment's name in the stack file."""
    deployment: str
    """Its name in Azure, which carries its content."""
    job: str
    code: str | None
    scoring_script: str | None
    model: str | None
    environment: str | None

    @property
    def assets(self) -> list[str]:
        return [each for each in (self.code, self.model, self.environment) if each]


def passed(stack: str, state: State, endpoint: str | None = None) -> list[Passed]:
    """What the stack's smoke jobs have passed on, out of its state: of each endpoint, or of the one named.

    Raises CannotPromote: nothing is deployed, the last run did not end well, or no job has passed on a default.
    """
    resources = state.resources
    if _last(resources, "DefaultDeployment") is None:
        raise CannotPromote(f"stack {stack} has no default deployment, so nothing of it was tested; `make up` first")
    broken = [each for each in resources if each.get("initErrors") or (each.get("outputs") or {}).get("unfinished")]
    if broken or state.pending:
        raise CannotPromote(f"the last run of stack {stack} did not end well; `make up STACK={stack}` first")
    endpoints = _endpoints(resources)
    if endpoint is not None and endpoint not in endpoints:
        raise CannotPromote(f"stack {stack} has no endpoint {endpoint!r}; it has {', '.join(endpoints)}")
    several = len(endpoints) > 1
    return [
        _passed(f"stack {stack}, endpoint {name}" if several else f"stack {stack}", resources, name, told)
        for name, told in endpoints.items()
        if endpoint in (None, name)
    ]


def _passed(where: str, resources: Sequence[Any], name: str, told: Mapping[str, Any]) -> Passed:
    """Of one endpoint; `where` is what errors call it, `told` what the stack's outputs say of it."""
    of_it = {"endpoint_id": folded(str(told["endpoint_id"]))} if told.get("endpoint_id") else {}
    default = _last(resources, "DefaultDeployment", **of_it)
    if default is None:
        raise CannotPromote(f"{where} has no default deployment, so nothing was tested; `--endpoint` names others")
    deployed = str(default["outputs"]["deployment_name"])
    found = {"deployment_name": deployed, "endpoint_id": folded(str(default["outputs"]["endpoint_id"]))}
    deployment = _last(resources, "BatchDeployment", **found)
    job = _last(resources, "ScoringJob", **found, verdict="passed")
    if deployment is None:
        raise CannotPromote(f"{where}: {deployed} is the default, and not one of its deployments")
    if job is None:
        raise CannotPromote(
            f"{where}: no smoke job has passed on its default deployment {deployed}; set `smoke_job` in the file, "
            "and `make up`"
        )
    made_of = deployment["outputs"]
    code = made_of.get("code_configuration") or {}
    return Passed(
        endpoint=name,
        setting=_setting(told, deployed),
        deployment=deployed,
        job=str(job["outputs"].get("job_name")),
        code=code.get("code_id"),
        scoring_script=code.get("scoring_script"),
        model=(made_of.get("model") or {}).get("asset_id"),
        environment=made_of.get("environment_id"),
    )


def refuse_what_would_vanish(stack: str, state: State, found: Passed) -> None:
    """Raise CannotPromote where the next `up` of the stack, or its destroy, would delete what another stack uses."""
    wanted = {folded(each) for each in found.assets}
    for each in state.resources:
        if folded(str(each.get("id") or "")) in wanted and not each.get("retainOnDelete"):
            raise CannotPromote(
                f"stack {stack} deletes {each['id']} when it has something newer. Set `{PROJECT}:keep_assets: true` in "
                f"stacks/Pulumi.{stack}.yaml, and `make up STACK={stack}`, before others use it"
            )


def refuse_elsewhere(found: Passed, workspace_id: str, target: str) -> None:
    """Raise CannotPromote for an asset that the target's workspace cannot use: one of another workspace."""
    below = f"{folded(workspace_id)}/"
    foreign = [each for each in found.assets if not each.startswith(_REGISTRY) and not folded(each).startswith(below)]
    if foreign:
        raise CannotPromote(
            f"{foreign[0]} lies in another workspace than stack {target}'s, and a deployment takes assets of its own "
            "workspace or of a registry alone. Let both stacks use one workspace, or register model and environment in "
            "a registry and name them by azureml://registries/... in the stack that tests them"
        )


def promoted(text: str, setting: str, found: Passed) -> str:
    """The text of a stack file, with the assets of its deployment `setting` replaced by what was tested.

    On the endpoint of the same name. Raises CannotPromote: the file has no such endpoint or deployment, or one that
    cannot be edited line by line.
    """
    deployment = _deployment(yaml.compose(text, Loader=yaml.SafeLoader), found.endpoint, setting)
    values: dict[str, str | None] = {
        "code": found.code,
        "scoring_script": found.scoring_script,
        "model": found.model,
        "environment": found.environment,
        "model_reference": None,
    }
    lines = text.splitlines(keepends=True)
    keys = {key.value: (key, value) for key, value in deployment.value}
    indent = " " * deployment.start_mark.column
    # From the bottom up: what lies above keeps its line numbers.
    for name in sorted(values, key=lambda each: -(keys[each][0].start_mark.line if each in keys else -1)):
        new = _lines(name, values[name], indent)
        if name in keys:
            key, value = keys[name]
            last = max(key.start_mark.line + 1, _end(value, lines))
            lines[key.start_mark.line : last] = _with_comment(lines[key.start_mark.line], new)
        else:
            lines[deployment.start_mark.line : deployment.start_mark.line] = new
    return "".join(lines)


def _lines(name: str, value: str | None, indent: str) -> list[str]:
    if value is None:
        return []
    if name == "environment":
        return [f"{indent}environment:\n", f"{indent}  id: {value}\n"]
    return [f"{indent}{name}: {value}\n"]


def _with_comment(old: str, new: list[str]) -> list[str]:
    """The new lines with the comment that stood behind the old one: a value here never has ` #` in it."""
    _, hash_, comment = old.rstrip("\n").partition(" #")
    return [f"{new[0].rstrip()}  #{comment}\n", *new[1:]] if new and hash_ else new


def _end(value: yaml.Node, lines: list[str]) -> int:
    """The line after a value's last one; a block's mark lies behind the comments and blank lines that follow it."""
    if isinstance(value, yaml.ScalarNode):
        return value.end_mark.line + (1 if value.end_mark.column else 0)
    if getattr(value, "flow_style", False):
        return value.end_mark.line + 1
    end = value.end_mark.line
    while end > value.start_mark.line + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _deployment(root: yaml.Node | None, endpoint: str, setting: str) -> yaml.MappingNode:
    config = _at(root, "config")
    node = _at(config, f"{PROJECT}:deployments") if endpoint == PROJECT else None
    if node is None:
        of_it = _at(_at(config, f"{PROJECT}:endpoints"), endpoint)
        if of_it is None and endpoint != PROJECT:
            raise CannotPromote(f"the stack file has no endpoint {endpoint!r} to promote to")
        node = _at(of_it, "deployments")
    node = _at(node, setting)
    if node is None:
        raise CannotPromote(f"the stack file has no deployment {setting!r} to promote to")
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise CannotPromote(f"deployment {setting!r} must be written line by line, not in braces, to be promoted to")
    return node


def _at(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return next((value for each, value in _pairs(node) if each == key), None)


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), value) for key, value in node.value)


def _last(resources: Sequence[Any], kind: str, **outputs: str) -> Any:
    """The newest resource of a kind that is not on its way out, with these outputs."""
    found = None
    for each in resources:
        told = each.get("outputs") or {}
        fits = all(
            (folded(str(told.get(name))) if name == "endpoint_id" else told.get(name)) == value
            for name, value in outputs.items()
        )
        if each["type"] == f"{_OWN}{kind}" and not each.get("delete") and fits:
            found = each
    return found


def _endpoints(resources: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    """Name in the stack file -> what the stack's outputs tell of the endpoint (components/batch_scoring.py)."""
    told = next((each.get("outputs") or {} for each in resources if each["type"] == "pulumi:pulumi:Stack"), {})
    return dict(told.get("endpoints") or {PROJECT: told})


def _setting(told: Mapping[str, Any], deployment: str) -> str:
    """The name in the stack file of a deployment."""
    for name, arm_id in (told.get("deployments") or {}).items():
        if str(arm_id).rpartition("/")[2] == deployment:
            return str(name)
    return deployment.rpartition("-")[0] or deployment
