"""Replies brought to a form in which two runs of the same service compare: places, instants and ids are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lab import identity

_GUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+(?:\+00:00|Z)")
_REGION = re.compile(r"\b(?:eastus2euap|centraluseuap|westus2-main|eastus2|eastus|WESTUS2|EASTUS|<region>)(?![\w-])")


def named(text: str) -> str:
    """One string, with the recorded places turned into the lab's and what changes from run to run into its kind."""
    text = text.replace("00000000-0000-0000-0000-000000000", identity.SUBSCRIPTION_ID)
    for word in ("resourceGroups", "resourcegroups", "workspaces"):
        text = re.sub(rf"/{word}/00000(?![\w-])", f"/{word}/lab", text)
    text = text.replace("ResourceGroup: 00000", "ResourceGroup: lab").replace("Workspace: 00000", "Workspace: lab")
    text = text.replace("workspace '00000'", "workspace 'lab'").replace(identity.SUBSCRIPTION_ID, "<subscription>")
    text = _REGION.sub("<region>", _INSTANT.sub("<instant>", _GUID.sub("<guid>", text)))
    return text.replace("storageacct", identity.STORAGE_ACCOUNT)


def differences(recorded: Any, answered: Any, path: str = "") -> Iterator[str]:
    """Every place where the two bodies differ, `path: recorded != answered`."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key in sorted(recorded.keys() | answered.keys()):
            where = f"{path}.{key}" if path else key
            if key not in recorded:
                yield f"{where}: only in the lab"
            elif key not in answered:
                yield f"{where}: only in the recording"
            else:
                yield from differences(recorded[key], answered[key], where)
    elif isinstance(recorded, list) and isinstance(answered, list) and len(recorded) == len(answered):
        for number, (one, other) in enumerate(zip(recorded, answered, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    else:
        one = named(recorded) if isinstance(recorded, str) else recorded
        other = named(answered) if isinstance(answered, str) else answered
        if one != other or type(one) is not type(other):
            yield f"{path}: {one!r} != {other!r}"
