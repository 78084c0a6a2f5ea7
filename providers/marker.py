"""The tag that tells whose something is; `ownership` says what follows from it."""

from collections.abc import Mapping
from typing import Any

TAG = "pulumi-stack-owner"
"""Tag key on whatever can carry one; its value is `<project>/<stack>/<random id>`."""


def tag_of(body: Mapping[str, Any]) -> str | None:
    """The marker on what ARM returned; tags of tracked resources are on top, those of assets below `properties`."""
    for tags in (body.get("tags"), (body.get("properties") or {}).get("tags")):
        if isinstance(tags, Mapping) and TAG in tags:
            return str(tags[TAG])
    return None
