"""Whether a Pulumi stack is the lab's, told by the subscription in its settings file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from lab import identity
from lab.errors import OTHER_STACK, LabError


def subscriptions_of(settings: object) -> list[str]:
    """The subscriptions that a parsed `Pulumi.<stack>.yaml` names: every value whose key ends in `:subscription_id`.

    A value that is encrypted (a mapping) is given as the empty string: it is certainly not the lab's, which is public.
    """
    config = settings.get("config") if isinstance(settings, dict) else None
    if not isinstance(config, dict):
        return []
    values = [value for key, value in config.items() if str(key).endswith(":subscription_id")]
    return [value.strip().lower() if isinstance(value, str) else "" for value in values]


def is_lab_stack(settings: object) -> bool:
    """Whether every subscription that it names, and at least one, is the lab's."""
    found = subscriptions_of(settings)
    return bool(found) and all(value == identity.SUBSCRIPTION_ID for value in found)


class _Loader(yaml.SafeLoader):
    """As pulumi reads YAML: a key that stands twice in one mapping is an error, where others take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                problem = f"the key {key.value!r} stands there already in line {lines[key.value]}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return node


def read_stack(file: Path) -> object:
    """The parsed settings file.

    Raises LabError: it is missing or no YAML that pulumi would take.
    """
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader, and stricter
    except FileNotFoundError as problem:
        raise LabError(f"there is no stack file {file}", exit_code=2) from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = getattr(problem, "problem", None) or str(problem)
        raise LabError(f"the stack file {file} is no YAML{where}: {said}", exit_code=2) from problem


def stack_of(command: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The stack that a command is about: its `--stack X`, `--stack=X` or `-s X`, else PULUMI_STACK; None when neither.

    A qualified name (`organization/project/stack`) is told by its last part.
    """
    name = environ.get("PULUMI_STACK") or None
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word in {"--stack", "-s"} and following:
            name = following
        elif word.startswith("--stack="):
            name = word.removeprefix("--stack=")
    return name.rsplit("/", 1)[-1] if name else None


def refuse_other_stack(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
    """Refuse a command about a stack whose settings name another subscription than the lab's.

    They are in the command's own `--config-file`, else in `folder/stacks`. Raises LabError with exit code 4. A stack
    without a file or without a subscription passes: it reaches no cloud.
    """
    name = stack_of(command, environ)
    given = [Path(after) for word, after in pairwise(command) if word == "--config-file"]
    file = folder / (given[-1] if given else Path("stacks", f"Pulumi.{name}.yaml"))
    if name is None or not file.is_file():
        return
    settings = read_stack(file)
    if subscriptions_of(settings) and not is_lab_stack(settings):
        raise LabError(
            f"stack {name} is not the lab's: {_seen_from(folder, file)} names subscription "
            f"{_shown(settings)}, the lab's is {identity.SUBSCRIPTION_ID}; run it without `python -m lab run`",
            exit_code=OTHER_STACK,
        )


def _seen_from(folder: Path, file: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file


def check_stack(file: Path) -> str:
    """One line that says that the file is a lab stack's.

    Raises LabError with exit code 4: it is another stack's. With 2: it cannot be read.
    """
    settings = read_stack(file)
    if is_lab_stack(settings):
        return f"{file.name} is a stack of the lab"
    found = _shown(settings) if subscriptions_of(settings) else "no subscription"
    raise LabError(
        f"{file.name} is not a stack of the lab: it names {found}, the lab's subscription is "
        f"{identity.SUBSCRIPTION_ID}",
        exit_code=OTHER_STACK,
    )


def _shown(settings: object) -> str:
    others = [value for value in subscriptions_of(settings) if value != identity.SUBSCRIPTION_ID]
    return others[0] or "an encrypted one"
