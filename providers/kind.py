"""What all kinds of resource share: inputs that are declared once, check and diff that derive from them, clean errors.

A kind is a file with a dataclass of inputs, a `Kind` (create, read, update, delete) and a `Resource`. To add one, copy
providers/default_deployment.py, the smallest.

Module path and class name of each Kind are written into users' state (pickled by reference): a public interface.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, cast

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

from providers import arm, arm_body, checks, dynamic_host, explanations, schema
from providers.aml.datastore import BlobLocation, open_container
from providers.aml.refusal import Refusal
from providers.aml.workspace import API_VERSION
from providers.arm import ArmError, DeadlineExceeded, OperationFailed
from providers.arm.redact import HIDDEN
from providers.blob import Container
from providers.dynamic_host import InitFailed
from providers.schema import LOCAL, REPLACE, UPDATE, Bag, Failure, prop

_PROVIDER = "__provider"
_MAY_BE_SECRET, _LEAST_SECRET = "environment_variables", 6
"""The property whose values are taken out of errors, and how long they must be: `1` and `true` are no secrets."""
_READ_ONLY = ("provisioningState", "scoringUri", "swaggerUri")
"""Of the properties of an endpoint, a deployment or an asset version (specification of 2025-12-01)."""
UNFINISHED = "unfinished"
"""In the state of a resource whose last write did not end well, with the reason's name: the next `up` writes again."""
Operation = Literal["create", "update", "delete"]
_Method = TypeVar("_Method", bound=Callable[..., Any])
_METHODS = ("check", "diff", "create", "read", "update", "delete")


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """Longest waits by operation; what is left out is `deadline`."""

    create: Input[str] | None = prop("For a creation.", default=None, check=checks.wait)
    update: Input[str] | None = prop("For an update.", default=None, check=checks.wait)
    delete: Input[str] | None = prop("For a deletion.", default=None, check=checks.wait)


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
        check=checks.wait,
        change=LOCAL,
        wire=None,
    )
    deadlines: Input[Deadlines] | None = prop(
        "Longest waits of single operations, where they are others.", default=None, change=LOCAL, wire=None
    )


def _answering_cleanly(method: _Method) -> _Method:
    """Errors reach the user explained (providers/explanations.py), and without a traceback unless that is asked for."""

    @functools.wraps(method)
    def call(*args: Any) -> Any:
        try:
            return method(*args)
        except Exception as error:
            hide = hiding(args)
            dynamic_host.answer_cleanly(error, hide(explanations.told(error)), hide)
            raise

    return cast(_Method, call)


def hiding(bags: Iterable[Any]) -> Callable[[str], str]:
    """A function that takes the values of environment variables out of a text.

    They may be secret, the server tells no provider which, and a refusal of the service quotes what it was sent.
    """
    values = {
        str(value)
        for bag in bags
        if isinstance(bag, Mapping) and isinstance(bag.get(_MAY_BE_SECRET), Mapping)
        for value in bag[_MAY_BE_SECRET].values()
        if isinstance(value, str) and len(value) >= _LEAST_SECRET
    }
    # As it is, and as it stands in JSON, once and within a string of JSON.
    forms = {form for value in values for form in (value, _escaped(value), _escaped(_escaped(value)))}
    ordered = sorted(forms, key=len, reverse=True)

    def hide(text: str) -> str:
        for form in ordered:
            text = text.replace(form, HIDDEN)
        return text

    return hide


def _escaped(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


class Kind(ResourceProvider):
    """check and diff of a kind, from its declared inputs; subclasses bring create, read, update and delete."""

    serialize_as_secret_always = False  # nothing secret is in it: it has no state at all
    args: ClassVar[type[AzureArgs]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in _METHODS:
            if method in vars(cls):
                setattr(cls, method, _answering_cleanly(vars(cls)[method]))

    def configure(self, req: ConfigureRequest) -> None:
        """`operations_at_once` is a setting of the stack: it is about the process, and no input of any resource."""
        dynamic_host.allow_operations(int(req.config.get("operations_at_once") or dynamic_host.OPERATIONS_AT_ONCE))
        dynamic_host.end_with_engine()

    @_answering_cleanly
    def check(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> CheckResult:
        bag, failures = schema.check(self.args, without_provider(news))
        failures += [] if failures else list(self.relations(bag))
        if not olds and not failures and (why := self.arrival(bag)):
            dynamic_host.progress()(why)
        return CheckResult(bag, [CheckFailure(failure.property, failure.reason) for failure in failures])

    def relations(self, inputs: Mapping[str, Any]) -> Iterable[Failure]:  # noqa: ARG002  # for kinds that have some
        """What is wrong between properties that are right each by itself; some may not be known yet."""
        return ()

    def arrival(self, inputs: Mapping[str, Any]) -> str:  # noqa: ARG002  # for kinds that have something to say
        """What a reader of a preview wants to know of a new one; empty where nothing."""
        return ""

    @_answering_cleanly
    def diff(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> DiffResult:
        """What changed; a replacement deletes the old first, since what replaces here cannot exist twice.

        Content never gets here: it is part of the logical name (docs/decisions/0002-content-in-names.md).
        """
        changed = self._changed(olds, news)
        replaces = [name for name, change in changed.items() if change == REPLACE]
        why = planned(changed, str(olds.get(UNFINISHED) or ""))
        if why:
            dynamic_host.progress()(why)
        return DiffResult(changes=bool(why), replaces=replaces, stables=[], delete_before_replace=bool(replaces))

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

    def outputs(self, props: Mapping[str, Any]) -> Bag:
        """What is no input among a resource's state: an input that is no longer set must not come back from there."""
        declared = schema.properties(self.args)
        return {name: value for name, value in without_provider(props).items() if name not in declared}

    def only_local(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
        """Whether an update changes nothing that is sent."""
        return UNFINISHED not in olds and all(change == LOCAL for change in self._changed(olds, news).values())

    def live(self, body: Mapping[str, Any], props: Mapping[str, Any]) -> Bag:
        """The inputs as the service has them now, on what we own."""
        return arm_body.from_body(self.args, body, self.owned(props))

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

    def write(
        self, id_: str, live: Mapping[str, Any] | None, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Merge into what a GET returned, PUT, and compare; the resource as it then reads.

        `olds` is what state says of it, None at a creation. Nothing is sent where what is wanted is there already:
        what an earlier run began and had no time to wait for.
        """
        body, taken_out = arm_body.upon(self.args, writable(live), olds or {}, news)
        if live and not taken_out and not self._differing(live, news) and not unfinished(live):
            return dict(live)
        _refuse_empty_tags(id_, body.get("tags") or {})
        with self.recorded(id_, news):
            result = client(news).put(
                id_,
                body,
                api_version=news["api_version"],
                deadline=deadline(news, "create" if olds is None else "update"),
                progress=dynamic_host.progress(),
            )
            self.verify(result, news, id_)
        return result

    def verify(self, body: Mapping[str, Any], props: Mapping[str, Any], what: str) -> None:
        """Refuse an outcome in which a value did not take: the service may ignore what it does not let change."""
        wrong = self._differing(body, props)
        if wrong:
            raise Refusal(
                f"{what}: the service did not take {', '.join(sorted(wrong))}; give it a new name instead",
                name="value-not-taken",
            )

    def _changed(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, str]:
        """As `schema.changes`; a state of an earlier release lacks properties that this one has."""
        return schema.changes(self.args, schema.filled(self.args, olds), schema.filled(self.args, news))

    def _differing(self, body: Mapping[str, Any], props: Mapping[str, Any]) -> dict[str, str]:
        """What the service has otherwise than it is asked for."""
        asked = self.owned(props)
        return schema.changes(self.args, self.live(body, asked), asked)


def planned(changed: Mapping[str, str], unfinished: str) -> str:
    """Why a resource is to change, by property; empty where it is not. Names alone: values may be secret.

    Shown beside the resource, in a preview too, where the engine says no more than `update` or `replace`.
    """
    by_change = {
        wanted: ", ".join(name for name, change in changed.items() if change == wanted)
        for wanted in (REPLACE, UPDATE, LOCAL)
    }
    parts = [
        f"its last write did not end well ({unfinished}): written again" if unfinished else "",
        f"{by_change[REPLACE]} cannot change in place: the old one is deleted first" if by_change[REPLACE] else "",
        f"in place: {by_change[UPDATE]}" if by_change[UPDATE] else "",
        f"in state alone, nothing is sent: {by_change[LOCAL]}" if by_change[LOCAL] else "",
    ]
    return "; ".join(part for part in parts if part)


def client(props: Mapping[str, Any]) -> arm.ArmClient:
    """The process's ARM client for the cloud of these inputs."""
    return arm.client(str(props["cloud"]))


def container_at(location: BlobLocation, props: Mapping[str, Any]) -> Container:
    """The container of a location, opened in the way that these inputs ask for."""
    return open_container(client(props), location, shared_key=bool(props.get("shared_key")))


def deadline(props: Mapping[str, Any], operation: Operation) -> float:
    """Seconds that an operation may take: Pulumi's custom timeout where there is one, else its own input, else theirs.

    Where the SDK's server hides the custom timeout (providers/dynamic_host.py), the inputs alone count.
    """
    call = dynamic_host.current_call()
    own = (props.get("deadlines") or {}).get(operation)
    return (call.timeout if call else None) or checks.seconds(str(own or props["deadline"]))


def standing(id_: str, props: Mapping[str, Any], operation: Operation) -> dict[str, Any] | None:
    """What is there to stay, before a write: what an earlier run, or somebody else, has begun is waited for.

    What is still being deleted is not there then; what is still being created or updated has come to its end.
    """
    return client(props).settled(
        id_,
        api_version=str(props["api_version"]),
        deadline=deadline(props, operation),
        progress=dynamic_host.progress(),
    )


def writable(live: Mapping[str, Any] | None) -> Bag:
    """What a PUT may carry of what a GET returned: without what is the service's to say, and without nulls."""
    live = live or {}
    body = {key: live[key] for key in ("location", "tags", "kind", "sku") if live.get(key) is not None}
    identity = live.get("identity")
    if identity:
        # principalId and tenantId are the service's to say
        users = identity.get("userAssignedIdentities")
        body["identity"] = {
            "type": identity.get("type"),
            **({"userAssignedIdentities": {each: {} for each in users}} if users else {}),
        }
    properties = live.get("properties") or {}
    body["properties"] = {
        key: value for key, value in properties.items() if value is not None and key not in _READ_ONLY
    }
    return body


def _refuse_empty_tags(id_: str, tags: Mapping[str, Any]) -> None:
    """Name the tags that a merge would repeat and the service refuse: it names none (azure-sdk-for-python#41586)."""
    empty = sorted(key for key, value in tags.items() if not value)
    if empty:
        raise Refusal(
            f"{id_}: tags {', '.join(empty)} have no value there, and are not this stack's; the service takes no PUT "
            "with such: give them a value, or remove them",
            name="empty-tags-there",
        )


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


def gone() -> ReadResult:
    """What `read` answers of what is not there. A new one each time: the SDK's server writes into it."""
    return ReadResult("", {})


def without_provider(props: Mapping[str, Any]) -> Bag:
    return {name: value for name, value in props.items() if name != _PROVIDER}


def resource_props(args: AzureArgs, outputs: tuple[str, ...]) -> dict[str, Any]:
    """The property bag of a new resource; outputs are named so that the SDK makes attributes of them."""
    return {**schema.bag_of(args), **dict.fromkeys(outputs)}


__all__ = ["API_VERSION", "AzureArgs", "Deadlines", "Kind", "Refusal", "Resource", "ResourceOptions"]
