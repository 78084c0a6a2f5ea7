"""docs/configuration.md, written from the declarations: `python -m stacks.reference > docs/configuration.md`."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args, get_origin

from components.endpoint import StackDeployment
from providers import (
    asset_version,
    batch_endpoint,
    blob_folder,
    default_deployment,
    ownership,
    purge,
    schema,
    scoring_job,
)
from providers.batch_deployment import CONTENT, BatchDeploymentArgs
from providers.schema import LOCAL, REPLACE, UPDATE, Property
from stacks.normal_form import SHORT_FORM
from stacks.settings import Settings

_INTRODUCTION = """# Configuration

Written by `python -m stacks.reference` from the declarations in `stacks/settings.py`, `components/` and `providers/`;
a test keeps it equal to them.

A stack's settings are in `stacks/Pulumi.<stack>.yaml`, below `config:`, each with the prefix `batch-scoring:`.
Durations are ISO 8601 (`PT30S`) or short (`30s`, `5m`, `2h`). Paths are local and relative to the project. Where an id
is taken, it is a full ARM id or, for models and environments, `azureml://registries/...`.

```yaml
config:
  batch-scoring:subscription_id: 00000000-0000-0000-0000-000000000000
  batch-scoring:deployments:
    digits:
      mini_batch_size: 25
```
"""
_KINDS = (
    ("Owner", ownership.OwnerArgs),
    ("Purge", purge.PurgeArgs),
    ("BlobFolder", blob_folder.BlobFolderArgs),
    ("CodeVersion", asset_version.CodeVersionArgs),
    ("ModelVersion", asset_version.ModelVersionArgs),
    ("DataVersion", asset_version.DataVersionArgs),
    ("BatchEndpoint", batch_endpoint.BatchEndpointArgs),
    ("BatchDeployment", BatchDeploymentArgs),
    ("DefaultDeployment", default_deployment.DefaultDeploymentArgs),
    ("ScoringJob", scoring_job.ScoringJobArgs),
)
_EFFECT = {UPDATE: "updated in place", REPLACE: "replaced, the old one first", LOCAL: "kept in state, nothing is sent"}
_MADE_OF = {"code", "scoring_script", "model", "model_type", "model_reference", "environment", "fixed_name", *CONTENT}
_SCALE = {"min_node_count", "max_node_count", "node_idle_time_before_scale_down", "tags"}
_SETTLED = "the service refuses it once the workspace is there"
_FOUNDATION = {
    **dict.fromkeys(("tenant_id", "storage_account", "key_vault", "container_registry"), _SETTLED),
    **dict.fromkeys(("deployers", "invokers"), "roles are given and taken away"),
    "resource_group": "the group is made, or deleted with all that is in it",
    "purge": "counts when the stack is destroyed",
    "role_wait": _EFFECT[LOCAL],
}
_OF_THE_RUN = {"keep_assets", "api_version", "deadlines", "operations_at_once", "allow_local_state"}
_LOOKED_AT = "the predictions that are there are looked at again"
_SMOKE_JOB = {
    **dict.fromkeys(("expected_rows", "expected_columns", "check_script"), _LOOKED_AT),
    **dict.fromkeys(("max_files", "on_rollback", "deadline"), _EFFECT[LOCAL]),
}
_SEVERAL = {
    "computes": "each as a change of `compute`",
    "endpoints": "each as a change of `endpoint`, `deployments`, `default`, `smoke_job`",
}
"""Settings that are others, several times over: what is below them is described once."""
_PLACES = {"subscription_id", "resource_group", "workspace", "location", "cloud", "datastore"}


def reference() -> str:
    """The whole page."""
    lines = [_INTRODUCTION, "## Settings\n", *_table(("setting", "type", "default", "a change", "what it is"))]
    lines += [_row(path, each, _effect(path)) for path, each in _walk(Settings, "")]
    lines += [
        "\n## What changes how\n",
        "Properties of this project's own kinds, as they are in state. *Content* never gets here: code, model,",
        "environment and resources of a deployment, and the content of a folder, are part of the resource's name, so",
        "that a change of them is another resource beside the old one",
        "([decision 2](decisions/0002-content-in-names.md)).\n",
        *_table(("kind", "property", "a change", "what it is")),
    ]
    for name, kind in _KINDS:
        for each in schema.properties(kind).values():
            lines.append(f"| {name} | `{each.name}` | {_EFFECT[each.change]} | {_cell(each.doc)} |")
    return "\n".join(lines) + "\n"


def _walk(kind: type, prefix: str) -> Iterator[tuple[str, Property]]:
    """Every setting by its full path, depth first; `<name>` stands for a key that the user chooses."""
    found = schema.properties(kind).items()
    for name, each in found if prefix else sorted(found, key=lambda pair: _place(pair[0])):
        yield prefix + name, each
        if name in _SEVERAL:
            continue
        inner = each.type
        path = f"{prefix}{name}."
        if get_origin(inner) is not None and issubclass(cast(type, get_origin(inner)), Mapping):
            inner = get_args(inner)[-1]
            path += "<name>."
        if dataclasses.is_dataclass(inner):
            yield from _walk(cast(type, inner), path)


def _place(name: str) -> int:
    """Of a setting on the page: where things go, what goes there, all else."""
    return 0 if name in _PLACES else 1 if name in ("compute", *SHORT_FORM, *_SEVERAL) else 2


def _row(path: str, each: Property, effect: str) -> str:
    default = "**required**" if each.required else _default(each)
    return f"| `{path}` | {_type(each)} | {default} | {effect} | {_cell(each.doc)} |"


def _effect(path: str) -> str:
    """What a change of a setting does to the stack."""
    first, *rest = path.split(".")
    if first in _SEVERAL:
        return _SEVERAL[first]
    if first in _PLACES:
        return "everything is made anew there"
    if first == "deployments" and len(rest) > 1:
        if rest[1] == "drain":
            return _EFFECT[LOCAL]
        made_of = rest[1] in _MADE_OF and rest[1] in schema.properties(StackDeployment)
        return "a new deployment beside the old" if made_of else "updated in place"
    if first == "foundation" and rest:
        return _FOUNDATION.get(rest[0], "updated in place")
    if first == "endpoint" and rest == ["name"]:
        return "a new endpoint, then the old one goes"
    if first == "compute" and rest:
        if rest[0] in ("name", "id"):
            return "another compute"
        # Only scale settings are known to change on a live cluster: they alone are in the specification's PATCH.
        return "updated in place" if rest[0] in _SCALE else "sent by azure-native; the service may refuse it"
    if first == "smoke_job":
        return _SMOKE_JOB.get(rest[0] if rest else "", "the job runs again")
    if first in _OF_THE_RUN:
        return _EFFECT[LOCAL] if first in ("api_version", "deadlines") else "nothing"
    return "the default moves, after the smoke job" if first == "default" else "updated in place"


def _type(each: Property) -> str:
    if each.choices:
        return " \\| ".join(f"`{choice}`" for choice in each.choices)
    inner = each.type
    if dataclasses.is_dataclass(inner):
        return "settings"
    if get_origin(inner) is not None:
        member = get_args(inner)[-1]
        kind = "settings" if dataclasses.is_dataclass(member) else _name(member)
        return f"names to {kind}" if issubclass(cast(type, get_origin(inner)), Mapping) else f"list of {kind}"
    return _name(inner)


def _name(kind: Any) -> str:
    return {str: "text", int: "whole number", bool: "true or false", float: "number"}.get(kind, "anything")


def _default(each: Property) -> str:
    if each.default is None:
        return "none"
    if dataclasses.is_dataclass(each.default):
        return "as below"
    return f"`{str(each.default).lower() if isinstance(each.default, bool) else each.default}`"


def _table(titles: tuple[str, ...]) -> list[str]:
    return ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
