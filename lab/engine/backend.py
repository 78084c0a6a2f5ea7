"""The CLI's own file backend (layout version 1), so that both engines can take turns on one state.

Source: pulumi 3.260.0, pkg/backend/diy. Written by temporary file, fsync and atomic rename.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import yaml

from lab.engine.errors import BadUsage, EngineError, Locked, Refused


class Backend:
    """One directory of stacks; `project` names the part of it that this project uses."""

    def __init__(self, directory: Path, project: str) -> None:
        self.directory, self._project = directory, project
        self._root = directory / ".pulumi"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], project_directory: Path, project: str) -> Backend:
        """PULUMI_BACKEND_URL as `file://DIR`, else `.lab/pulumi` of the project."""
        url = environ.get("PULUMI_BACKEND_URL", "")
        if not url:
            return cls(project_directory / ".lab" / "pulumi", project)
        parsed = urlparse(url)
        if parsed.scheme != "file":
            raise Refused(f"PULUMI_BACKEND_URL={url}: the embedded engine keeps state in files only (file://DIR)")
        path = unquote(parsed.netloc + parsed.path)
        return cls(project_directory / Path(path).expanduser(), project)

    def stacks(self) -> list[str]:
        return sorted(path.stem for path in (self._root / "stacks" / self._project).glob("*.json"))

    def load(self, stack: str) -> dict[str, Any] | None:
        """The stack's deployment, {} for a stack that never had one, None for no stack at all."""
        self._check_layout()
        path = self._stack_file(stack)
        if not path.exists():
            if any(path.with_suffix(suffix).exists() for suffix in (".json.gz", ".json.zst")):
                raise Refused(f"{path}: compressed state is not supported by the embedded engine")
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        check_version(content, path.name)
        return content["checkpoint"].get("latest") or {}

    def save(self, stack: str, deployment: Mapping[str, Any] | None) -> None:
        checkpoint: dict[str, Any] = {"stack": f"organization/{self._project}/{stack}"}
        if deployment is not None:
            checkpoint["latest"] = deployment
        meta = self._root / "meta.yaml"
        if not meta.exists():
            write_atomically(meta, "version: 1\n")
        path = self._stack_file(stack)
        write_atomically(path, json.dumps({"version": 3, "checkpoint": checkpoint}, separators=(",", ":")))
        path.with_name(f"{path.name}.attrs").unlink(missing_ok=True)  # the CLI's cached digest of the former content

    @contextlib.contextmanager
    def locked(self, stack: str) -> Iterator[None]:
        """Hold the stack. A lock that another process left or holds is refused with the CLI's advice."""
        mine = self._locks(stack) / f"{uuid.uuid4()}.json"
        self._refuse_other_locks(stack, mine)
        content = {
            "pid": os.getpid(),
            "username": getpass.getuser(),
            "hostname": socket.gethostname(),
            "timestamp": datetime.now(timezone.utc).isoformat(),
        }
        write_atomically(mine, json.dumps(content))
        try:
            self._refuse_other_locks(stack, mine)
            yield
        finally:
            mine.unlink(missing_ok=True)

    def cancel(self, stack: str) -> int:
        """Remove every lock of the stack, whoever holds it; the result counts them."""
        locks = list(self._locks(stack).glob("*.json"))
        for lock in locks:
            lock.unlink(missing_ok=True)
        return len(locks)

    def _stack_file(self, stack: str) -> Path:
        return self._root / "stacks" / self._project / f"{stack}.json"

    def _locks(self, stack: str) -> Path:
        return self._root / "locks" / "organization" / self._project / stack

    def _refuse_other_locks(self, stack: str, mine: Path) -> None:
        others = sorted(path for path in self._locks(stack).glob("*.json") if path != mine)
        if not others:
            return
        lines = [
            f"the stack is currently locked by {len(others)} lock(s). Either wait for the other process(es) to end or "
            "delete the lock file with `pulumi cancel` (embedded engine: `python -m lab.engine cancel`)."
        ]
        for path in others:
            with contextlib.suppress(FileNotFoundError):
                held = json.loads(path.read_text(encoding="utf-8"))
                who = f"{held['username']}@{held['hostname']} (pid {held['pid']})"
                lines.append(f"  {path.as_uri()}: created by {who} at {held['timestamp']}")
        raise Locked("\n".join(lines))

    def _check_layout(self) -> None:
        meta = self._root / "meta.yaml"
        if meta.exists():
            found = yaml.safe_load(meta.read_text(encoding="utf-8"))
            if not isinstance(found, dict) or found.get("version") != 1:
                raise EngineError(f"{meta}: only version 1 of the file backend's layout is known, found {found!r}")
        elif list((self._root / "stacks").glob("*.json")):
            raise Refused(f"{self._root}: the legacy layout of the file backend is not supported")


def check_version(content: Mapping[str, Any], where: str) -> None:
    """Refuse checkpoints and exports of another version than 3, or with features, naming them."""
    if content.get("version") != 3 or content.get("features"):
        features = ", ".join(content.get("features") or []) or "none"
        raise Refused(f"{where}: deployment version {content.get('version')} (features: {features}) is not supported")


def write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def check_stack_name(name: str) -> str:
    if not name or not all(character.isalnum() or character in "-_." for character in name):
        raise BadUsage(f"stack name {name!r}: only letters, digits, hyphens, underscores and periods are allowed")
    return name
