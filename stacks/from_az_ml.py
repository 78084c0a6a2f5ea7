"""`python -m stacks from-az-ml STACK FILE...`: a stack file from the YAML files that `az ml` takes.

FILEs describe compute clusters, batch endpoints, their deployments, and, where those name them, environments and
models, in any order. Writes stacks/Pulumi.STACK.yaml, never over one that is there. Where it lies is set by options, or
afterwards in the file; `--lab` makes it a stack of the lab. Exit code: 0; 1 where something could not be taken over or
the settings cannot be as they are, all of it said; 2 where nothing was written.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from providers.schema import Failure, InvalidSettings
from stacks import checking
from stacks.az_ml import Conversion, Description, convert
from stacks.engine import PROJECT, ROOT
from stacks.stack_file import stack_files

_PLACE = {
    "subscription_id": "00000000-0000-0000-0000-000000000000",
    "resource_group": "batch-scoring",
    "workspace": "batch-scoring",
}
_LAB = {
    "subscription_id": "1ab00000-0000-4000-8000-000000000001",
    "resource_group": "lab",
    "workspace": "lab",
    "location": "eastus",
}
_GATE = f"""\
  # A job that must pass before the default moves (docs/rollouts.md):
  # {PROJECT}:smoke_job:
  #   input: <local folder, datastore uri, https url or data asset id>
"""
_SCHEMA = "# yaml-language-server: $schema=schema.json\n"


def main(arguments: list[str], root: Path = ROOT) -> int:
    """`root` is the project's folder, which holds `stacks/`."""
    asked = _parser().parse_args(arguments)
    file = root / "stacks" / f"Pulumi.{asked.stack}.yaml"
    if asked.stack in stack_files(root / "stacks"):
        return _nothing(f"{file.relative_to(root)} is there; choose another name")
    try:
        descriptions = [read(Path(each), root) for each in asked.files]
    except InvalidSettings as invalid:
        return _nothing(f"these files cannot be read:\n{invalid}")
    place = dict(_LAB) if asked.lab else {name: getattr(asked, name) for name in _PLACE}
    workspace_id = (
        f"/subscriptions/{place['subscription_id']}/resourceGroups/{place['resource_group']}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{place['workspace']}"
    )
    found = convert(descriptions, workspace_id)
    place.setdefault("location", asked.location or found.settings.get("location") or "eastus")
    settings = {**place, **{name: value for name, value in found.settings.items() if name != "location"}}
    file.write_text(_text(asked.files, settings, found), encoding="utf-8")
    return _say(asked.stack, file.relative_to(root), [*found.failures, *checking.check({"": file})[""]], found.remarks)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stacks from-az-ml", description="Write a stack file from the YAML files that `az ml` takes."
    )
    parser.add_argument("stack", metavar="STACK", help="name of the new stack")
    parser.add_argument("files", metavar="FILE", nargs="+")
    for name, default in _PLACE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=default)
    parser.add_argument("--location", help="by default as the files say")
    parser.add_argument("--lab", action="store_true", help="a stack of the lab instead")
    return parser


def read(path: Path, root: Path) -> Description:
    """Raises InvalidSettings: it cannot be read, or is no mapping."""
    try:
        says = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidSettings([Failure(str(path), " ".join(str(error).split()))]) from error
    if not isinstance(says, dict):
        raise InvalidSettings([Failure(str(path), "must be a mapping")])
    return Description(Path(os.path.relpath(path, root)).as_posix(), says)


def _text(files: list[str], settings: dict[str, Any], found: Conversion) -> str:
    said = [f"# From {', '.join(Path(each).name for each in files)}.\n"]
    said += [f"# Not taken over: {each}\n" for each in [*found.failures, *found.remarks]]
    config = {f"{PROJECT}:{name}": value for name, value in settings.items()}
    return _SCHEMA + "".join(said) + yaml.safe_dump({"config": config}, sort_keys=False, width=120) + _GATE


def _say(stack: str, file: Path, failures: list[Failure], remarks: list[Failure]) -> int:
    for each in remarks:
        print(f"not taken over: {each}")
    for each in failures:
        print(each, file=sys.stderr)
    if failures:
        print(f"{file} is written, {len(failures)} to mend")
        return 1
    print(f"{file} is written: look at it, then `make preview STACK={stack}`")
    return 0


def _nothing(why: str) -> int:
    print(f"error: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
