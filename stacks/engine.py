"""Which engine runs a stack, and with what: the `pulumi` CLI, or, for lab stacks where it is missing, the embedded one.

Both keep a lab stack's state in the same files below `.lab/pulumi`, so they can take turns.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "batch-scoring"
"""`name` in Pulumi.yaml: the prefix of every setting."""
_LAB, _OTHER = 0, 4
"""Exit codes of `python -m lab check-stack`."""

_EVENT_LOG = {"PULUMI_DEBUG_COMMANDS": "true"}
"""The CLI has `--event-log` only with this; a failed `up` is read there (stacks/existing.py)."""


IN_LAB = (sys.executable, "-m", "lab", "run", "--")
"""What a command is run by that is to see the lab for Azure."""


class CannotRun(Exception):
    """The stack cannot be run here; the text says why and what to do."""


@dataclass(frozen=True)
class Engine:
    """A command line that a Pulumi verb is appended to, and the environment that it runs in."""

    line: str
    """What it is and why, for people."""
    command: tuple[str, ...]
    embedded: bool
    environment: Mapping[str, str]
    settings: Path
    """The stack file, or what is left of it (`settings_file`)."""
    options: tuple[str, ...] = ()
    """Options of every verb that reads the stack's configuration."""


def stack_file(stack: str) -> Path:
    """The stack's settings file; raises CannotRun when there is none."""
    path = ROOT / "stacks" / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(each.name.split(".")[1] for each in path.parent.glob("Pulumi.*.yaml")))
        raise CannotRun(f"there is no {path.relative_to(ROOT)}; stacks here: {known}")
    return path


def settings_file(stack: str, environ: Mapping[str, str], *, ending: bool = False) -> Path:
    """The file that a stack's settings are read from: its stack file.

    To end a stack (`ending`) whose file is gone or is no YAML, what the last run in the lab kept of it does as well:
    what is to be deleted stands in the state. Raises CannotRun when there is neither.
    """
    kept = home_of(environ) / "project" / f"Pulumi.{stack}.yaml"
    try:
        path = stack_file(stack)
        if ending:
            yaml.safe_load(path.read_text(encoding="utf-8"))
    except (CannotRun, OSError, UnicodeDecodeError, yaml.YAMLError):
        if ending and kept.is_file():
            return kept
        raise
    return path


def why_not_lab(file: Path) -> str:
    """Why a stack file is not the lab's, empty when it is; the lab itself says so, the product knows no emulator."""
    asked = subprocess.run(  # noqa: S603  # this Python, this project
        [sys.executable, "-m", "lab", "check-stack", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode not in (_LAB, _OTHER):
        raise CannotRun(asked.stderr.strip() or asked.stdout.strip())
    return "" if asked.returncode == _LAB else asked.stderr.strip().removeprefix("lab: ")


def choose(stack: str, environ: Mapping[str, str], *, ending: bool = False) -> Engine:
    """ENGINE=pulumi|embedded forces one; else a `pulumi` on PATH; else the embedded one, for lab stacks alone.

    `ending`: as in `settings_file`.
    """
    wanted, found = environ.get("ENGINE") or "", shutil.which("pulumi", path=environ.get("PATH"))
    file = settings_file(stack, environ, ending=ending)
    other = why_not_lab(file)
    if wanted not in ("", "pulumi", "embedded"):
        raise CannotRun(f"ENGINE must be pulumi or embedded, got {wanted!r}")
    if wanted == "pulumi" and not found:
        raise CannotRun("ENGINE=pulumi, but there is no `pulumi` on PATH; install it, or leave ENGINE out")
    if other and (wanted == "embedded" or not found):
        raise CannotRun(
            f"{other}. The embedded engine serves lab stacks only: correct batch-scoring:subscription_id, or install "
            "the `pulumi` CLI (https://www.pulumi.com/docs/install/)"
        )
    embedded = wanted == "embedded" or not found
    why = f"ENGINE={wanted}" if wanted else ("no pulumi on PATH" if embedded else str(found))
    if other:
        return Engine(f"engine: pulumi ({why})", (str(found),), False, {**environ, **_EVENT_LOG}, file)
    return _lab_engine(file, environ, embedded, str(found), why)


def home_of(environ: Mapping[str, str]) -> Path:
    """Where this checkout keeps what git does not have: the lab, and what runs of this machine note."""
    return Path(environ.get("LAB_HOME") or ROOT / ".lab")


def _lab_engine(file: Path, environ: Mapping[str, str], embedded: bool, pulumi: str, why: str) -> Engine:
    home = home_of(environ)
    state, project = home / "pulumi", home / "project"
    for folder in (state, project):
        folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **environ,
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase(home)),
        "PULUMI_HOME": str(home / "pulumi-home"),
        # Otherwise the CLI tries, five times over, to download a plugin for every package in the virtual environment.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **_EVENT_LOG,
    }
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    environment.pop("PULUMI_ACCESS_TOKEN", None)
    config = _config_copy(file, project)
    command = (sys.executable, "-m", "lab.engine") if embedded else (pulumi,)
    line = f"engine: {'embedded' if embedded else 'pulumi'} ({why}); state in {_shown(state)}"
    return Engine(line, (*IN_LAB, *command), embedded, environment, file, ("--config-file", str(config)))


def _passphrase(home: Path) -> Path:
    """A file with this clone's passphrase, made at the first use, readable by its owner alone."""
    path = home / "passphrase"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path


def _config_copy(file: Path, project: Path) -> Path:
    """A copy of the stack file for the engine to write its salt into: the committed one stays as it is.

    A salt belongs to one passphrase, and each clone has a passphrase of its own.
    """
    copy = project / file.name
    settings = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    if copy.is_file():
        earlier = yaml.safe_load(copy.read_text(encoding="utf-8")) or {}
        if "encryptionsalt" in earlier:
            settings.setdefault("encryptionsalt", earlier["encryptionsalt"])
    temporary = copy.with_suffix(".tmp")
    temporary.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    temporary.replace(copy)
    manifest = _manifest()
    manifest.pop("stackConfigDir", None)
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
    return copy


def _manifest() -> dict[str, Any]:
    """Pulumi.yaml; without it no engine knows which project this is."""
    try:
        found: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
        if found["name"]:
            return found
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
        raise CannotRun(
            "Pulumi.yaml cannot be read, which says what this project is called: bring it back by "
            f"`git checkout -- Pulumi.yaml` ({' '.join(str(error).split())})"
        ) from error
    raise CannotRun("Pulumi.yaml has no name; bring it back by `git checkout -- Pulumi.yaml`")


def state_file(engine: Engine, stack: str) -> Path:
    """Where a lab stack's state lies; the same for both engines."""
    state = Path(engine.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    return state / ".pulumi" / "stacks" / str(_manifest()["name"]) / f"{stack}.json"


def prepare(engine: Engine, stack: str) -> None:
    """Bring a lab stack into being for the CLI, which, unlike the embedded engine, wants that done beforehand."""
    if engine.embedded or not engine.options:
        return
    project = Path(engine.options[1]).parent
    if state_file(engine, stack).is_file():
        return
    made = subprocess.run(  # noqa: S603  # the `pulumi` that was chosen
        [*engine.command, "stack", "init", stack, "--no-select", "--cwd", str(project)],
        cwd=ROOT,
        env=dict(engine.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise CannotRun(f"the CLI could not make stack {stack}: {made.stderr.strip()}")


def release_dead_locks(engine: Engine, stack: str) -> list[str]:
    """Forget the locks of runs on this machine that are no more (killed, or the machine went down); who they were.

    Only a lab stack's: its state is on this machine, so that nobody else can hold a lock of it.
    """
    released = []
    for lock, holder in _locks(engine, stack):
        if holder.get("hostname") == socket.gethostname() and not _alive(int(holder.get("pid") or 0)):
            lock.unlink(missing_ok=True)
            released.append(f"process {holder['pid']} of {holder.get('timestamp')}")
    return released


def locked_by(engine: Engine, stack: str) -> list[str]:
    """Who holds a lab stack now: none of them is known to be no more, or `release_dead_locks` would have said so."""
    return [
        f"{holder.get('username')} on {holder.get('hostname')}, process {holder.get('pid')}, {holder.get('timestamp')}"
        for _, holder in _locks(engine, stack)
    ]


def _locks(engine: Engine, stack: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Lock files of a lab stack with what they say; none of another stack, whose state is not on this machine."""
    if not engine.options:
        return
    state = Path(engine.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    for lock in (state / ".pulumi" / "locks" / "organization" / _manifest()["name"] / stack).glob("*.json"):
        try:
            yield lock, dict(json.loads(lock.read_text(encoding="utf-8") or "{}"))
        except FileNotFoundError:  # its run has ended since it was listed
            continue


def _alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    import psutil  # comes with the lab; what runs no lab stack has no use for it

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def as_written(file: Path, name: str) -> Any:
    """A setting as it stands in a stack file, None where it does not; the others need not be right."""
    settings = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return (settings.get("config") or {}).get(f"{PROJECT}:{name}")


def refuse_local_state(engine: Engine, stack: str) -> None:
    """State of a real deployment on one machine is state that the next machine does not have."""
    if engine.options:
        return
    allowed = as_written(engine.settings, "allow_local_state")
    asked = subprocess.run(  # noqa: S603  # the `pulumi` that was chosen
        [*engine.command, "whoami", "--verbose", "--json"],
        cwd=ROOT,
        env=dict(engine.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise CannotRun(f"log in to a Pulumi backend first: {asked.stderr.strip()}")
    url = str(json.loads(asked.stdout).get("url", ""))
    if url.startswith("file://") and allowed is not True:
        raise CannotRun(
            f"stack {stack} would keep its state on this machine ({url}); log in to a shared backend, or set "
            "`batch-scoring:allow_local_state: true` in its stack file"
        )


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
