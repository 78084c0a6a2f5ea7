"""One stack of a project: its settings, secrets and state, opened for a command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.engine import state
from lab.engine.backend import Backend, check_stack_name
from lab.engine.errors import BadUsage, NoSuchStack
from lab.engine.passphrase import Passphrase, passphrase_from
from lab.engine.project import Config, Project, encryption_salt, keep_salt, load_config, require_lab
from lab.engine.state import State
from lab.engine.values import Secret


@dataclass(frozen=True)
class Stack:
    """`resources` and `pending` are the state as loaded, decrypted with the salt that it was written under."""

    name: str
    project: Project
    backend: Backend
    config: Config
    phrase: str = field(repr=False)
    secrets: Passphrase
    exists: bool
    resources: list[State]
    pending: list[dict[str, Any]]

    def save(self, deployment: Mapping[str, Any] | None) -> None:
        self.backend.save(self.name, deployment)

    def read(self, deployment: Mapping[str, Any]) -> list[State]:
        """The resources of another deployment under the same passphrase; its integrity is checked."""
        salt = _state_salt(deployment)
        return _read(deployment, Passphrase(self.phrase, salt) if salt else None)

    def require_state(self) -> None:
        if not self.exists:
            raise NoSuchStack(f"no stack named '{self.name}' found")


def backend_of(directory: Path, environ: Mapping[str, str]) -> tuple[Project, Backend]:
    project = Project.find(directory)
    return project, Backend.from_environment(environ, directory, project.name)


@dataclass(frozen=True)
class Settings:
    """What is known of a lab's stack before its state is touched."""

    name: str
    project: Project
    backend: Backend
    config: Config
    phrase: str = field(repr=False)
    secrets: Passphrase | None
    file: Path | None
    """The settings file given on the command line, which may get the salt."""


def open_settings(directory: Path, environ: Mapping[str, str], name: str, config_file: Path | None) -> Settings:
    """Read a stack's settings. Refuses stacks that are not a lab's."""
    project, backend = backend_of(directory, environ)
    check_stack_name(name)
    if config_file is not None and not config_file.exists():
        raise BadUsage(f"{config_file}: the settings file does not exist")
    path = config_file or project.stack_file(name)
    phrase = passphrase_from(environ)
    salt = encryption_salt(path)
    secrets = Passphrase(phrase, salt) if salt else None
    config = load_config(project, path, secrets)
    require_lab(config, name)
    return Settings(name, project, backend, config, phrase, secrets, config_file)


def open_stack(settings: Settings) -> Stack:
    """Read the state. What is written from now on is under the settings' salt, else the state's, else a new one,
    which is put into the settings file if that was given and is writable."""
    deployment = settings.backend.load(settings.name)
    state_salt = _state_salt(deployment or {})
    reading = Passphrase(settings.phrase, state_salt) if state_salt else None
    if reading is not None and settings.secrets is not None and reading.salt == settings.secrets.salt:
        reading = settings.secrets
    resources = _read(deployment or {}, reading)
    writing = settings.secrets or reading or Passphrase.new(settings.phrase)
    if settings.file is not None and settings.secrets is None and os.access(settings.file, os.W_OK):
        keep_salt(settings.file, writing.salt)
    return Stack(
        settings.name,
        settings.project,
        settings.backend,
        settings.config,
        settings.phrase,
        writing,
        deployment is not None,
        resources,
        list((deployment or {}).get("pending_operations") or []),
    )


def _read(deployment: Mapping[str, Any], secrets: Passphrase | None) -> list[State]:
    state.verify(deployment)

    def unseal(text: str) -> Secret:
        if secrets is None:
            raise BadUsage("the state holds secrets, but names no secrets provider")
        return secrets.unseal(text)

    return [state.from_json(record, unseal) for record in deployment.get("resources") or []]


def _state_salt(deployment: Mapping[str, Any]) -> str | None:
    provider = deployment.get("secrets_providers") or {}
    if not provider:
        return None
    if provider.get("type") != "passphrase":
        raise BadUsage(f"the state's secrets provider {provider.get('type')!r} is not supported, only passphrase")
    return str(provider["state"]["salt"])
