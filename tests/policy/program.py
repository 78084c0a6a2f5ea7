"""What the program registers for given settings: the resources that a policy sees, without an engine."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor

from components.batch_scoring import BatchScoring
from policy.resource import Resource, token
from stacks import stack_file
from stacks.normal_form import normal_form
from stacks.settings import from_config, gather

PROJECT = "batch-scoring"


class _Mocks(pulumi.runtime.Mocks):
    """Takes every resource as it is, but for a list of identities, which comes back as a mapping from each."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        state = dict(args.inputs)
        assigned = (state.get("identity") or {}).get("userAssignedIdentities")
        if isinstance(assigned, list):
            state["identity"] = {**state["identity"], "userAssignedIdentities": {each: {} for each in assigned}}
        return f"{args.name}-id", state

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


class _Monitor(MockMonitor):
    """Remembers what a policy is told of: type, inputs, protection and dependencies."""

    def __init__(self) -> None:
        super().__init__(_Mocks())
        self.seen: list[Resource] = []

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.custom and not request.type.startswith("pulumi:providers:"):
            inputs = rpc.deserialize_properties(request.object)
            self.seen.append(
                Resource(
                    token(request.type),
                    request.name,
                    answer.urn,
                    inputs,
                    bool(request.protect),
                    frozenset(request.dependencies),
                )
            )
        return answer


def registered(stack: str, settings: Mapping[str, Any], root: Path) -> list[Resource]:
    """The resources of a stack whose file has `settings`, by their names without the project's; `root` has its folders.

    The working directory must be `root`, as it is for the program.
    """
    monitor = _Monitor()
    pulumi.runtime.set_mocks(_Mocks(), project=PROJECT, stack=stack, preview=False, monitor=monitor)
    config = {f"{PROJECT}:{name}": value for name, value in settings.items()}
    found = from_config(PROJECT, stack_file.configuration({"config": config}))

    def program() -> None:
        BatchScoring(PROJECT, found.placement(PROJECT, stack), normal_form(found, PROJECT), gather(found))

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return monitor.seen


def settings_of(stack: str, root: Path) -> dict[str, Any]:
    """What a committed stack file has, by names without the project's."""
    document = stack_file.document(root / "stacks" / f"Pulumi.{stack}.yaml")
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in document["config"].items()}


def names(resources: Iterable[Resource]) -> list[str]:
    return sorted(each.name for each in resources)
