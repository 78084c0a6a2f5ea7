"""What of a stack is left behind, as values: what no state knows of all that was found, why it is there, what to do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

ASSETS = ("code", "model", "environment")
ANYTHING = "anything"
"""Could not be looked at: nobody is signed in."""
PATH = "path"
"""Instead of a marker, for blobs that nothing registered names: they are the stack's by where they lie."""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something in the cloud that is the stack's."""

    id: str
    """ARM id; of blobs, the url of their folder."""
    kind: str
    """endpoint, deployment, code, model, environment, data, compute, upload, outputs, job, role assignment, resource
    group, deleted key vault, or ARM's type."""
    marker: str
    """That it carries; of blobs, that of what is made of them, or PATH."""
    facts: str = ""
    """Half a sentence for people: what state it is in, how much it is."""
    within: str = ""
    """Id of what it goes with, for what is part of something."""
    used_by: tuple[str, ...] = ()
    """Ids of deployments that need it, whosoever they are; of blobs, of a version of somebody else's made of them."""
    content_of: str = ""
    """Id of the version that is made of these blobs."""
    location: str = ""
    """Region, of what is purged."""
    container: str = ""
    """Url of the container of blobs whose datastore is gone."""


@dataclass(frozen=True)
class Unread:
    """A place that could not be looked at."""

    what: str
    error: str
    """Two lines, as everywhere."""


@dataclass(frozen=True)
class Found:
    """All that is the stack's, of whatever life, and what nobody could look at."""

    things: Sequence[Thing] = ()
    unread: Sequence[Unread] = ()


@dataclass(frozen=True)
class Known:
    """What a state says."""

    ids: frozenset[str] = frozenset()
    """Of resources, folded to lower case."""
    paths: frozenset[str] = frozenset()
    """Datastore uris, in lower case, of uploads and of places that jobs write to."""
    markers: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()
    """Ids that the stack leaves behind on purpose (`keep_assets`)."""
    pending: Mapping[str, str] = field(default_factory=dict)
    """Last part of an id, in lower case -> URN, of creations by azure-native that were cut off."""

    def has(self, thing: Thing) -> bool:
        if thing.kind in ("upload", "outputs"):
            return any(f"{thing.id}/".endswith(f"/{path.partition('/paths/')[2].strip('/')}/") for path in self.paths)
        return thing.id.rstrip("/").lower() in self.ids


def known(
    resources: Iterable[Mapping[str, Any]], markers: Sequence[str], cut_off: Iterable[Mapping[str, Any]]
) -> Known:
    """Out of a state's resources, its markers, and the resources whose creation was cut off."""
    ids, paths, kept, pending = set(), set(), set(), {}
    for each in resources:
        outputs = {**(each.get("inputs") or {}), **(each.get("outputs") or {})}
        if each.get("id"):
            ids.add(str(each["id"]).rstrip("/").lower())
        if each.get("retainOnDelete"):
            kept.add(str(each.get("id")).rstrip("/").lower())
        paths |= {str(outputs[name]) for name in ("uri", "output_uri", "jobs_uri") if outputs.get(name)}
    for each in cut_off:
        if str(each.get("type")).startswith("azure-native:"):
            pending[str(each["urn"]).rpartition("::")[2].lower()] = str(each["urn"])
    return Known(frozenset(ids), frozenset(paths), tuple(markers), frozenset(kept), pending)


def left(found: Iterable[Thing], state: Known, *, keeps: bool = False) -> list[Thing]:
    """What no state knows and nothing of the stack's needs; the order stays.

    `keeps`: the stack leaves assets behind for others (`keep_assets`): those that somebody uses are no leftovers.
    """
    things = list(found)
    spared = {each.id for each in things if state.has(each) or _needed(each, state, keeps=keeps)}
    return [each for each in things if each.id not in spared and each.content_of not in spared]


def _needed(thing: Thing, state: Known, *, keeps: bool) -> bool:
    if thing.kind == "job" and thing.within.lower() in state.ids:  # somebody scores on the living stack
        return True
    if thing.id.rstrip("/").lower() in state.kept or any(each.lower() in state.ids for each in thing.used_by):
        return True
    return keeps and thing.kind in ASSETS and bool(thing.used_by)


def without_assets(things: Iterable[Thing]) -> list[Thing]:
    """All but assets and their content."""
    return [each for each in things if each.kind not in ASSETS and not each.content_of]


def mine(things: Iterable[Thing], markers: Iterable[str]) -> list[Thing]:
    """What carries one of these markers."""
    wanted = set(markers)
    return [each for each in things if each.marker in wanted]


def groups(things: Sequence[Thing], state: Known) -> Iterator[tuple[str, list[Thing]]]:
    """(marker, its things): the state's own first, what no marker is known of last; in a group by kind."""
    order = dict.fromkeys([*state.markers, *sorted({each.marker for each in things} - {PATH}), PATH])
    for marker in order:
        of_it = sorted(mine(things, [marker]), key=_shown)
        if of_it:
            yield marker, of_it


def why(marker: str, state: Known, stack: str) -> str:
    """Why things of this marker are there."""
    if marker == PATH:
        return "blobs at the stack's path: nothing registered is made of them, and no state knows them"
    if marker in state.markers:
        return "this stack's own marker: a run was cut off between the cloud and its state, which does not know them"
    return (
        f"no state has this marker: they are of an earlier life of stack {stack}, whose state is lost, or of somebody "
        "else's stack of this name"
    )


def next_command(marker: str, things: Sequence[Thing], state: Known, stack: str, *, keeps: bool = False) -> str:
    """The command that deletes those of the things that carry a marker; blobs without one go with all the others."""
    if keeps and all(each.kind in (*ASSETS, "upload") for each in mine(things, [marker])):
        return f".venv/bin/python -m stacks prune {stack}"
    wanted = {each.marker for each in things} - {PATH} if marker == PATH else {marker}
    named = "".join(f" --marker {each}" for each in sorted(wanted - set(state.markers)))
    lost = {each.container for each in things if each.container and each.marker in (marker, PATH)}
    named += "".join(f" --container {each}" for each in sorted(lost))
    return f".venv/bin/python -m stacks leftovers {stack} --delete{named}"


def in_the_way(marker: str, things: Sequence[Thing]) -> list[str]:
    """Deployments beside these things without whose end nothing of a marker can go; none where something can."""
    ids = {each.id for each in things}
    blocked: set[str] = set()
    for each in mine(things, [marker]):
        users = set(each.used_by) - ids
        if not users and not each.content_of:
            return []
        blocked |= users
    return sorted(blocked)


def taking(thing: Thing, state: Known, stack: str) -> str:
    """The command that brings a creation that was cut off into the state, empty for anything else."""
    urn = state.pending.get(thing.id.rpartition("/")[2].lower())
    return f".venv/bin/python -m stacks take {stack} '{urn}' '{thing.id}'" if urn else ""


def deletable(things: Sequence[Thing], state: Known, chosen: Iterable[str]) -> tuple[list[Thing], dict[str, str]]:
    """What is to be deleted, in the order of deletion, and what of these markers stays: id -> why.

    `chosen` are markers beside the state's own. Blobs that nothing is made of go when no other life has anything left:
    they might be its. What is part of something that goes, goes with it.
    """
    wanted = {*state.markers, *chosen}
    others = {each.marker for each in things} - wanted - {PATH}
    going = {each.id for each in things if each.marker in wanted and each.kind in ("endpoint", "deployment")}
    going |= {each.id for each in things if each.within in going}
    stay: dict[str, str] = {}
    things = [each for each in things if each.marker in (PATH, *wanted)]
    for each in things:
        users = [user for user in each.used_by if user not in going]
        if each.marker == PATH and others:
            stay[each.id] = f"it may belong to {', '.join(sorted(others))}, which is not to be deleted"
        elif users:
            stay[each.id] = f"{users[0]} uses it"
    for each in things:
        if each.content_of in stay:
            stay.setdefault(each.id, f"{each.content_of} is made of it, and stays")
    go = [each for each in things if each.id not in stay and (each.kind == "job" or each.within not in going)]
    return sorted(go, key=_rank), stay


_ORDER = (
    *("job", "deployment", "endpoint", "code", "model", "environment", "data", "compute", "outputs", "upload"),
    *("role assignment", "microsoft.machinelearningservices/workspaces", "microsoft.keyvault/vaults"),
)
_LAST = ("deleted key vault", "resource group")


def _shown(thing: Thing) -> tuple[int, str]:
    """An endpoint before its deployments."""
    return (-1, thing.id) if thing.kind == "endpoint" else _rank(thing)


def _rank(thing: Thing) -> tuple[int, str]:
    if thing.kind.lower() in _ORDER:
        return _ORDER.index(thing.kind.lower()), thing.id
    return len(_ORDER) + 1 + (_LAST.index(thing.kind) + 1 if thing.kind in _LAST else 0), thing.id


def assigned(
    blobs: Iterable[Thing], made: Mapping[str, tuple[str, str]], endpoints: Mapping[str, str]
) -> Iterator[Thing]:
    """Blobs with the marker of what is made of them.

    `made`: id of a version -> datastore uri or url of its content, and its marker, empty for somebody else's.
    `endpoints`: name -> marker, for the outputs of its jobs.
    """
    for each in blobs:
        if each.kind == "outputs":
            yield replace(each, marker=endpoints.get(each.id.rstrip("/").rpartition("/")[2], PATH))
            continue
        path = "/".join(each.id.rstrip("/").split("/")[-4:])
        of_it = {id_: marker for id_, (place, marker) in made.items() if f"/{path}/" in f"{place}/"}
        version, marker = next((one for one in of_it.items() if one[1]), ("", PATH))
        others = tuple(id_ for id_, whose in of_it.items() if not whose)
        yield replace(each, marker=marker, content_of=version, used_by=others)
