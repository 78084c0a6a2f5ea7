"""Which endpoint a command is about: a stack's, or one that is named with its workspace."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from providers import arm
from providers.aml.datastore import short_uri
from providers.aml.outputs import default_datastore
from providers.aml.refusal import Refusal
from providers.aml.workspace import Workspace
from providers.arm import ArmId, cloud, workspace_id


@dataclass(frozen=True)
class Target:
    workspace: Workspace
    endpoint_id: str
    words: str
    """What names it again on a command line: `--stack lab`."""
    datastore: str | None = None
    """Name of the datastore for uploads and outputs; None for the workspace's default."""
    shared_key: bool = False

    @property
    def endpoint_name(self) -> str:
        return self.endpoint_id.rpartition("/")[2]

    @cached_property
    def datastore_id(self) -> str:
        """ARM id of the datastore for uploads and outputs."""
        if self.datastore:
            return f"{self.workspace.id}/datastores/{self.datastore}"
        return default_datastore(self.workspace)

    def short(self, uri: str) -> str:
        """For people: a datastore uri of this workspace in its short form."""
        return short_uri(uri, self.workspace.id)

    def command(self, verb: str, *words: str) -> str:
        """A command line to type: `python -m jobs watch batchjob-1 --stack lab`."""
        return " ".join(("python -m jobs", verb, *words, self.words))


def named(
    endpoint: str,
    group: Mapping[str, str | None],
    cloud_name: str,
    *,
    words: str = "",
    datastore: str | None = None,
    shared_key: bool = False,
) -> Target:
    """The target that an ARM id names, or a name together with `workspace`, `resource_group` and `subscription`.

    Raises Refusal that says what is missing.
    """
    if endpoint.startswith("/"):
        id_ = _endpoint_id(endpoint)
    else:
        missing = [f"--{name.replace('_', '-')}" for name, value in group.items() if not value]
        if missing:
            raise Refusal(
                f"--endpoint {endpoint} needs {', '.join(missing)}, or its full ARM id instead of its name",
                name="endpoint-unnamed",
            )
        try:
            there = workspace_id(*(str(group[name]) for name in ("subscription", "resource_group", "workspace")))
            id_ = there.child("batchEndpoints", endpoint)
        except ValueError as error:
            raise Refusal(str(error), name="endpoint-unnamed") from None
    parent = id_.parent
    assert parent is not None  # noqa: S101  # _endpoint_id and child() have seen to that
    chosen = "" if cloud_name == "public" else f" --cloud {cloud_name}"
    return Target(
        Workspace(arm.client(cloud(cloud_name).name), str(parent)),
        str(id_),
        words or f"--endpoint {id_}{chosen}",
        datastore,
        shared_key,
    )


def of_stack(stack: str, endpoints: Mapping[str, Mapping[str, object]], chosen: str | None) -> tuple[str, str]:
    """(name, ARM id) of the endpoint of a stack that is meant: the one that was chosen, or the only one.

    `endpoints` is name in the stack file -> outputs; that name, the one in Azure and the ARM id are all taken. Raises
    Refusal that lists them.
    """
    names = ", ".join(endpoints)
    if chosen is None:
        if len(endpoints) > 1:
            raise Refusal(
                f"stack {stack} has {len(endpoints)} endpoints: choose one by --endpoint NAME: {names}",
                name="endpoint-unnamed",
            )
        (chosen,) = endpoints
    if chosen in endpoints:
        return chosen, str(endpoints[chosen]["endpoint_id"])
    for name, each in endpoints.items():
        if chosen.lower() in (str(each["endpoint_name"]).lower(), str(each["endpoint_id"]).lower()):
            return name, str(each["endpoint_id"])
    raise Refusal(f"stack {stack} has no endpoint {chosen!r}; it has {names}", name="endpoint-unnamed")


def _endpoint_id(text: str) -> ArmId:
    try:
        id_ = ArmId.parse(text)
    except ValueError as error:
        raise Refusal(f"--endpoint: {error}", name="endpoint-unnamed") from None
    if not id_.type.lower().endswith("/workspaces/batchendpoints"):
        raise Refusal(f"--endpoint: {text!r} is the id of another kind of resource", name="endpoint-unnamed")
    return id_
