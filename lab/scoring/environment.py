"""Builds the environment that a scoring script runs in: the pip part of the conda file, by uv, once per content.

An environment lies in `<cache>/environments/<hash of requirements and interpreter>/`. It is built beside and renamed
when it is whole, under a lock, so that jobs that start together build it once and a killed build leaves nothing that
looks like an environment. Only this file of the scoring runtime reaches out, to the package index of the machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from uv import find_uv_bin

from lab.registries import SYSTEM_BUNDLES, uv_environment
from lab.scoring.blobs import Cancellation, wait_until
from lab.scoring.conda import CondaError, CondaFile, named_requirement, normalised, parse_conda
from lab.scoring.interpreters import Interpreters
from lab.scoring.process_group import end_group
from lab.scoring.spec import EnvironmentSpec

NO_ENVIRONMENT = "'Environment Id' must not be empty."
"""The service's text for a deployment with a scoring script and without environment."""

NO_AZUREML = (
    "No module named 'azureml': environment {environment} has no azureml-core, which batch deployments need. "
    "Add azureml-core to the pip part of its conda file."
)
"""Begins as the service's own (Microsoft's troubleshooting page)."""

_LAYOUT = 1
"""Part of the hash; to be raised when environments are built in another way."""

_PASSED_ON = re.compile(
    r"(UV_.*|PATH|HOME|USER|TMPDIR|LANG|LC_.*|XDG_.*|NETRC|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|(HTTPS?|ALL|NO)_PROXY|https?_proxy|all_proxy|no_proxy|CC|CXX|CFLAGS|LDFLAGS)"
)
"""Variables that the installer gets: it may run build scripts of packages, so it gets no secrets."""
_OF_PIP = "PIP_"
"""pip's own, which uv gets in its own words."""

_NETWORK = re.compile(
    r"dns error|failed to lookup|connection refused|connect error|client error \(Connect\)|error sending request"
    r"|network is unreachable|timed out|network was disabled",
    re.IGNORECASE,
)


class EnvironmentFailed(Exception):
    """The environment cannot be built; the text names the environment, the line of its conda file and the reason."""


class EnvironmentResolver(Protocol):
    def __call__(
        self, environment: EnvironmentSpec, say: Callable[[str], None], log: Callable[[str], None], cancel: Cancellation
    ) -> Path:
        """The interpreter of an environment. `say` takes lines for the job log, `log` the installer's own output.

        Raises EnvironmentFailed or Cancelled.
        """
        ...


_Uv = Callable[[list[str]], tuple[int, str]]
"""Runs uv with arguments; gives its exit code and output."""


class CachedEnvironments:
    """Environments built by uv below a cache folder."""

    def __init__(self, cache: Path, environ: Mapping[str, str]) -> None:
        self._folder = cache / "environments"
        self._given = environ

    @cached_property
    def _environ(self) -> dict[str, str]:
        return installer_environment(self._given)

    @cached_property
    def _interpreters(self) -> Interpreters:
        return Interpreters(self._folder / "interpreters.json", self._environ)

    def __call__(
        self, environment: EnvironmentSpec, say: Callable[[str], None], log: Callable[[str], None], cancel: Cancellation
    ) -> Path:
        conda = read_conda(environment, say)
        interpreter, version = self._interpreter(conda.python, say)
        digest = environment_hash(conda.requirements, interpreter, version)
        home = self._folder / digest
        python = home / "bin" / "python"
        self._folder.mkdir(parents=True, exist_ok=True)
        with _lock(self._folder / f"{digest}.lock", cancel, say):
            if python.exists():
                say(f"environment {environment}: reused from the cache ({digest})")
                return python
            for left_over in [home, *self._folder.glob(f"{digest}.building-*")]:
                shutil.rmtree(left_over, ignore_errors=True)
            began = time.monotonic()
            say(f"environment {environment}: building {digest} with {len(conda.requirements)} pip requirements")
            building = Path(tempfile.mkdtemp(prefix=f"{digest}.building-", dir=self._folder))
            try:
                self._build(environment, conda, interpreter, building, lambda a: self._uv(a, log, cancel))
                building.replace(home)
            finally:
                shutil.rmtree(building, ignore_errors=True)
            say(f"environment {environment}: built in {time.monotonic() - began:.1f} s")
        return python

    def _build(self, environment: EnvironmentSpec, conda: CondaFile, interpreter: str, home: Path, uv: _Uv) -> None:
        venv = ["venv", "--no-project", "--relocatable", "--allow-existing", "--python", interpreter, str(home)]
        code, output = uv(venv)
        if code != 0:
            raise EnvironmentFailed(f"environment {environment}: no virtual environment: {shortened(output)}")
        if not conda.requirements:
            return
        requirements = home / "requirements.txt"
        requirements.write_text("".join(f"{line}\n" for line in conda.requirements), encoding="utf-8")
        python = str(home / "bin" / "python")
        code, output = uv(["pip", "install", "--python", python, "-r", str(requirements)])
        if code != 0:
            raise EnvironmentFailed(install_failure(environment, conda.requirements, output))

    def _interpreter(self, wanted: str | None, say: Callable[[str], None]) -> tuple[str, str]:
        """Path and version of the interpreter for a wanted version; the running one where that is not to be had."""
        running = platform.python_version()
        path = getattr(sys, "_base_executable", None) or sys.executable
        if wanted is None or f"{running}.".startswith(f"{wanted}."):
            return path, running
        minor = ".".join(wanted.split(".")[:2])
        for version in dict.fromkeys([wanted, minor]):
            found = self._interpreters.find(version)
            if found is not None and found[1] == running:
                break
            if found is not None:
                if found[1] != wanted and not found[1].startswith(f"{wanted}."):
                    say(f"python {wanted} is not on this machine: Python {found[1]} takes its place")
                return found
        say(f"python {wanted} is not on this machine: Python {running}, which runs the lab, takes its place")
        return path, running

    def _uv(self, arguments: list[str], log: Callable[[str], None], cancel: Cancellation) -> tuple[int, str]:
        """Runs uv where no project's settings are found, in a group of its own; gives exit code and output."""
        command = [find_uv_bin(), *arguments, "--no-python-downloads", "--no-progress", "--color", "never"]
        with tempfile.TemporaryDirectory(prefix="uv-") as folder, tempfile.TemporaryFile() as output:
            popen = subprocess.Popen(  # noqa: S603 - uv of our own environment
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environ,
                cwd=folder,
                start_new_session=True,
            )
            try:
                wait_until(lambda: popen.poll() is not None, cancel, poll_seconds=0.05)
            finally:
                end_group(popen)
            output.seek(0)
            text = redacted(output.read(1024 * 1024).decode("utf-8", "replace"))
        log(f"$ uv {' '.join(arguments)}\n{text}\n")
        return popen.returncode, text


def has_module(python: Path, name: str) -> bool:
    """Whether an environment has a top-level module; it is looked for, not imported."""
    asked = subprocess.run(  # noqa: S603 - the interpreter of an environment, and words of ours
        [str(python), "-I", "-c", f"import importlib.util as i, sys; sys.exit(i.find_spec({name!r}) is None)"],
        env={},
        check=False,
    )
    return asked.returncode == 0


def read_conda(environment: EnvironmentSpec, say: Callable[[str], None]) -> CondaFile:
    """What an environment's conda file asks for; tells the job log what is left out. Raises EnvironmentFailed."""
    if environment.conda_file is None or not environment.conda_file.strip():
        raise EnvironmentFailed(
            f"environment {environment} has no conda file. The lab runs no container images (this one names "
            f"{environment.image!r}): it builds environments from the pip part of a conda file, so give it one."
        )
    try:
        conda = parse_conda(environment.conda_file)
    except CondaError as error:
        raise EnvironmentFailed(f"environment {environment}: its conda file: {error}") from error
    if environment.image:
        say(f"environment {environment}: image {environment.image} is not run; the lab builds the conda file alone")
    for dependency in conda.unprovided:
        say(f"environment {environment}: conda dependency {dependency!r} cannot be provided")
    if conda.unprovided:
        names = ", ".join(repr(dependency) for dependency in conda.unprovided)
        raise EnvironmentFailed(
            f"environment {environment}: conda dependencies {names} cannot be provided: the lab installs the pip part "
            "of a conda file only. Put Python packages below 'pip:'."
        )
    return conda


def environment_hash(requirements: tuple[str, ...], interpreter: str, version: str) -> str:
    """Name of an environment's folder; the order of requirements does not matter."""
    content = json.dumps([_LAYOUT, sorted(map(normalised, requirements)), interpreter, version, platform.machine()])
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def installer_environment(
    environ: Mapping[str, str],
    *,
    pip: Callable[[Mapping[str, str]], str] | None = None,
    bundles: Sequence[str] = SYSTEM_BUNDLES,
) -> dict[str, str]:
    """Environment variables of the installer: the machine's own settings of its package index, and no secrets.

    `pip` and `bundles` are those of lab.registries.uv_environment().
    """
    passed = {name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name) or name.startswith(_OF_PIP)}
    found = uv_environment(passed, pip=pip, bundles=bundles)
    return {name: value for name, value in found.items() if not name.startswith(_OF_PIP)}


def install_failure(environment: EnvironmentSpec, requirements: tuple[str, ...], output: str) -> str:
    """The message of a failed installation: environment, line of the conda file, reason."""
    if _NETWORK.search(output):
        return (
            f"environment {environment}: the package index cannot be reached (no network?), so its pip requirements "
            f"cannot be installed: {shortened(output)}"
        )
    named = named_requirement(requirements, output)
    subject = f"pip requirement {named!r}" if named else f"pip requirements {', '.join(map(repr, requirements))}"
    return f"environment {environment}: {subject} of its conda file cannot be installed: {shortened(output)}"


def shortened(output: str, limit: int = 600) -> str:
    """uv's reason on one line: what follows its first `error` or `×`, without drawings and progress."""
    lines = [re.sub(r"^[\s│├╰─▶×╭]+", "", line).strip() for line in output.splitlines()]
    first = next((i for i, line in enumerate(lines) if re.match(r"error\b|No solution|Failed to", line)), 0)
    text = " ".join(line for line in lines[first:] if line and not line.startswith("hint:"))
    text = re.sub(r"^error: ", "", text)
    return text if len(text) <= limit else f"{text[:limit]}..."


def redacted(output: str) -> str:
    """Output without user names and passwords in addresses."""
    return re.sub(r"://[^/\s@]+@", "://***@", output)


@contextmanager
def _lock(path: Path, cancel: Cancellation, say: Callable[[str], None]) -> Iterator[None]:
    """Holds a lock file; waits for another job's build as long as that takes, or until cancelled."""
    with path.open("a") as file:
        told = False

        def taken() -> bool:
            nonlocal told
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    say("another job is building the same environment: waiting for it")
                told = True
                return False
            return True

        wait_until(taken, cancel)
        yield
