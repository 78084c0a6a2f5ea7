"""A lab for a test run: a home of its own in a temporary folder, the installations shared.

```python
@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab
```
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.environment import inside, without_lab
from lab.home import CHECKOUT, Facts, Home, home_from
from lab.running import require_running
from lab.status import read_status


class LabUnderTest:
    """A lab in a home of its own, driven by the command line as a person would; it need not be running."""

    def __init__(self, home: Path, cache: Path | None = None) -> None:
        """`cache`: where installations lie; by default LAB_CACHE, else `.lab/cache` in the checkout."""
        self._paths = Home(home.resolve(), cache or home_from(os.environ).cache)

    @property
    def home(self) -> Path:
        return self._paths.root

    @property
    def paths(self) -> Home:
        return self._paths

    @property
    def outside_env(self) -> dict[str, str]:
        """The environment that `python -m lab` itself is run with."""
        return {**without_lab(os.environ), "LAB_HOME": str(self.home), "LAB_CACHE": str(self._paths.cache)}

    @property
    def facts(self) -> Facts:
        """Ports, secrets and pid. Raises NotRunning."""
        return require_running(self._paths)

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a command inside the lab. Raises NotRunning."""
        return inside(self._paths, self.facts, self.outside_env)

    def command(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m lab ARGUMENTS` to its end; `env` is added to the environment, `timeout` in seconds."""
        return subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "lab", *arguments],
            cwd=CHECKOUT,
            env={**self.outside_env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self) -> None:
        """Start it. Raises AssertionError with the lab's own words when it does not."""
        done = self.command("start", timeout=1200)
        if done.returncode != 0:
            raise AssertionError(f"the lab did not start:\n{done.stdout}{done.stderr}\n{self.log()}")

    def stop(self) -> None:
        """End it; nothing to do when it does not run. Raises AssertionError when that fails."""
        done = self.command("stop")
        if done.returncode != 0:
            raise AssertionError(f"the lab did not stop:\n{done.stdout}{done.stderr}\n{self.log()}")

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 300,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside the lab, its words captured; `check` raises CalledProcessError for a failure."""
        return subprocess.run(  # noqa: S603 - the test's own command
            list(command),
            cwd=cwd,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
        )

    def status(self) -> dict[str, Any]:
        """What is in the lab: as `python -m lab status --json`."""
        return read_status(self.facts)

    def log(self, lines: int = 40) -> str:
        """The end of the lab's log, empty when it has none."""
        file = self._paths.log
        return "\n".join(file.read_text("utf-8", "replace").splitlines()[-lines:]) if file.is_file() else ""


@contextmanager
def running_lab(home: Path, cache: Path | None = None) -> Iterator[LabUnderTest]:
    """A running lab in `home`, ended with all its processes at the end of the block, also when the block fails."""
    lab = LabUnderTest(home, cache)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
