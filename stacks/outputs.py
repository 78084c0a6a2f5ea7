"""What a deployed stack tells those who use it: its outputs, read from the state of either engine."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from stacks.engine import ROOT, CannotRun, Engine, choose, stack_file

LAB = (sys.executable, "-m", "lab")


@dataclass(frozen=True)
class Deployed:
    """A stack as it was deployed last."""

    stack: str
    endpoints: Mapping[str, Mapping[str, Any]]
    """Name in the stack file -> what the stack tells of the endpoint; the only one by its name in Azure."""
    cloud: str
    datastore: str | None
    """The stack's setting; None for the default."""
    within: tuple[str, ...]
    """What a command that talks to the stack's cloud is prefixed with: nothing, or what leads into the lab."""


def deployed(stack: str, environ: Mapping[str, str]) -> Deployed:
    """Read a stack's outputs. Raises CannotRun: there is no such stack, or it was never deployed."""
    engine = choose(stack, environ)
    lab = bool(engine.options)
    if lab:
        start_lab(engine)
    found = endpoints(outputs(engine, stack))
    if not found:
        raise CannotRun(f"stack {stack} has no endpoint: it is not deployed; run `make up STACK={stack}`")
    settings = (yaml.safe_load(stack_file(stack).read_text(encoding="utf-8")) or {}).get("config") or {}
    return Deployed(
        stack=stack,
        endpoints=found,
        cloud=str(settings.get("batch-scoring:cloud") or "public"),
        datastore=settings.get("batch-scoring:datastore"),
        within=(*LAB, "run", "--") if lab else (),
    )


def endpoints(outputs: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What a stack's outputs tell of each of its endpoints (components/batch_scoring.py); none before its first `up`.

    By the name in the stack file; the only one of a file that gives it none by its name in Azure.
    """
    if outputs.get("endpoints"):
        return dict(outputs["endpoints"])
    return {str(outputs["endpoint_name"]): outputs} if outputs.get("endpoint_name") else {}


def outputs(engine: Engine, stack: str) -> dict[str, Any]:
    """Raises CannotRun with the engine's own words."""
    shown = subprocess.run(  # noqa: S603  # chosen by stacks.engine
        [*engine.command, "stack", "output", "--json", "--stack", stack],
        cwd=ROOT,
        env=dict(engine.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode != 0:
        raise CannotRun(f"the outputs of stack {stack} cannot be read: {shown.stderr.strip()}")
    found: dict[str, Any] = json.loads(shown.stdout or "{}")
    return found


def start_lab(engine: Engine) -> None:
    """See that the lab runs, without a word where it does."""
    started = subprocess.run(  # noqa: S603  # this Python, this project
        [*LAB, "start"], cwd=ROOT, env=dict(engine.environment), capture_output=True, text=True, check=False
    )
    if started.returncode != 0:
        raise CannotRun(f"the lab did not start: {started.stderr.strip() or started.stdout.strip()}")
