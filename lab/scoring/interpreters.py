"""The Python interpreters of this machine, as uv finds them; what it found is remembered.

Looking takes uv a moment for each interpreter on the PATH, and a second or two where those are pyenv's shims: too long
for every job. An answer holds while the folders that uv looks through are unchanged.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uv import find_uv_bin

Interpreter = tuple[str, str]
"""Path, and full version."""


class Interpreters:
    def __init__(self, memory: Path, environ: Mapping[str, str]) -> None:
        """`memory`: a file; one that is lost or broken only costs time. `environ`: what uv is run with."""
        self._memory = memory
        self._environ = dict(environ)

    def find(self, version: str) -> Interpreter | None:
        """The one that uv would take for a version such as `3.10`; None when there is none."""
        places = _places(self._environ)
        remembered = self._remembered()
        known = remembered.get(version, {})
        if known.get("places") == places and (known["found"] is None or Path(known["found"][0]).exists()):
            return (known["found"][0], known["found"][1]) if known["found"] else None
        found = self._look(version)
        self._remember({**remembered, version: {"places": places, "found": found}})
        return found

    def _look(self, version: str) -> Interpreter | None:
        arguments = ["python", "find", "--system", "--no-project", "--no-config", "--no-python-downloads", version]
        path = self._said([find_uv_bin(), *arguments])
        said = self._said([path, "-c", "import platform; print(platform.python_version())"]) if path else None
        return (path, said) if path and said else None

    def _said(self, command: list[str]) -> str | None:
        """What a command printed; None when it failed."""
        ran = subprocess.run(  # noqa: S603 - uv of our own environment, or an interpreter of this machine
            command, capture_output=True, text=True, env=self._environ, check=False, cwd="/"
        )
        return ran.stdout.strip() or None if ran.returncode == 0 else None

    def _remembered(self) -> dict[str, Any]:
        try:
            found = json.loads(self._memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _remember(self, all_of_it: Mapping[str, Any]) -> None:
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._memory.with_name(f".{self._memory.name}.{os.getpid()}")
        temporary.write_text(json.dumps(all_of_it), encoding="utf-8")
        temporary.replace(self._memory)


def _places(environ: Mapping[str, str]) -> list[list[Any]]:
    """The folders in which uv looks, and when each of them changed."""
    data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "/"), ".local", "share"))
    managed = environ.get("UV_PYTHON_INSTALL_DIR") or str(Path(data, "uv", "python"))
    folders = dict.fromkeys([managed, *environ.get("PATH", "").split(os.pathsep)])
    return [[folder, _changed(Path(folder))] for folder in folders if folder]


def _changed(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None
