"""What all kinds of resource share: inputs that are declared once, check and diff that derive from them, clean errors.

A kind is a file with a dataclass of inputs, a `Kind` (create, read, update, delete) and a `Resource`. To add one, copy
providers/default_deployment.py, the smallest.

Module path and class name of each Kind are written into users' state (pickled by reference): a public interface.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

from azure.storage.blob import ContainerClient
from pulumi import Input, ResourceOptions
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from providers import arm, checks, dynamic_host, explanations, schema
from providers.aml.datastore import BlobLocation, open_container
from providers.aml.refusal import Refusal
from providers.aml.workspace import API_VERSION
from providers.arm import ArmError, DeadlineExceeded, OperationFailed
from providers.dynamic_host import InitFailed
from providers.schema import LOCAL, REPLACE, Bag, Failure, prop

GONE = ReadResult("", {})
_PROVIDER = "__provider"
UNFINISHED = "unfinished"
"""In the state of a resource whose last write did not end well, with the reason's name: the next `up` writes again."""
_Method = TypeVar("_Method", bound=Callable[..., Any])
_METHODS = ("check", "diff", "create", "read", "update", "delete")


@dataclass(frozen=True, kw_only=True)
class AzureArgs:
    """Inputs of every kind."""

    cloud: Input[str] = prop(
        "The Azure cloud.",
        default="public",
        check=checks.one_of("public", "usgovernment", "china"),
        change=REPLACE,
        wire=None,
    )
    api_version: Input[str] = prop(
        "ARM api-version of this kind's requests.",
        default=API_VERSION,
        check=checks.api_version,
        change=LOCAL,
        wire=None,
    )
    deadline: Input[str] = prop(
        "Longest wait for one operation of this resource.",
        default="PT30M",
        check=checks.duration,
        change=LOCAL,
        wire=None,
    )


def _answering_cleanly(method: _Method) -> _Method:
    """Errors reach the user explained (providers/explanations.py), and without a traceback unless that is asked for."""

    @functools.wraps(method)
    def call(*args: Any) -> Any:
        try:
            return method(*args)
        except Exception as error:
            dynamic_host.answer_cleanly(error, explanations.told(error))
            raise

    return cast(_Method, call)


class Kind(ResourceProvider):
    """check and diff of a kind, from its declared inputs; subclasses bring create, read, update and delete."""

    serialize_as_secret_always = False  # nothing secret is in it: it has no state at all
    args: ClassVar[type[AzureArgs]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in _METHODS:
            if method in vars(cls):
                setattr(cls, method, _answering_cleanly(vars(cls)[method]))

    def configure(self, req: ConfigureRequest) -> None:  # noqa: ARG002  # the server's signature
        dynamic_host.allow_operations()
        dynamic_host.end_with_engine()

    @_answering_cleanly
    def check(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> CheckResult:
        bag, failures = schema.check(self.args, without_provider(news))
        failures += [] if failures else list(self.relations(bag))
        return CheckResult(bag, [CheckFailure(failure.property, failure.reason) for failure in failures])

    def relations(self, inputs: Mapping[str, Any]) -> Iterable[Failure]:  # noqa: ARG002  # for kinds that have some
        """What is wrong between properties that are right each by itself; some may not be known yet."""
        return ()

    @_answering_cleanly
    def diff(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> DiffResult:
        """What changed; a replacement deletes the old first, since what replaces here cannot exist twice.

        Content never gets here: it is part of the logical name (docs/decisions/0002-content-in-names.md).
        """
        changed = schema.changes(self.args, olds, news)
        replaces = [name for name, change in changed.items() if change == REPLACE]
        changes = bool(changed) or UNFINISHED in olds
        return DiffResult(changes=changes, replaces=replaces, stables=[], delete_before_replace=bool(replaces))

    # The four below are what a kind must have; these say so when one is missing.

    def create(self, _props: Mapping[str, Any]) -> CreateResult:
        raise TypeError(f"{type(self).__name__} has no create")

    def read(self, _id: str, _props: Mapping[str, Any]) -> ReadResult:
        raise TypeError(f"{type(self).__name__} has no read")

    def update(self, _id: str, _olds: Mapping[str, Any], _news: Mapping[str, Any]) -> UpdateResult:
        raise TypeError(f"{type(self).__name__} has no update")

    def delete(self, _id: str, _props: Mapping[str, Any]) -> None:
        raise TypeError(f"{type(self).__name__} has no delete")

    # Shared by the kinds' methods.

    def owned(self, props: Mapping[str, Any]) -> Bag:
        """The inputs among a resource's state."""
        declared = schema.properties(self.args)
        return {name: value for name, value in props.items() if name in declared}

    def only_local(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
        """Whether an update changes nothing that is sent."""
        return UNFINISHED not in olds and all(
            change == LOCAL for change in schema.changes(self.args, olds, news).values()
        )

    def live(self, body: Mapping[str, Any], props: Mapping[str, Any]) -> Bag:
        """The inputs as the service has them now, on what we own."""
        return schema.from_body(self.args, body, self.owned(props))

    @contextmanager
    def recorded(self, id_: str, props: Mapping[str, Any]) -> Iterator[None]:
        """Around a write: when it was accepted and did not end well, the resource is kept in state all the same.

        Otherwise a resource that failed to come up would be forgotten, and a `destroy` would leave it behind.
        """
        try:
            yield
        except (ArmError, Refusal) as error:
            if not _accepted(error):
                raise
            name = explanations.explain(error).name
            raise InitFailed.after(error, name, id_, {**self.owned(props), UNFINISHED: name}) from error

    def verify(self, body: Mapping[str, Any], props: Mapping[str, Any], what: str) -> None:
        """Refuse an outcome in which a value did not take: the service may ignore what it does not let change."""
        asked = self.owned(props)
        wrong = schema.changes(self.args, self.live(body, asked), asked)
        if wrong:
            raise Refusal(
                f"{what}: the service did not take {', '.join(sorted(wrong))}; give it a new name instead",
                name="value-not-taken",
            )


def client(props: Mapping[str, Any]) -> arm.ArmClient:
    """The process's ARM client for the cloud of these inputs."""
    return arm.client(str(props["cloud"]))


def container_at(location: BlobLocation, props: Mapping[str, Any]) -> ContainerClient:
    """The container of a location, opened in the way that these inputs ask for."""
    return open_container(client(props), location, shared_key=bool(props.get("shared_key")))


def deadline(props: Mapping[str, Any]) -> float:
    """Seconds that one operation may take: Pulumi's custom timeout where there is one, else the input."""
    call = dynamic_host.current_call()
    return (call.timeout if call else None) or checks.seconds(str(props["deadline"]))


def standing(id_: str, props: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is there to stay, before a create: what is still being deleted is waited for, and then is not there."""
    arm_client, version = client(props), str(props["api_version"])
    found = arm_client.get(id_, api_version=version)
    if found is None or str((found.get("properties") or {}).get("provisioningState")).lower() != "deleting":
        return found
    arm_client.wait_until_gone(id_, api_version=version, deadline=deadline(props), progress=dynamic_host.progress())
    return None


def unfinished(live: Mapping[str, Any]) -> Bag:
    """What state says of a resource that the service calls failed: nothing where it does not."""
    word = str((live.get("properties") or {}).get("provisioningState")).lower()
    return {UNFINISHED: f"provisioning-{word}"} if word in ("failed", "canceled") else {}


def _accepted(error: Exception) -> bool:
    """Whether the service had begun with the write that ended in this error."""
    if isinstance(error, Refusal):
        return error.name == "value-not-taken"
    # A deadline that passed before the service took the request bears the code of what stood in the way.
    return isinstance(error, OperationFailed) or (
        isinstance(error, DeadlineExceeded) and error.code == "DeadlineExceeded"
    )


def without_provider(props: Mapping[str, Any]) -> Bag:
    return {name: value for name, value in props.items() if name != _PROVIDER}


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Bag:
    """`over` laid upon `under`, mapping by mapping."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def resource_props(args: AzureArgs, outputs: tuple[str, ...]) -> dict[str, Any]:
    """The property bag of a new resource; outputs are named so that the SDK makes attributes of them."""
    return {**schema.bag_of(args), **dict.fromkeys(outputs)}


__all__ = ["API_VERSION", "GONE", "AzureArgs", "Kind", "Refusal", "Resource", "ResourceOptions"]
