"""`python -m stacks leftovers STACK`: what the stack left behind, by its marker; and with `--delete`, its end.

Run by stacks/__main__.py as `python -m stacks.leftovers STACK --settings FILE --state FILE`, inside the lab for a lab's
stack. Exit codes: 0 nothing is left; 1 something is; 2 nobody can say, as a place could not be looked at, or it cannot
be run.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from providers.amounts import counted
from stacks import remains
from stacks.engine import CannotRun
from stacks.marked import search
from stacks.remains import ANYTHING, PATH, Known, Thing, Unread
from stacks.state import State
from stacks.where import Where, where

NOTHING, LEFT, UNKNOWN = 0, 1, 2


@dataclass(frozen=True)
class Look:
    """What was found, and beside which state."""

    place: Where
    state: State | None
    """None where there is no such stack: everything that was found is left over then."""
    known: Known
    left: Sequence[Thing]
    unread: Sequence[Unread]
    stays: Mapping[str, str] = field(default_factory=dict)
    """Id -> why it was not deleted."""

    @property
    def stack(self) -> str:
        return self.place.stack

    @property
    def code(self) -> int:
        return UNKNOWN if self.unread else LEFT if self.left else NOTHING

    def next_command(self, marker: str) -> str:
        return remains.next_command(marker, self.left, self.known, self.stack, keeps=self.place.keep_assets)


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    logging.getLogger("azure").addHandler(logging.NullHandler())  # what it says stands in the errors, too
    try:
        place = where(asked.stack, asked.settings)
        given = json.loads(asked.state.read_text(encoding="utf-8"))
        state = State(given) if given is not None else None
        seen = look(place, state, after_destroy=asked.after_destroy, containers=asked.container)
        if asked.delete and seen.left:
            seen = _deleted(seen, asked, sys.stderr if asked.json else sys.stdout)
    except CannotRun as reason:
        print(f"error: {reason}", file=sys.stderr)
        return UNKNOWN
    if asked.json:
        print(json.dumps(document(seen), indent=2))
        return seen.code
    if asked.after_destroy:
        lines, stream = after_destroy(seen), sys.stderr if seen.left else sys.stdout
    else:
        lines, stream = report(seen), sys.stdout
    for line in lines:
        print(line, file=stream)
    for each in seen.unread:
        print(f"could not look at {each.what}: {each.error}", file=sys.stderr)
    return seen.code


def look(place: Where, state: State | None, *, after_destroy: bool = False, containers: Sequence[str] = ()) -> Look:
    """Look for what is left. After a destroy, `state` is what was before it: of that, only what was kept may be there.

    What was kept on purpose, now or earlier, and what other lives have left is not the destroy's to tell.
    """
    resources = state.resources if state else []
    if _ids(resources, "azureml:Purge"):
        place = place.with_foundation()
    known = remains.known(resources, state.markers, state.cut_off) if state else Known()
    urls = [str(each["id"]) for each in resources if str(each["type"]).endswith("BlobFolder")]
    if after_destroy:  # a storage account of the stack's own is gone, and its blobs with it
        own = {
            str(each["id"]).rpartition("/")[2] for each in resources if str(each["type"]).endswith(":StorageAccount")
        }
        urls = [url for url in urls if url.partition("://")[2].partition(".")[0] not in own]
    found = search(place, [*urls, *containers])
    if after_destroy:
        known = Known(markers=known.markers, kept=known.kept, pending=known.pending)
    left = remains.left(found.things, known, keeps=place.keep_assets)
    if after_destroy:
        left = remains.mine(left, [*known.markers, PATH])
        if place.keep_assets:
            left = remains.without_assets(left)
    return Look(place, state, known, left, found.unread)


def _ids(resources: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """Of the resources whose type ends so."""
    return [str(each["id"]) for each in resources if str(each["type"]).endswith(kind) and each.get("id")]


def report(seen: Look) -> Iterator[str]:
    """What a person reads."""
    there = len(list(seen.state.things())) if seen.state else 0
    if not seen.left:
        beside = "its state does not know" if there else "carries its marker"
        if any(each.what == ANYTHING for each in seen.unread):
            return
        if seen.unread:
            yield f"not everything could be looked at; elsewhere nothing of stack {seen.stack} is left that {beside}"
        else:
            yield f"nothing of stack {seen.stack} is left that {beside}"
    for marker, of_it in remains.groups(seen.left, seen.known):
        yield f"{counted(len(of_it), 'thing')} left, {'without a marker' if marker == PATH else f'marker {marker}'}"
        yield f"  {remains.why(marker, seen.known, seen.stack)}"
        for each in of_it:
            yield from _lines(each, seen)
        others = remains.in_the_way(marker, seen.left)
        first = f"once {', '.join(others)} is gone: " if others else ""
        yield f"  next: {first}{seen.next_command(marker)}"
        if marker in seen.known.markers and there:
            yield f"  or: make up STACK={seen.stack} takes up again what its program still wants"
    if there:
        yield f"its state has {counted(there, 'resource')} beside: `make destroy STACK={seen.stack}` deletes them"
    if seen.state and seen.state.cut_off and not there and not seen.left:
        names = ", ".join(str(each["urn"]).rpartition("::")[2] for each in seen.state.cut_off)
        yield (
            f"its state notes creations that were cut off ({names}), of which nothing is there: "
            f'`make refresh STACK={seen.stack} ARGS="--clear-pending-creates"` forgets them'
        )


def after_destroy(seen: Look) -> Iterator[str]:
    """What a destroy says at its end."""
    if not seen.left:
        if not seen.unread:
            yield f"nothing is left that carries the marker of stack {seen.stack}"
        return
    yield f"the state of stack {seen.stack} is empty, but not the cloud; of what carries its marker this is left:"
    for each in seen.left:
        yield from _lines(each, seen)
    marker = next((each.marker for each in seen.left if each.marker != PATH), PATH)
    yield f"why: {remains.why(marker, seen.known, seen.stack)}"
    yield f"next: {remains.next_command(marker, seen.left, Known(), seen.stack)}"


def document(seen: Look) -> dict[str, Any]:
    """What a program reads."""
    return {
        "stack": seen.stack,
        "workspace": seen.place.workspace_id,
        "markers": list(seen.known.markers),
        "left": [
            {
                **{name: value for name, value in asdict(each).items() if value},
                "marker": None if each.marker == PATH else each.marker,
                "why": remains.why(each.marker, seen.known, seen.stack),
                "next": seen.next_command(each.marker),
                **({"take": taking} if (taking := remains.taking(each, seen.known, seen.stack)) else {}),
                **({"not_deleted": seen.stays[each.id]} if each.id in seen.stays else {}),
            }
            for each in seen.left
        ],
        "unread": [asdict(each) for each in seen.unread],
    }


def _lines(thing: Thing, seen: Look) -> Iterator[str]:
    facts = [
        thing.facts,
        f"goes with {thing.within.rpartition('/')[2]}" if thing.within and thing.kind != "job" else "",
        f"used by {', '.join(each.rpartition('/')[2] for each in thing.used_by)}" if thing.used_by else "",
    ]
    told = "; ".join(each for each in facts if each)
    yield f"    {thing.kind}  {thing.id}{f'  ({told})' if told else ''}"
    if taking := remains.taking(thing, seen.known, seen.stack):
        yield f"      its creation was cut off; to go on with it instead: {taking}"
    if thing.id in seen.stays:
        yield f"      not deleted: {seen.stays[thing.id]}"


def _deleted(seen: Look, asked: argparse.Namespace, stream: TextIO) -> Look:
    """Delete what may be, and look again."""
    from stacks import clearing  # and with it Pulumi, which looking has no use for

    there = {each.marker for each in seen.left} | set(seen.known.markers)
    if strange := sorted(set(asked.marker) - there):
        raise CannotRun(f"nothing that is left carries {', '.join(strange)}; nothing was deleted")
    going, stays = remains.deletable(seen.left, seen.known, asked.marker)
    if going and not asked.yes and not _confirmed(seen.stack, going, stream):
        return seen
    stays |= clearing.clear(seen.place, going, lambda line: print(line, file=stream, flush=True))
    return replace(look(seen.place, seen.state, containers=asked.container), stays=stays)


def _confirmed(stack: str, going: Sequence[Thing], stream: TextIO) -> bool:
    """Ask, naming all of it. Raises CannotRun where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise CannotRun(f"--delete asks before it deletes these {len(going)}, and nobody is there to answer: add --yes")
    for each in going:
        print(f"  {each.kind}  {each.id}", file=stream)
    print(f"Delete these {len(going)}, for good? Type the name of the stack to go on:", file=stream, flush=True)
    return sys.stdin.readline().strip() == stack


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stacks leftovers", description="What a stack left behind that its state does not know."
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--delete", action="store_true", help="delete what is left, after a question")
    parser.add_argument("--marker", action="append", default=[], help="with --delete: of another life, too; repeatable")
    parser.add_argument("--yes", action="store_true", help="with --delete: without the question")
    parser.add_argument(
        "--no-state", action="store_true", help="as if the state were lost: everything is left over then"
    )
    parser.add_argument(
        "--container", action="append", default=[], help="url of a container whose datastore is gone; repeatable"
    )
    for name in ("--settings", "--state"):
        parser.add_argument(name, type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--after-destroy", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
