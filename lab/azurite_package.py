"""Azurite as installed from npm, by the lock file in `azurite_npm/`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.errors import LabError
from lab.install import install_once
from lab.nodejs import Node
from lab.registries import npm_environment

_FILES = Path(__file__).with_name("azurite_npm")
_SCRIPT = Path("node_modules/azurite/dist/src/blob/main.js")
PRELOAD = _FILES / "preload.js"


def installed_azurite(cache: Path) -> Path | None:
    """Azurite's script for the blob service, None when it is not installed yet."""
    script = cache / "azurite" / _digest() / _SCRIPT
    return script if script.is_file() else None


def ensure_azurite(
    cache: Path, node: Node, environ: Mapping[str, str], log: Path, say: Callable[[str], None] = lambda _: None
) -> Path:
    """Azurite's script for the blob service; installed into `cache` when it is not there.

    Raises LabError: npm could not have it.
    """

    def fill(folder: Path) -> None:
        say("installing Azurite from npm (once for all labs of this cache, about 20 s)")
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(_FILES / name, folder / name)
        # Optional dependencies are database drivers; install scripts are not needed by any package here.
        command = [*node.npm, "ci", "--omit=dev", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
        path = os.pathsep.join([str(node.node.parent), environ.get("PATH", os.defpath)])
        reaching = npm_environment(environ) if node.from_pypi else environ
        code: int | str
        try:
            with log.open("ab") as output:
                code = subprocess.run(  # noqa: S603 - npm of the chosen Node.js, arguments of our own
                    command,
                    cwd=folder,
                    env={**reaching, "PATH": path},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=900,
                    check=False,
                ).returncode
        except subprocess.TimeoutExpired:
            code = "no end after 15 minutes"
        if code != 0 or not (folder / _SCRIPT).is_file():
            raise LabError(
                f"npm could not install Azurite (exit {code}; its words are in {log}): check the network or npm's "
                "settings, then run `python -m lab start` again"
            )

    return install_once(cache / "azurite", _digest(), fill, say) / _SCRIPT


def _digest() -> str:
    return hashlib.sha256((_FILES / "package-lock.json").read_bytes()).hexdigest()[:12]
