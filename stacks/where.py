"""Where a stack puts things, and what all of it is marked by: from the stack file as it is written.

Nothing but the places is read, and nothing of `components/`: what is left of a stack is looked for also where the
program, or another setting, is broken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from providers.aml.datastore import datastore_uri
from providers.aml.workspace import API_VERSION
from providers.arm import workspace_id
from stacks.engine import PROJECT, CannotRun


@dataclass(frozen=True, kw_only=True)
class Where:
    stack: str
    subscription_id: str
    resource_group: str
    workspace: str
    location: str = ""
    cloud: str = "public"
    datastore: str = "workspaceblobstore"
    api_version: str = API_VERSION
    shared_key: bool = False
    keep_assets: bool = False
    foundation: bool = False
    """Whether the stack builds its workspace, or once did."""

    @property
    def workspace_id(self) -> str:
        return str(workspace_id(self.subscription_id, self.resource_group, self.workspace))

    @property
    def group_id(self) -> str:
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def prefix(self) -> str:
        """What the markers of all lives of the stack begin with, and the paths of its blobs."""
        return f"{PROJECT}/{self.stack}/"

    @property
    def blobs(self) -> str:
        """Datastore uri of the stack's blobs."""
        return datastore_uri(f"{self.workspace_id}/datastores/{self.datastore}", self.prefix)

    def with_foundation(self) -> "Where":
        return replace(self, foundation=True)


def where(stack: str, file: Path) -> Where:
    """Read a stack file. Raises CannotRun: it does not say which workspace."""
    try:
        config = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise CannotRun(f"{file.name} cannot be read: {' '.join(str(error).split())}") from error
    return from_config(stack, file.name, {str(key).removeprefix(f"{PROJECT}:"): each for key, each in config.items()})


def from_config(stack: str, name: str, config: Mapping[str, Any]) -> Where:
    missing = [each for each in ("subscription_id", "resource_group", "workspace") if not config.get(each)]
    if missing:
        raise CannotRun(f"{name} does not say where to look: it has no {', '.join(missing)}")
    texts = ("subscription_id", "resource_group", "workspace", "location", "cloud", "datastore", "api_version")
    return Where(
        stack=stack,
        shared_key=config.get("shared_key") is True,
        keep_assets=config.get("keep_assets") is True,
        foundation=isinstance(config.get("foundation"), Mapping),
        **{each: str(config[each]) for each in texts if config.get(each)},
    )
