"""Run the embedded engine and, where there is one, the pulumi CLI; read back what they left, in comparable form."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.engine import state, values
from lab.engine.__main__ import main
from lab.engine.passphrase import Passphrase
from tests.engine.project_under_test import PHRASE, PROJECT, STACK

CHECKOUT = Path(__file__).parents[2]
_QUICK_PIP = Path(__file__).with_name("quick_pip")
_DEFAULTS = ["--yes", "--skip-preview"]


@dataclass(frozen=True)
class Result:
    status: int
    output: str


def environment(directory: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PHRASE,
        "PULUMI_STACK": STACK,
        "PULUMI_HOME": str(directory / "home"),
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def embedded(directory: Path, *arguments: str) -> Result:
    """The embedded engine in this process: what it starts are real processes all the same."""
    output = io.StringIO()
    with _inside(directory), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            status = main(arguments)
        except SystemExit as stop:  # argparse's way out
            status = int(str(stop.code))
    return Result(status, output.getvalue())


def start_embedded(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """The embedded engine as a process of its own, to be signalled; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab.engine", *arguments],
        cwd=directory,
        env=environment(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def pulumi_path() -> str | None:
    """A pulumi CLI of the release that the engine is written after, if there is one on PATH."""
    path = shutil.which("pulumi")
    if path is None:
        return None
    found = subprocess.run([path, "version"], capture_output=True, text=True, check=False).stdout
    return path if found.removeprefix("v").startswith("3.260.") else None  # a build of one's own says no v


def pulumi(directory: Path, *arguments: str) -> Result:
    command, env = _pulumi_command(directory, arguments)
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout + done.stderr)


def start_pulumi(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """The CLI, to be signalled; the caller ends it."""
    command, env = _pulumi_command(directory, arguments)
    return subprocess.Popen(
        command,
        cwd=directory,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _pulumi_command(directory: Path, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    env = environment(directory)
    env["PYTHONPATH"] = f"{_QUICK_PIP}{os.pathsep}{env['PYTHONPATH']}"
    state_file = directory / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json"
    if not state_file.exists():
        subprocess.run(["pulumi", "stack", "init", STACK], cwd=directory, env=env, capture_output=True, check=True)
    flags = _DEFAULTS if arguments[0] in ("up", "destroy", "refresh") else []
    return ["pulumi", *arguments, *flags], env


def deployment(directory: Path) -> dict[str, Any]:
    path = directory / "state" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json"
    found = json.loads(path.read_text())["checkpoint"].get("latest") or {}
    return dict(found)


def resources(directory: Path) -> list[dict[str, Any]]:
    """The state's resources with secrets shown as {"secret": value}, without times and positions, in a fixed order."""
    found = deployment(directory)
    records = found.get("resources") or []
    if not records:
        return []
    secrets = Passphrase(PHRASE, found["secrets_providers"]["state"]["salt"])
    names = {
        f"{record['urn']}::{record['id']}": f"{record['urn']}::<id>"
        for record in records
        if record["type"].startswith("pulumi:providers:")
    }
    comparable = [_comparable(record, secrets, names) for record in records]
    return sorted(comparable, key=lambda record: json.dumps([record["urn"], record], sort_keys=True))


def _comparable(record: dict[str, Any], secrets: Passphrase, names: dict[str, str]) -> dict[str, Any]:
    kept = {
        key: value
        for key, value in record.items()
        if key not in ("created", "modified", "sourcePosition", "stackTrace", "aliases")
    }
    for key in ("inputs", "outputs"):
        if key in kept:
            kept[key] = values.plain(values.from_json(kept[key], secrets.unseal), lambda value: {"secret": value})
    if "dependencies" in kept:
        kept["dependencies"] = sorted(kept["dependencies"])
    if "propertyDependencies" in kept:
        kept["propertyDependencies"] = {key: sorted(urns) for key, urns in kept["propertyDependencies"].items()}
    if "provider" in kept:
        kept["provider"] = names[kept["provider"]]
    if kept["type"].startswith("pulumi:providers:"):
        kept["id"] = "<id>"
    return kept


def multiset(calls: list[list[Any]]) -> Counter[str]:
    return Counter(json.dumps(call, sort_keys=True) for call in calls)


def swap(ours: Path, theirs: Path) -> None:
    """Each engine goes on with the state that the other one wrote, where both have one."""
    mine, other, aside = ours / "state", theirs / "state", ours / "aside"
    if (mine / ".pulumi").exists() and (other / ".pulumi").exists():
        mine.rename(aside)
        other.rename(mine)
        aside.rename(other)


def move(directory: Path, file: Path) -> None:
    """The state leaves by `stack export` and comes back by `stack import`, into a backend that has none."""
    backend = directory / "state" / ".pulumi"
    if not backend.exists():
        return
    for verb in ("export", "import"):
        done = embedded(directory, "stack", verb, "--file", str(file))
        assert done.status == 0, done.output
        if verb == "export":
            (backend / "stacks" / PROJECT / f"{STACK}.json").unlink()


def verify(directory: Path) -> None:
    state.verify(deployment(directory))


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    before, environ = Path.cwd(), dict(os.environ)
    os.chdir(directory)
    os.environ.update(environment(directory))
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environ)
