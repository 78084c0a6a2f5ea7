"""What azure-native refuses to create because it exists, and the one command that takes it into the stack.

Our own kinds adopt by their marker what a run that was cut off has left. azure-native's do not: their create refuses
whatever exists (pulumi-azure-native#1123), and a refresh does not see what is not in state.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REFUSED = re.compile(r"cannot create already existing resource '?(/subscriptions/[^'\s]+)")


@dataclass(frozen=True)
class Existing:
    """A resource that is in Azure and in the program, and not in state."""

    urn: str
    id: str

    @property
    def type(self) -> str:
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]


def refused(event_log: Path) -> list[Existing]:
    """What the run whose engine events lie there could not create, in the order of its messages."""
    found = dict.fromkeys(
        Existing(str(event["urn"]), said[1])
        for event in diagnostics(event_log)
        if event.get("urn") and (said := _REFUSED.search(str(event.get("message"))))
    )
    return list(found)


def advice(stack: str, each: Existing) -> str:
    """One line for the end of a failed `up`."""
    return (
        f"{each.id} exists, and azure-native does not take it over by itself. If an interrupted run of this stack made "
        f"it: .venv/bin/python -m stacks take {stack} '{each.urn}' '{each.id}', and run `up` again"
    )


def import_options(each: Existing, deployment: Mapping[str, Any]) -> tuple[str, ...]:
    """Options of `pulumi import` for it; its parent and provider are those that its type has in the stack's state."""
    parent, provider = _above(each, deployment.get("resources") or [])
    return (
        each.type,
        each.name,
        each.id,
        *(("--parent", f"parent={parent}") if parent else ()),
        *(("--provider", f"azure={provider}") if provider else ()),
        "--protect=false",
        "--generate-code=false",
    )


def with_it(each: Existing, deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The stack's state with a bare entry for it, which a refresh fills: for an engine that has no `import`."""
    resources = list(deployment.get("resources") or [])
    if any(resource["urn"] == each.urn for resource in resources):
        return dict(deployment)
    parent, provider = _above(each, resources)
    configured = next((str(resource["id"]) for resource in resources if resource["urn"] == provider), "")
    entry = {
        "urn": each.urn,
        "custom": True,
        "id": each.id,
        "type": each.type,
        "inputs": {},
        "outputs": {},
        **({"parent": parent} if parent else {}),
        **({"provider": f"{provider}::{configured}"} if provider else {}),
    }
    pending = [one for one in deployment.get("pending_operations") or [] if one["resource"]["urn"] != each.urn]
    return {**deployment, "resources": [*resources, entry], "pending_operations": pending}


def _above(each: Existing, resources: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """URNs of its parent and of its package's provider, empty where state has none."""
    package = each.type.split(":")[0]
    chain = each.urn.split("::")[2].rpartition("$")[0]
    parent = provider = ""
    for resource in resources:
        if chain and str(resource["urn"]).split("::")[2] == chain:
            parent = parent or str(resource["urn"])
        if resource["type"] == f"pulumi:providers:{package}":
            provider = provider or str(resource["urn"])
    return parent, provider


def diagnostics(event_log: Path) -> Iterator[Mapping[str, Any]]:
    """The `diagnosticEvent`s of a file of engine events, one JSON object a line."""
    if not event_log.is_file():
        return
    for line in event_log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # the last line of an engine that was killed
            continue
        if isinstance(event, dict) and isinstance(event.get("diagnosticEvent"), dict):
            yield event["diagnosticEvent"]
