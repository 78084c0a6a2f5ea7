"""What a stack with `keep_assets` has left for others, and what of it nobody uses: `python -m stacks prune STACK`.

Run by stacks/__main__.py as `python -m stacks.pruning STACK --settings FILE --state FILE`, inside the lab for a lab's
stack. It is `leftovers` for assets alone, of whatever life of the stack, and asks nobody, since nobody needs them.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from stacks import clearing, remains
from stacks.engine import CannotRun
from stacks.leftovers import look
from stacks.remains import ASSETS, Known, Thing
from stacks.state import State
from stacks.where import where


def unused(left: Iterable[Thing], known: Known) -> list[Thing]:
    """Of what no state knows: assets and uploads that nobody uses, in the order of deletion."""
    things = [each for each in left if each.kind in (*ASSETS, "upload") and not each.used_by]
    going, _ = remains.deletable(things, known, {each.marker for each in things})
    return going


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m stacks prune")
    parser.add_argument("stack")
    for name in ("--settings", "--state"):
        parser.add_argument(name, type=Path, required=True, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    try:
        place = replace(where(asked.stack, asked.settings), keep_assets=True)
    except CannotRun as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    seen = look(place, State(json.loads(asked.state.read_text(encoding="utf-8")) or {}))
    for place_ in seen.unread:
        print(f"could not look at {place_.what}: {place_.error}", file=sys.stderr)
    going = unused(seen.left, seen.known)
    failed = clearing.clear(place, going, lambda line: print(line, flush=True))
    for id_, why in failed.items():
        print(f"error: {id_} is not deleted: {why}", file=sys.stderr)
    print(f"{len(going) - len(failed) or 'nothing'} of stack {asked.stack} was kept and is used by nobody")
    return 1 if failed or seen.unread else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
