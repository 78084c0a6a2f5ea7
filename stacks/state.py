"""A stack's state as either engine keeps it: what it knows of, what was cut off, and whose marker it has."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stacks.engine import ROOT, CannotRun, Engine, state_file

_OWNER = "azureml:Owner"
_NOWHERE = ("pulumi:", "azureml:Owner", "azureml:Purge")
"""Types, or their ends, of what exists in the state alone."""


@dataclass(frozen=True)
class State:
    """The `deployment` of an export."""

    deployment: Mapping[str, Any]

    @cached_property
    def resources(self) -> list[Mapping[str, Any]]:
        return list(self.deployment.get("resources") or [])

    @cached_property
    def pending(self) -> list[Mapping[str, Any]]:
        """Operations that were cut off: `{"type": "creating", "resource": {...}}`."""
        return list(self.deployment.get("pending_operations") or [])

    @cached_property
    def markers(self) -> list[str]:
        """The stack's marker; none once its owner is deleted, unless a creation that was cut off still carries it."""
        owners = [str(each["id"]) for each in self.resources if each["type"].endswith(_OWNER) and each.get("id")]
        return list(dict.fromkeys([*owners, *(marker for each in self.cut_off for marker in _carried(each))]))

    @cached_property
    def cut_off(self) -> list[Mapping[str, Any]]:
        """Resources whose creation was cut off: whether they are there is not known."""
        return [each["resource"] for each in self.pending if each.get("type") == "creating"]

    @cached_property
    def protected(self) -> list[str]:
        """Ids of what no run may delete."""
        return [str(each.get("id") or each["urn"]) for each in self.resources if each.get("protect")]

    def things(self) -> Iterator[Mapping[str, Any]]:
        """Resources that exist somewhere else than in the state."""
        for each in self.resources:
            kind = str(each["type"])
            if each.get("custom") and not kind.startswith(_NOWHERE[0]) and not kind.endswith(_NOWHERE[1:]):
                yield each


def read_state(engine: Engine, stack: str) -> State | None:
    """The state; None where there is no such stack, which is not the same as one that cannot be read.

    Raises CannotRun with the engine's own words when it cannot.
    """
    if engine.options:
        return _read_file(state_file(engine, stack))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        asked = subprocess.run(  # noqa: S603  # chosen by stacks.engine
            [*engine.command, "stack", "export", "--stack", stack, "--file", str(file)],
            cwd=ROOT,
            env=dict(engine.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0:
            return State(json.loads(file.read_text(encoding="utf-8")).get("deployment") or {})
        if "no stack named" in asked.stderr:
            return None
        raise CannotRun(f"the state of stack {stack} cannot be read: {asked.stderr.strip()}")


def _read_file(file: Path) -> State | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return State(content["checkpoint"].get("latest") or {})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotRun(f"the state in {file} cannot be read: {' '.join(str(error).split())}") from error


def _carried(resource: Mapping[str, Any]) -> Iterator[str]:
    from providers.marker import TAG  # here, as a checkout without providers must still say what is missing

    inputs = resource.get("inputs") or {}
    for marker in ((inputs.get("tags") or {}).get(TAG), inputs.get("owner")):
        if isinstance(marker, str) and marker.count("/") == 2:
            yield marker
