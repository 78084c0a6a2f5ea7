"""`python -m stacks.short_lived FROM STACK`: a stack file for a short while, such as a pull request's, from another's.

What is a name in Azure gets the stack's own: each cluster's, and each endpoint's where it is set. All else (the place,
the deployments, the smoke job, the key that its secrets are encrypted with) stays. No endpoint of it is protected, and
it keeps no assets for others.
Does nothing where STACK has a file.
"""

import copy
import sys
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import yaml

from providers.schema import InvalidSettings
from stacks.engine import PROJECT, ROOT
from stacks.stack_file import document, stack_files

_LONGEST_COMPUTE, _LONGEST_ENDPOINT = 16, 32


def short_lived(given: Mapping[str, Any], stack: str) -> dict[str, Any]:
    """The document of the new stack's file."""
    made = copy.deepcopy(dict(given))
    config = made["config"]
    computes, taken = config.get(f"{PROJECT}:computes") or {}, set[str]()
    for name, each in [("", config.get(f"{PROJECT}:compute")), *computes.items()]:
        if isinstance(each, dict) and not each.get("id") and (each.get("name") or name):
            each["name"] = _with(str(each.get("name") or name), stack, _LONGEST_COMPUTE, taken)
            taken.add(each["name"])
    for group in (config.get(f"{PROJECT}:endpoints") or {}).values():
        _unprotected(group, "endpoint", stack)
    _unprotected(config, f"{PROJECT}:endpoint", stack)
    config.pop(f"{PROJECT}:keep_assets", None)
    return made


def _unprotected(settings: dict[str, Any], setting: str, stack: str) -> None:
    endpoint = settings.get(setting) or {}
    if endpoint.get("name"):
        endpoint["name"] = _with(str(endpoint["name"]), stack, _LONGEST_ENDPOINT)
    endpoint.pop("protect", None)


def _with(name: str, stack: str, longest: int, taken: Set[str] = frozenset()) -> str:
    """`cpu-dev` -> `cpu-dev-pr-12`, the stack's name whole; a number keeps names apart that were cut to the same."""
    for number in ("", *map(str, range(2, 10))):
        made = f"{name[: longest - len(stack) - len(number) - 1].rstrip('-')}{number}-{stack}"
        if made not in taken:
            break
    return made


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    source, stack = arguments
    files = stack_files()
    if stack in files:
        return 0
    if source not in files:
        sys.stderr.write(f"error: there is no stack {source}; stacks here: {', '.join(files)}\n")
        return 2
    try:
        made = short_lived(document(files[source]), stack)
    except InvalidSettings as invalid:
        sys.stderr.write(f"error: {files[source]}:\n{invalid}\n")
        return 2
    file: Path = ROOT / "stacks" / f"Pulumi.{stack}.yaml"
    file.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
