"""ARM ids: paths that name one resource, such as `/subscriptions/.../workspaces/w/batchEndpoints/e`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_AML = "Microsoft.MachineLearningServices"
_SEGMENT = re.compile(r"[^/?#%\\\s]+")


@dataclass(frozen=True)
class ArmId:
    """One resource: subscription, resource group, the provider's namespace, and (type, name) pairs from the outside in.

    `str()` gives the id as ARM writes it. Ids are equal without regard to case (`same_id`): the service itself mixes
    `resourcegroups` and `resourceGroups`.
    """

    subscription: str
    group: str
    namespace: str
    pairs: tuple[tuple[str, str], ...]

    @staticmethod
    def parse(text: str) -> ArmId:
        """Read an id. Raises ValueError, quoting it, when it is not a full ARM id of a resource in a resource group."""
        segments = text.split("/")
        fixed = [segment.lower() for segment in segments]
        well_formed = (
            len(segments) >= 9
            and len(segments) % 2 == 1
            and segments[0] == ""
            and (fixed[1], fixed[3], fixed[5]) == ("subscriptions", "resourcegroups", "providers")
            and all(_SEGMENT.fullmatch(segment) and segment not in (".", "..") for segment in segments[1:])
        )
        if not well_formed:
            raise ValueError(
                f"not a full ARM id: {text!r}; it reads "
                "/subscriptions/<id>/resourceGroups/<group>/providers/<namespace>/<type>/<name>"
            )
        rest = segments[7:]
        return ArmId(segments[2], segments[4], segments[6], tuple(zip(rest[::2], rest[1::2], strict=True)))

    def child(self, kind: str, name: str) -> ArmId:
        """The id of a resource inside this one: `child("batchEndpoints", "digits")`.

        Raises ValueError when `name` cannot be a part of a path.
        """
        for what, segment in (("type", kind), ("name", name)):
            if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
                raise ValueError(f"{what} cannot be part of an ARM id: {segment!r}")
        return ArmId(self.subscription, self.group, self.namespace, (*self.pairs, (kind, name)))

    @property
    def name(self) -> str:
        return self.pairs[-1][1]

    @property
    def type(self) -> str:
        """As ARM writes it: `Microsoft.MachineLearningServices/workspaces/batchEndpoints`."""
        return "/".join((self.namespace, *(kind for kind, _ in self.pairs)))

    @property
    def parent(self) -> ArmId | None:
        """The resource this one lies in; None for one that lies directly in the resource group."""
        if len(self.pairs) == 1:
            return None
        return ArmId(self.subscription, self.group, self.namespace, self.pairs[:-1])

    def part(self, kind: str) -> str:
        """The name after the type `kind`, in any case: `part("workspaces")`. Raises ValueError when there is none."""
        for found, name in self.pairs:
            if found.lower() == kind.lower():
                return name
        raise ValueError(f"no {kind} in {str(self)!r}")

    def __str__(self) -> str:
        pairs = "".join(f"/{kind}/{name}" for kind, name in self.pairs)
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{self.namespace}{pairs}"


def workspace_id(subscription: str, group: str, workspace: str) -> ArmId:
    """The id of an Azure Machine Learning workspace. Raises ValueError when one of them cannot be part of a path."""
    for what, value in (("subscription", subscription), ("resource group", group)):
        if not _SEGMENT.fullmatch(value):
            raise ValueError(f"{what} cannot be part of an ARM id: {value!r}")
    return ArmId(subscription, group, _AML, ()).child("workspaces", workspace)


def same_id(one: str | ArmId, other: str | ArmId) -> bool:
    """Whether two ids name the same resource: equal without regard to case and to a slash at the end."""
    return str(one).rstrip("/").lower() == str(other).rstrip("/").lower()


def folded(text: str) -> str:
    """An id in one spelling, for hashes: names down to the workspace in lower case, those below it as they are.

    ARM's own words are in ARM's spelling, which the hashes of earlier releases were made of. What names no workspace
    (an id in a registry, a link) stays as it is.
    """
    try:
        parsed = ArmId.parse(text.rstrip("/"))
    except ValueError:
        return text
    (kind, name), *_ = parsed.pairs
    namespace = _AML if parsed.namespace.lower() == _AML.lower() else parsed.namespace.lower()
    above = len(str(ArmId(parsed.subscription, parsed.group, parsed.namespace, parsed.pairs[:1])))
    top = ArmId(parsed.subscription.lower(), parsed.group.lower(), namespace, ((kind.lower(), name.lower()),))
    return str(top) + text[above:].rstrip("/")
