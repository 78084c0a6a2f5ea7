"""The rules, as functions of a stack's resources and the policy's settings.

Each yields (resource, sentence); a sentence says what is wrong, quotes the value, and says what to write instead. A
value that is not known yet is nobody's fault: the engine asks again in `up`, when it is.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from policy.resource import (
    APPLICATION_INSIGHTS,
    BATCH_DEPLOYMENT,
    BATCH_ENDPOINT,
    BLOB_FOLDER,
    CODE_VERSION,
    COMPUTE,
    DATA_VERSION,
    DATASTORE,
    DEFAULT_DEPLOYMENT,
    ENVIRONMENT_VERSION,
    KEY_VAULT,
    LATER,
    MODEL_VERSION,
    RESOURCE_GROUP,
    SCORING_JOB,
    STORAGE_ACCOUNT,
    WORKSPACE,
    Resource,
    Violation,
)

OWNER_TAG = "pulumi-stack-owner"
Found = Iterator[tuple[Resource, str]]
Settings = Mapping[str, Any]
_SCALE = "properties.properties.scaleSettings"
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_TAGS_AT: Mapping[str, str] = {
    COMPUTE: "tags",
    WORKSPACE: "tags",
    STORAGE_ACCOUNT: "tags",
    RESOURCE_GROUP: "tags",
    KEY_VAULT: "tags",
    APPLICATION_INSIGHTS: "tags",
    ENVIRONMENT_VERSION: "properties.tags",
    BATCH_ENDPOINT: "tags",
    BATCH_DEPLOYMENT: "tags",
    CODE_VERSION: "tags",
    MODEL_VERSION: "tags",
    DATA_VERSION: "tags",
}
"""Kinds that carry tags, and where in their inputs."""


@dataclass(frozen=True)
class Rule:
    name: str
    description: str
    find: Callable[[Sequence[Resource], Settings], Found]
    settings: Mapping[str, Mapping[str, Any]]
    """Setting -> its JSON schema, default included."""
    whole: bool = False
    """Whether it looks at resources together (the engine then asks it at the end), or at each by itself."""

    def violations(self, resources: Sequence[Resource], given: Settings | None = None) -> list[Violation]:
        settings = {**{name: each["default"] for name, each in self.settings.items()}, **(given or {})}
        return [Violation(self.name, each.name, each.urn, text) for each, text in self.find(resources, settings)]


def violations(resources: Sequence[Resource], settings: Mapping[str, Settings]) -> list[Violation]:
    """What all rules find; `settings` has rule name -> its settings, and defaults for what it has not."""
    return [each for rule in RULES for each in rule.violations(resources, settings.get(rule.name))]


def _scale_to_zero(resources: Sequence[Resource], settings: Settings) -> Found:
    for each in _clusters(resources):
        least = each.at(f"{_SCALE}.minNodeCount")
        if _number(least) and least > 0:
            yield each, f"keeps {least:g} nodes running when no job does; set `min_node_count: 0` on the compute"
        idle, most = each.at(f"{_SCALE}.nodeIdleTimeBeforeScaleDown"), str(settings["longest_idle_time"])
        if isinstance(idle, str) and _seconds(idle) > _seconds(most):
            yield (
                each,
                f"an idle node is kept for {idle}, longer than {most}; set `node_idle_time_before_scale_down: {most}` "
                "or less on the compute",
            )


def _maximum_of_nodes(resources: Sequence[Resource], settings: Settings) -> Found:
    most = settings["nodes"]
    for each in _clusters(resources):
        nodes = each.at(f"{_SCALE}.maxNodeCount")
        if _number(nodes) and nodes > most:
            yield each, f"may grow to {nodes:g} nodes, {most:g} are allowed; set `max_node_count: {most:g}` or less"
    for each in _of(resources, BATCH_DEPLOYMENT):
        nodes = each.at("resources.instance_count")
        if _number(nodes) and nodes > most:
            yield (
                each,
                f"a job takes {nodes:g} nodes, {most:g} are allowed; set `resources: {{instance_count: {most:g}}}` or "
                "less on the deployment",
            )


def _allowed_vm_sizes(resources: Sequence[Resource], settings: Settings) -> Found:
    allowed = [str(each) for each in settings["sizes"]]
    where = {COMPUTE: ("properties.properties.vmSize", "vm_size"), BATCH_DEPLOYMENT: ("resources.instance_type",) * 2}
    for kind, (path, setting) in where.items():
        for each in _of(resources, kind):
            size = each.at(path)
            if isinstance(size, str) and not any(fnmatchcase(size.lower(), known.lower()) for known in allowed):
                yield each, f"VM size {size} is not allowed; set `{setting}` to one of {', '.join(allowed)}"


def _required_tags(resources: Sequence[Resource], settings: Settings) -> Found:
    for each in resources:
        path = _TAGS_AT.get(each.type)
        tags = each.at(path) if path else LATER
        if tags is LATER:
            continue
        carried = dict(tags) if isinstance(tags, Mapping) else {}
        if each.at("owner"):
            # Kinds of ours take the marker as an input, and write it as a tag.
            carried[OWNER_TAG] = each.at("owner")
        missing = [name for name in settings["tags"] if not carried.get(name)]
        if missing:
            wanted = ", ".join(f"{name}: ..." for name in missing)
            yield each, f"has no tag {', '.join(missing)}; set `tags: {{{wanted}}}` in the stack file, for all at once"


def _no_shared_keys(resources: Sequence[Resource], _: Settings) -> Found:
    for each in _of(resources, STORAGE_ACCOUNT):
        # The service's own default is true.
        if each.at("allowSharedKeyAccess") in (None, True):
            yield each, "takes its shared keys; set `allow_shared_key_access=False` on the storage account"
    for each in _of(resources, WORKSPACE):
        mode = each.at("systemDatastoresAuthMode")
        if mode is None or (isinstance(mode, str) and mode.lower() == "accesskey"):
            yield each, "its own datastores sign in with account keys; set `system_datastores_auth_mode='identity'`"
    for each in _of(resources, DATASTORE):
        kind = each.at("properties.credentials.credentialsType")
        if kind in ("AccountKey", "Sas"):
            yield each, f"signs in with {kind}; set its credentials to `None` or a service principal"
    for each in _of(resources, BLOB_FOLDER, SCORING_JOB):
        if each.at("shared_key") is True:
            yield (
                each,
                "uses the storage account's key; leave `shared_key` out of the stack file, and give who runs this "
                "Storage Blob Data Contributor",
            )


def _protected_endpoints(resources: Sequence[Resource], settings: Settings) -> Found:
    for each in _of(resources, BATCH_ENDPOINT):
        if not each.protect and any(fnmatchcase(each.stack, pattern) for pattern in settings["stacks"]):
            yield each, f"can be deleted by one command, in stack {each.stack}; set `endpoint: {{protect: true}}`"


def _tested_default(resources: Sequence[Resource], settings: Settings) -> Found:
    jobs = list(_of(resources, SCORING_JOB))
    for each in _of(resources, DEFAULT_DEPLOYMENT):
        if not any(fnmatchcase(each.stack, pattern) for pattern in settings["stacks"]):
            continue
        deployment, endpoint = each.at("deployment_name"), each.at("endpoint_id")
        if deployment is LATER or endpoint is LATER:
            continue
        on_it = [job for job in jobs if (job.at("deployment_name"), job.at("endpoint_id")) == (deployment, endpoint)]
        gates = [job for job in on_it if job.urn in each.dependencies]
        if not on_it:
            yield each, f"{deployment} becomes the default untested; set `smoke_job` in the stack file"
        elif not gates:
            yield each, f"does not wait for {on_it[0].name}, which tests {deployment}; let it depend on that job"
        else:
            bad = [job for job in gates if job.at("verdict") not in (None, LATER, "passed", "skipped")]
            for job in bad:
                yield (
                    each,
                    f"smoke job {job.name} on {deployment} has not passed ({job.at('verdict')}); `python -m jobs show` "
                    "tells why, the next `up` runs it again",
                )


def _of(resources: Sequence[Resource], *types: str) -> Iterator[Resource]:
    return (each for each in resources if each.type in types)


def _clusters(resources: Sequence[Resource]) -> Iterator[Resource]:
    return (each for each in _of(resources, COMPUTE) if each.at("properties.computeType") == "AmlCompute")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(duration: str) -> float:
    """Of an ISO 8601 duration. Raises ValueError."""
    found = _DURATION.fullmatch(duration)
    if not found or duration in ("P", "PT"):
        raise ValueError(f"must be an ISO 8601 duration such as PT10M, got {duration!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _stacks(*default: str) -> Mapping[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string"},
        "default": list(default),
        "description": "Stacks that it is about; `*` stands for any letters.",
    }


RULES: tuple[Rule, ...] = (
    Rule(
        "scale-to-zero",
        "A cluster costs nothing when no job runs: no node is kept, and an idle one goes soon.",
        _scale_to_zero,
        {
            "longest_idle_time": {
                "type": "string",
                "default": "PT15M",
                "description": "Longest idle time of a node before it goes, ISO 8601.",
            }
        },
    ),
    Rule(
        "maximum-of-nodes",
        "Neither a cluster nor a job takes more nodes than this.",
        _maximum_of_nodes,
        {"nodes": {"type": "integer", "minimum": 1, "default": 8, "description": "Most nodes at a time."}},
    ),
    Rule(
        "allowed-vm-sizes",
        "Nodes are of sizes that were agreed on.",
        _allowed_vm_sizes,
        {
            "sizes": {
                "type": "array",
                "items": {"type": "string"},
                "default": ["Standard_DS*_v2", "Standard_D*s_v3", "Standard_D*s_v5", "Standard_E*s_v5"],
                "description": "VM sizes; `*` stands for any letters. Case does not count.",
            }
        },
    ),
    Rule(
        "required-tags",
        "Whatever can carry tags carries these, with a value.",
        _required_tags,
        {
            "tags": {
                "type": "array",
                "items": {"type": "string"},
                "default": [OWNER_TAG],
                "description": "Names of tags. The default is the marker by which leftovers are found.",
            }
        },
    ),
    Rule("no-shared-keys", "Nothing signs in to storage with a key that everybody could have.", _no_shared_keys, {}),
    Rule(
        "protected-endpoints",
        "An endpoint that others call cannot be deleted by one command.",
        _protected_endpoints,
        {"stacks": _stacks("prod", "prod-*")},
    ),
    Rule(
        "tested-default",
        "No deployment becomes the default before a smoke job has passed on it.",
        _tested_default,
        {"stacks": _stacks("*")},
        whole=True,
    ),
)
