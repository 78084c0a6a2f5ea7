"""What a `destroy` says that could not delete everything: exactly what is left, and the next command."""

from collections.abc import Iterable, Iterator, Sequence

from stacks.state import State

_NAMED = 20
"""So many are named one by one."""


def still_there(stack: str, state: State, failed: Sequence[str]) -> Iterator[str]:
    """Lines about what a destroy that did not end well has left, by its state. `failed`: URNs of what it failed on."""
    things = list(state.things())
    if not things and not state.resources:
        return
    if not things:
        yield f"of stack {stack} its state is left, and nothing in the cloud"
    else:
        yield f"of stack {stack} this is left, {len(things)} of the state's resources:"
        for each in things[:_NAMED]:
            because = "  (failed, see above)" if each["urn"] in failed else ""
            yield f"  {each.get('id') or each['urn']}{because}"
        if len(things) > _NAMED:
            yield f"  and {len(things) - _NAMED} more: .venv/bin/python -m stacks export {stack} --file PATH names them"
        if failed:
            yield "the others were not begun: they come after what failed"
    yield f"next: mend what the errors name, then make destroy STACK={stack}; it goes on where it stopped"


def about_locks(stack: str, holders: Sequence[str]) -> str:
    """What to do about a lock that is not known to be dead."""
    return (
        f"stack {stack} is locked by {'; '.join(holders)}. If that run is no more (a CI job that timed out, a machine "
        f"that is gone): make cancel STACK={stack}, then the same command again. Nothing was changed"
    )


def about_protection(stack: str, ids: Sequence[str]) -> str:
    """What to do where something of the stack is protected: an engine would delete what comes before it."""
    return (
        f"{', '.join(ids)} is protected; nothing was deleted. To end the stack, set `protect: false` on the endpoint "
        f"in stacks/Pulumi.{stack}.yaml, make up STACK={stack}, then make destroy STACK={stack}; without its program, "
        "`pulumi state unprotect <urn>` does the same"
    )


def about_file(stack: str) -> str:
    """What to do where the stack file cannot be read and nothing is kept of it."""
    return (
        f"nothing was deleted: what to delete is in the state, but where that is says stacks/Pulumi.{stack}.yaml. "
        f"Bring it back (git checkout -- stacks/Pulumi.{stack}.yaml; a short-lived stack's by .venv/bin/python -m "
        f"stacks.short_lived dev {stack}), then make destroy STACK={stack}"
    )


def about_code(said: str) -> str:
    """What to do where this project's own code cannot be loaded; `said` is why."""
    return (
        f"this project's own code cannot be loaded ({' '.join(said.split())}). How each thing is deleted is in "
        "providers/: bring it back (git checkout -- providers stacks, or a clean clone), then the same command again"
    )


def unloadable(messages: Iterable[str]) -> str:
    """Why providers could not be loaded, out of an engine's errors: a traceback's end; empty where they could."""
    for message in messages:
        if "in get_provider" in message:
            return message.strip().splitlines()[-1]
    return ""
