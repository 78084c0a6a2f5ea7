"""A copy of this project with a lab of its own: what a person has after cloning, minus the installation."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from lab.testing import LabUnderTest

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    "Pulumi.yaml",
    "__main__.py",
    "components",
    "examples",
    "jobs",
    "lab",
    "policy",
    "providers",
    "reviews",
    "stacks",
)


@dataclass(frozen=True)
class Ran:
    """A command that ended: its exit code, and all that it said."""

    code: int
    said: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.said}"


class Checkout:
    """`run("up")` is what `make up` runs, on the engine that was chosen."""

    def __init__(self, folder: Path, engine: str, stack: str = "lab") -> None:
        self.folder = folder
        self.engine = engine
        self.stack = stack
        for name in NAMES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        # The CLI wants the virtual environment that Pulumi.yaml names; it is the one that runs these tests.
        (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        self.lab = LabUnderTest(folder / ".lab")

    def use_python(self, virtual_environment: Path) -> None:
        """Run everything by the Python of another virtual environment."""
        link = self.folder / ".venv"
        link.unlink()
        link.symlink_to(virtual_environment)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.lab.outside_env, "ENGINE": self.engine}

    def start(self, verb: str, *options: str) -> "subprocess.Popen[str]":
        """Begin a verb on the stack, in a process group of its own."""
        return subprocess.Popen(
            [str(self.folder / ".venv" / "bin" / "python"), "-m", "stacks", verb, self.stack, *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, verb: str, *options: str) -> Ran:
        with self.start(verb, *options) as process:
            said, _ = process.communicate(timeout=1200)
            return Ran(process.returncode, said)

    def succeed(self, verb: str, *options: str) -> str:
        """Run a verb that must succeed; what it said."""
        ran = self.run(verb, *options)
        assert ran.code == 0, f"{verb}: {ran}"
        return ran.said

    def preview(self) -> dict[str, str]:
        """`Type name` -> planned operation, for all that would change."""
        with self.start("preview", "--json") as process:
            said, _ = process.communicate(timeout=1200)
        assert process.returncode == 0, said
        document = json.loads(said[said.index("\n{") :])
        return {
            step["urn"].rsplit("::", 2)[1].rsplit(":", 1)[1] + " " + step["urn"].rsplit("::", 1)[1]: step["op"]
            for step in document["steps"]
            if step["op"] != "same"
        }

    def outputs(self) -> dict[str, Any]:
        with self.start("output", "--json") as process:
            said, _ = process.communicate(timeout=300)
        found: dict[str, Any] = json.loads(said[said.index("{") :])
        return found

    def status(self) -> dict[str, Any]:
        return self.lab.status()

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    def configure(self, **settings: Any) -> None:
        """Change settings of the stack file; `deployments__digits__mini_batch_size=5` reaches inside."""
        file = self.folder / "stacks" / f"Pulumi.{self.stack}.yaml"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for path, value in settings.items():
            first, *rest = path.split("__")
            target, keys = document["config"], [f"batch-scoring:{first}", *rest]
            for key in keys[:-1]:
                target = target[key]
            target[keys[-1]] = value
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """The lab's control API."""
        facts = self.lab.facts
        answer = httpx.request(
            method,
            f"https://127.0.0.1:{facts.emulator_port}/_lab/{path}",
            json=body,
            headers={"Authorization": f"Bearer {facts.control_token}"},
            verify=_trusting(facts.ca_file),
            trust_env=False,
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def requests(self) -> list[dict[str, Any]]:
        """What the lab was asked, oldest first."""
        found = self.control("GET", "requests")
        return list(found["requests"] if isinstance(found, dict) else found)


def _trusting(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


def engines() -> list[str]:
    """The embedded engine, and the CLI where there is one."""
    return ["embedded", *(["pulumi"] if shutil.which("pulumi", path=os.environ.get("PATH")) else [])]
