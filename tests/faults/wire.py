"""The matrix of kinds and faults in one process, without an engine: `python -m lab run -- python -m tests.faults.wire`.

What an engine would do is here a few lines (`Stack`): create, else diff and update; keep what is recorded of a failure.
Writes a JSON list of cells to stdout.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from providers import schema
from providers.aml import submission
from providers.aml.refusal import Refusal
from providers.arm import ArmError
from providers.dynamic_host import InitFailed
from providers.explanations import told
from providers.kind import UNFINISHED, writable
from providers.ownership import TAG
from providers.schema import LOCAL, REPLACE, UPDATE, Bag
from tests.faults.cloud import BlobFault, Cloud
from tests.faults.report import FAILED, NONE, PASSED, Cell, as_json
from tests.faults.small_checkout import OPERATION_SECONDS
from tests.faults.subjects import OWNER, STRANGER, SUBJECTS, BlobFolder, Subject, scratch

LISTING_SECONDS = 1.5
"""Instead of 30: how long a job that may have been started is looked for. The lab lists it at once."""
SLOW = 2.5
"""Seconds of an operation, where a case is about its taking long: longer than a busy machine needs to look at it."""


class NotApplicable(Exception):
    """The case has no meaning for the kind; the text says why."""


class Stack:
    """What an engine keeps of one resource, and what it does at each `up`."""

    def __init__(self, subject: Subject, bag: Bag) -> None:
        self.subject, self.bag = subject, bag
        self.id: str | None = None
        self.outs: Bag = {}

    def up(self, bag: Bag | None = None) -> None:
        self.bag = bag or self.bag
        kind = self.subject.kind
        try:
            if self.id is None:
                created = kind.create(self.bag)
                self.id, self.outs = created.id, dict(created.outs or {})
            elif self.planned():
                self.outs = dict(kind.update(self.id, self.outs, self.bag).outs or {})
        except InitFailed as failed:
            self.id, self.outs = failed.resource_id, failed.outs
            raise

    def planned(self) -> bool:
        assert self.id is not None
        return bool(self.subject.kind.diff(self.id, self.outs, self.bag).changes)

    def refresh(self) -> Bag:
        """State as read; the inputs as read."""
        assert self.id is not None
        read = self.subject.kind.read(self.id, self.outs)
        if not read.id:
            self.id, self.outs = None, {}
            return {}
        self.outs = dict(read.outs or {})
        return dict(read.inputs or {})

    def destroy(self) -> None:
        assert self.id is not None
        self.subject.kind.delete(self.id, self.outs)
        self.id = None


Case = Callable[[Subject], None]


def create(subject: Subject) -> None:
    stack = up(subject)

    assert subject.there(stack.bag), "it is not there"
    wrong = {name: stack.outs.get(name) for name, value in stack.bag.items() if stack.outs.get(name) != value}
    assert not wrong, f"state differs from inputs: {wrong}"


def no_op(subject: Subject) -> None:
    stack = up(subject)

    again = subject.kind.check(stack.bag, stack.bag)
    assert (again.inputs, again.failures) == (stack.bag, []), "check is not idempotent"
    assert not stack.planned()


def _another(value: object) -> object:
    """Of the same type, and not the same; a property that is not set gets a number."""
    return f"{value}-other" if isinstance(value, str) else 1 if not isinstance(value, int) else value + 1


def update_each(subject: Subject) -> None:
    """Every property that is declared as updated in place, one after the other."""
    fixed = getattr(subject, "fixed", ())
    declared = schema.properties(subject.kind.args)
    mutable = [name for name, each in declared.items() if each.change == UPDATE and name not in fixed]
    if not mutable:
        raise NotApplicable("no property is updated in place")
    if subject.by_post:
        bag = subject.new()
        for name in mutable:
            planned = subject.kind.diff("x", bag, bag | {name: _another(bag.get(name))})
            assert (planned.changes, planned.replaces) == (True, []), f"{name}: {planned.replaces}"
        return
    optional = {"compute", "code_configuration", "model", "environment_id", "deployment_configuration"}
    missing = set(mutable) - set(subject.others) - optional
    assert not missing, f"the matrix has no other value for {missing}"
    for name in (name for name in mutable if name in subject.others):
        stack = up(subject)
        changed = stack.bag | {name: subject.others[name]}
        planned = subject.kind.diff(str(stack.id), stack.outs, changed)
        assert (planned.changes, planned.replaces) == (True, []), f"{name}: {planned.replaces}"
        stack.up(changed)
        assert not stack.planned(), f"{name} is planned again"
        stack.refresh()
        assert not stack.planned(), f"{name} is drift after its update"


def keep_local(subject: Subject) -> None:
    """What is kept in state alone sends no write."""
    stack = up(subject)
    local = [name for name, each in schema.properties(subject.kind.args).items() if each.change == LOCAL]
    changed = stack.bag | {"deadline": "PT7M"}
    assert "deadline" in local
    mark = len(writes(subject, stack.bag))
    stack.up(changed)
    assert stack.outs["deadline"] == "PT7M"
    assert len(writes(subject, stack.bag)) == mark, "something was sent"


def replace_each(subject: Subject) -> None:
    declared = schema.properties(subject.kind.args)
    immutable = [name for name, each in declared.items() if each.change == REPLACE]
    bag = subject.new()
    for name in immutable:
        planned = subject.kind.diff("x", bag, bag | {name: "something-else"})
        assert planned.replaces == [name], f"{name}: {planned.replaces}"
        assert planned.delete_before_replace
    if not immutable:
        raise NotApplicable("no property replaces it")


def refresh_no_op(subject: Subject) -> None:
    stack = up(subject)
    before = dict(stack.outs)

    inputs = stack.refresh()

    assert inputs == stack.bag, f"{differing(inputs, stack.bag)}"
    assert stack.outs == before, f"{differing(stack.outs, before)}"
    assert not stack.planned()


def drift_detected(subject: Subject) -> None:
    stack = up(subject)
    name = spoiled(subject, stack)

    inputs = stack.refresh()

    assert differing(inputs, stack.bag) == [name]


def drift_repaired(subject: Subject) -> None:
    stack = up(subject)
    spoiled(subject, stack)
    stack.refresh()

    stack.up()
    stack.refresh()

    assert not stack.planned()


def deleted_behind(subject: Subject) -> None:
    """Somebody deletes it: a refresh forgets it, and `up` makes it again."""
    if not subject.talks:
        raise NotApplicable("nothing exists outside the state")
    if subject.by_post:
        stack = up(subject)
        until_ended(subject, stack)
        subject.take(stack.bag)
        stack.refresh()
        assert not stack.planned(), "a deleted old job is drift"
        return
    stack = up(subject)
    subject.take(stack.bag)

    stack.refresh()
    assert stack.id is None
    stack.up()

    assert subject.there(stack.bag)


def adopt_own(subject: Subject) -> None:
    """The state was lost: the next run finds what it made."""
    stack = up(subject)
    if not subject.talks:
        raise NotApplicable("nothing exists outside the state")

    other = Stack(subject, stack.bag)
    other.up()

    assert other.id == stack.id
    assert subject.made(stack.bag) == 1


def refuse_foreign(subject: Subject) -> None:
    stack = foreign(subject)
    mark = len(writes(subject, stack.bag))

    mine = Stack(subject, stack.bag | {"owner": OWNER})
    refused = expect(Refusal, mine.up)

    assert STRANGER in refused
    assert len(writes(subject, stack.bag)) == mark, "it was touched"
    if "adopt" in schema.properties(subject.kind.args):
        assert "adopt: true" in refused, refused
        mine.up(mine.bag | {"adopt": True})
        assert not mine.planned()


def keep_foreign(subject: Subject) -> None:
    """A stranger's is not deleted, either."""
    stack = foreign(subject)
    if subject.name == "DefaultDeployment":
        raise NotApplicable("it goes with its endpoint")

    refused = Stack(subject, stack.bag)
    refused.id, refused.outs = stack.id, stack.outs | {"owner": OWNER}
    expect(Refusal, refused.destroy)

    assert subject.there(stack.bag)


def taken_over(subject: Subject) -> None:
    """Another stack adopts it: this one neither writes nor deletes it any more, until it takes it back on purpose."""
    if not subject.talks or subject.adoptable:
        raise NotApplicable(subject.adoptable or "nothing exists outside the state")
    if subject.name == "DefaultDeployment":
        raise NotApplicable("it goes with its endpoint")
    stack = up(subject)
    Stack(subject, stack.bag | {"owner": STRANGER, "adopt": True}).up()
    mark = len(writes(subject, stack.bag))

    changed = stack.bag | {"description": "other"}
    for refreshed in (False, True):
        if refreshed:
            stack.refresh()
        told_of = expect(Refusal, lambda: stack.up(changed))
        assert STRANGER in told_of
        assert "adopt: true" in told_of, told_of
    expect(Refusal, stack.destroy)
    assert len(writes(subject, stack.bag)) == mark, "it was touched"

    stack.up(changed | {"adopt": True})
    stack.refresh()
    assert not stack.planned()


def others_tags(subject: Subject) -> None:
    """Tags that a policy puts there are no drift, and outlive an update."""
    if not subject.talks or subject.adoptable:
        raise NotApplicable("it bears no tags")
    stack = up(subject)
    claim(subject, stack.bag, policy="theirs")
    stack.refresh()
    assert not stack.planned(), "somebody's tag is drift"

    stack.up(stack.bag | {"deployment_name": "green"} if subject.name == "DefaultDeployment" else changed_in(stack))

    body = subject.cloud.get(subject.id_of(stack.bag)) or {}
    tags = body.get("tags") or body["properties"]["tags"]
    assert (tags["policy"], tags[TAG]) == ("theirs", OWNER)


def changed_in(stack: Stack) -> Bag:
    return stack.bag | {"description": "other", "tags": {"team": "green"}}


def lost_answer(subject: Subject) -> None:
    healed(subject, action="drop", when="after")


def half_answer(subject: Subject) -> None:
    healed(subject, action="cut")


def stalled(subject: Subject) -> None:
    """Half a body and then nothing: given up, and asked again. A POST is waited for instead."""
    with patched("providers.arm.wire", STALL=0.3):
        healed(subject, action="stall", seconds=1.0)


def dropped_before(subject: Subject) -> None:
    healed(subject, action="drop", when="before")


def unavailable(subject: Subject) -> None:
    healed(subject, action="reply", status=503, body=said("ServiceUnavailable"), times=2)


def timed_out(subject: Subject) -> None:
    healed(subject, action="reply", status=408, body=said("RequestTimeout"))


def gateway_lost(subject: Subject) -> None:
    """A 504 of what was carried out all the same."""
    healed(subject, action="reply", status=504, body=said("GatewayTimeout"), when="after")


def throttled(subject: Subject) -> None:
    mark = len(subject.cloud.pauses)
    healed(
        subject, action="reply", status=429, body=said("TooManyRequests"), headers={"Retry-After": "7"}, at_once=True
    )
    if subject.name == "BlobFolder":
        return  # the storage SDK sleeps by itself
    assert max(subject.cloud.pauses[mark:]) >= 7, "Retry-After was not obeyed"


def html(subject: Subject) -> None:
    healed(subject, action="reply", status=200, text="<html><title>Sign in</title></html>")


def expired_token(subject: Subject) -> None:
    healed(subject, action="reply", status=401, body=said("ExpiredAuthenticationToken"), at_once=True)


def sibling_conflict(subject: Subject) -> None:
    if subject.name in ("BlobFolder", "CodeVersion", "ModelVersion"):
        raise NotApplicable("it has no siblings that operations run on")
    healed(subject, action="reply", status=409, body=said("AnotherOperationInProgress"), times=3)


def absent_after_put(subject: Subject) -> None:
    if subject.name in ("BlobFolder", "ScoringJob"):
        raise NotApplicable("it is not read after it was written")
    bag = needs_talk(subject).new()
    stack = Stack(subject, bag)
    if subject.name == "DefaultDeployment":
        raise NotApplicable("the endpoint is there before; see BatchEndpoint")
    # The first GET finds nothing anyhow.
    subject.cloud.faults(
        {
            "match": {"method": "GET", "path": subject.url(bag)},
            "times": 3,
            "action": "reply",
            "status": 404,
            "body": said("NotFound"),
        }
    )
    stack.up()
    stack.refresh()
    assert stack.id is not None
    assert not stack.planned()


def operation_fails(subject: Subject, outcome: str = "Failed") -> None:
    stack = with_operations(subject)
    subject.strike(stack.bag, action="outcome", outcome=outcome, message="no luck")

    why = expect(InitFailed, stack.up)

    assert "no luck" in why, why
    assert stack.id, "it is not recorded"
    assert stack.outs[UNFINISHED]
    stack.up()
    assert UNFINISHED not in stack.outs
    assert subject.there(stack.bag)
    stack.refresh()
    assert not stack.planned()


def operation_canceled(subject: Subject) -> None:
    operation_fails(subject, "Canceled")


def failed_and_destroyed(subject: Subject) -> None:
    """What failed to come up is deleted by the next destroy, since it is recorded."""
    stack = with_operations(subject)
    if subject.name == "DefaultDeployment":
        raise NotApplicable("it goes with its endpoint")
    subject.strike(stack.bag, action="outcome", outcome="Failed", message="no luck")
    expect(InitFailed, stack.up)

    stack.destroy()

    assert not subject.there(stack.bag)


def broken_off(subject: Subject) -> None:
    """An upload of which a part has arrived is recorded: the next up goes on with it, a destroy takes it away."""
    if not isinstance(subject, BlobFolder):
        raise NotApplicable("it is written by one request")
    for end in ("up", "destroy"):
        stack = Stack(subject, subject.new())
        forbidden = "<Error><Code>AuthorizationPermissionMismatch</Code><Message>not yet</Message></Error>"
        subject.cloud.blobs.add(BlobFault("PUT", f"{stack.bag['digest']}/data/b.txt", "before", 403, forbidden))

        assert "blob-role-missing" in expect(InitFailed, stack.up)
        assert stack.id
        assert subject.blobs(stack.bag) == ["data/a.txt"]
        if end == "up":
            stack.up()
            assert subject.there(stack.bag)
        else:
            stack.destroy()
            assert subject.blobs(stack.bag) == []


def never_ends(subject: Subject) -> None:
    """The deadline ends the wait and says what still runs; the next `up` takes it up from there."""
    stack = with_operations(subject)
    stack.bag = stack.bag | {"deadline": "PT10S"}  # half a second of the faster clock

    why = expect(InitFailed, stack.up)

    assert "still running in Azure" in why
    assert str(subject.id_of(stack.bag)) in why
    assert stack.id
    stack.up(stack.bag | {"deadline": "PT30M"})
    assert subject.there(stack.bag)
    stack.refresh()
    assert not stack.planned()


def delete_absent(subject: Subject) -> None:
    stack = up(needs_talk(subject))
    if subject.by_post:
        until_ended(subject, stack)
    subject.take(stack.bag)
    stack.destroy()


def delete_in_progress(subject: Subject) -> None:
    """Somebody's DELETE is on its way: ours waits until it is gone."""
    if subject.name == "DefaultDeployment":
        raise NotApplicable("it is no resource of its own in ARM")
    stack = up(with_operations(subject).subject)
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(subject.take, stack.bag)
        wait_for(lambda: state_of(subject, stack) in ("deleting", "gone"))
        stack.destroy()
        assert not subject.there(stack.bag), "it is still there"
        theirs.result()


def recreate_while_deleting(subject: Subject) -> None:
    """An endpoint that is still being deleted does not collide with its re-creation."""
    if subject.name == "DefaultDeployment":
        raise NotApplicable("it is no resource of its own in ARM")
    stack = up(with_operations(subject).subject)
    # Somebody who does not wait for the end of it: who did would see the new one there, and wait on.
    subject.cloud.begin_deletion(subject.id_of(stack.bag))
    again = Stack(subject, stack.bag)
    again.up()
    assert subject.there(stack.bag)


def delete_lost_answer(subject: Subject) -> None:
    stack = up(needs_talk(subject))
    if subject.name in ("BlobFolder", "ScoringJob", "DefaultDeployment"):
        raise NotApplicable("its deletion is no DELETE in ARM")
    match = {"method": "DELETE", "path": subject.url(stack.bag)}
    subject.cloud.faults({"match": match, "action": "drop", "when": "after"})

    stack.destroy()

    assert not subject.there(stack.bag)


def two_at_once(subject: Subject) -> None:
    """Two runs, the one left behind by a killed engine and the next, make one."""
    bag = needs_talk(subject).new()
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(Stack(subject, bag).up) for _ in range(2)]
        errors = [run.exception() for run in runs]

    assert subject.made(bag) == 1, f"made {subject.made(bag)} times"
    assert any(error is None for error in errors), errors


def destroy(subject: Subject) -> None:
    stack = up(subject)
    if not subject.talks:
        stack.destroy()
        return
    if subject.by_post:
        until_ended(subject, stack)
    stack.destroy()
    if subject.by_post:
        assert subject.there(stack.bag), "the record of the job is the audit trail, and is kept"
    else:
        assert not subject.there(stack.bag)


CASES: dict[str, Case] = {
    "create": create,
    "no-op": no_op,
    "update each mutable field": update_each,
    "local field sends nothing": keep_local,
    "replace each immutable field": replace_each,
    "refresh: no-op": refresh_no_op,
    "drift detected": drift_detected,
    "drift repaired": drift_repaired,
    "deleted behind our back": deleted_behind,
    "adopt own (state lost)": adopt_own,
    "refuse foreign, adopt on purpose": refuse_foreign,
    "foreign is not deleted": keep_foreign,
    "taken over by another stack": taken_over,
    "tags of others outlive an update": others_tags,
    "answer lost (delete)": delete_lost_answer,
    "operation Failed": operation_fails,
    "operation Canceled": operation_canceled,
    "failed, then destroyed": failed_and_destroyed,
    "upload broken off, healed, destroyed": broken_off,
    "GET 404 right after PUT": absent_after_put,
    "delete of what is absent": delete_absent,
    "two runs at once": two_at_once,
    "destroy": destroy,
}
WRITE_CASES: dict[str, Case] = {
    "answer lost (create)": lost_answer,
    "429 with Retry-After": throttled,
    "409 of a sibling": sibling_conflict,
    "503 twice": unavailable,
    "408": timed_out,
    "504 after it was done": gateway_lost,
    "dropped before handling": dropped_before,
    "half a body": half_answer,
    "stalled body": stalled,
    "HTML instead of JSON": html,
    "expired token": expired_token,
}
"""One write that meets trouble; jobs are held back, since none of these is about what they do."""
SLOW_CASES: dict[str, Case] = {
    "operation outlives the deadline": never_ends,
    "delete in progress": delete_in_progress,
    "re-create while deleting": recreate_while_deleting,
}
"""With operations of SLOW seconds."""


def up(subject: Subject) -> Stack:
    stack = Stack(subject, subject.new())
    stack.up()
    return stack


def needs_talk(subject: Subject) -> Subject:
    if not subject.talks:
        raise NotApplicable("it talks to nobody: it lives in state alone")
    return subject


def with_operations(subject: Subject) -> Stack:
    if not needs_talk(subject).operations:
        raise NotApplicable("its requests end at once: no operation follows")
    return Stack(subject, subject.new())


def healed(subject: Subject, at_once: bool = False, **fault: Any) -> None:
    """A write meets the fault. By itself, or by the next `up`, there is exactly one in the end."""
    stack = Stack(subject, needs_talk(subject).new())
    if subject.name == "BlobFolder" and fault.get("status") in (200, 401):
        at_once, final = False, True  # the storage SDK refreshes tokens ahead of time, and takes a 401 for final
    else:
        final = subject.by_post and not at_once
    if subject.by_post:
        fault["times"] = 1
        stack.bag = stack.bag | {"deadline": "PT0.1S"}
    subject.strike(stack.bag, **fault)
    try:
        written(stack)
    except (ArmError, Refusal, InitFailed) as error:
        assert final, f"it should have been retried: {error}"
        assert "Traceback" not in told(error)
        written(stack)
    assert subject.made(stack.bag) == 1, f"made {subject.made(stack.bag)} times"
    assert subject.by_post or not stack.planned()


def written(stack: Stack) -> None:
    """`up`; a job is not waited for here: it is held back by the lab until its deadline has passed."""
    if not stack.subject.by_post:
        stack.up()
        return
    why = expect(InitFailed, stack.up)
    assert "still runs" in why, why


def spoiled(subject: Subject, stack: Stack) -> str:
    if not subject.talks:
        raise NotApplicable("nothing exists outside the state")
    if subject.by_post:
        raise NotApplicable("a job that ran does not change")
    if subject.name == "BlobFolder":
        raise NotApplicable("its content is its name; what is missing is another case")
    return subject.spoil(stack.bag)


def foreign(subject: Subject) -> Stack:
    """One that bears a stranger's marker."""
    if not subject.talks:
        raise NotApplicable("nothing exists outside the state")
    if subject.adoptable:
        raise NotApplicable(subject.adoptable)
    if subject.name == "DefaultDeployment":
        stack = up(subject)
        claim(subject, stack.bag)
        return Stack(subject, stack.bag | {"deployment_name": "green"})
    stack = Stack(subject, subject.new() | {"owner": STRANGER})
    stack.up()
    return stack


def claim(subject: Subject, bag: Bag, **tags: str) -> None:
    """Put tags on it behind our back, a stranger's marker where no others are named."""
    id_ = subject.id_of(bag)
    body = writable(subject.cloud.get(id_))
    holder = body if "tags" in body else body["properties"]
    holder["tags"] = {**holder["tags"], **(tags or {TAG: STRANGER})}
    subject.cloud.put(id_, body)


def writes(subject: Subject, bag: Bag) -> list[dict[str, Any]]:
    if not subject.talks or subject.name == "BlobFolder":
        return []
    return [each for each in subject.cloud.requests(subject.url(bag)) if each["method"] != "GET"]


def until_ended(subject: Subject, stack: Stack) -> None:
    del subject
    assert stack.outs.get("status") == "Completed", stack.outs.get("status")


def state_of(subject: Subject, stack: Stack) -> str:
    live = subject.cloud.get(subject.id_of(stack.bag))
    return str((live or {"properties": {}})["properties"].get("provisioningState") or "gone").lower()


def wait_for(reached: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def expect(error: type[Exception], act: Callable[[], object]) -> str:
    """What the user is told of the error that must come."""
    try:
        act()
    except error as raised:
        return told(raised)
    raise AssertionError(f"no {error.__name__} was raised")


def differing(one: Bag, other: Bag) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def said(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": f"{code}, says the lab's script of faults."}}


@contextmanager
def patched(module: str, **values: Any) -> Any:
    """Constants of a module for a while."""
    found = sys.modules[module]
    before = {name: getattr(found, name) for name in values}
    try:
        for name, value in values.items():
            setattr(found, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(found, name, value)


PHASES: tuple[tuple[dict[str, Case], dict[str, Any]], ...] = (
    (CASES, {}),
    (WRITE_CASES, {"provisioning_seconds": 3600.0}),
    (SLOW_CASES, {"operation_seconds": SLOW}),
)
"""Cases, and the lab's settings for them."""
ALL_CASES = [name for cases, _ in PHASES for name in cases]


def run(
    cloud: Cloud, folder: Path, names: Sequence[str], kinds: Sequence[str], say: Callable[[str], None]
) -> list[Cell]:
    """Every case for every kind, the kinds side by side."""
    chosen = [kind for kind in SUBJECTS if kind.__name__ in kinds]
    cells: list[Cell] = []

    def row(kind: type[Subject], cases: dict[str, Case]) -> list[Cell]:
        found = [_cell(name, case, kind, cloud, folder) for name, case in cases.items() if name in names]
        say(f"{kind.__name__}: {len(found)} cases in {sum(cell.seconds for cell in found):.1f} s")
        return found

    with ThreadPoolExecutor(max(1, len(chosen))) as pool:
        for cases, settings in PHASES:
            cloud.settings(**(_PACE | settings))
            for found in pool.map(row, chosen, [cases] * len(chosen)):
                cells += found
    return sorted(cells, key=lambda cell: ALL_CASES.index(cell.case))


_PACE = {"operation_seconds": OPERATION_SECONDS, "compute_seconds": OPERATION_SECONDS, "provisioning_seconds": 0.0}
_bases: dict[str, Any] = {}


def _subject(kind: type[Subject], cloud: Cloud, folder: Path) -> Subject:
    subject = kind(cloud, folder)
    for shared in ("base", "data"):
        if hasattr(kind, shared):
            key = f"{kind.__name__}.{shared}"
            if key not in _bases:
                _bases[key] = getattr(subject, shared)
            subject.__dict__[shared] = _bases[key]
    return subject


def _cell(name: str, case: Case, kind: type[Subject], cloud: Cloud, folder: Path) -> Cell:
    began = time.monotonic()
    result, why = PASSED, ""
    try:
        case(_subject(kind, cloud, folder))
    except NotApplicable as reason:
        result, why = NONE, str(reason)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is a failed cell
        frames = [each for each in traceback.extract_tb(error.__traceback__) if "tests/faults" in each.filename]
        where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        result, why = FAILED, f"{type(error).__name__}: {' '.join(str(error).split())[:600]}{where}"
    return Cell(name, kind.__name__, result, why, round(time.monotonic() - began, 2))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", action="append", help="a regular expression")
    parser.add_argument("--kind", action="append")
    asked = parser.parse_args(arguments)
    names = [name for name in ALL_CASES if not asked.case or any(re.search(c, name) for c in asked.case)]
    kinds = asked.kind or [kind.__name__ for kind in SUBJECTS]
    cloud = Cloud()
    cloud.settings(request_log=100_000)
    for quota in ("deployments_per_endpoint", "endpoints_per_region", "deployments_per_region"):
        cloud.settings(**{quota: 10_000})
    with scratch() as folder, cloud.blobs.in_force(), patched(submission.__name__, LISTING=LISTING_SECONDS):
        cells = run(cloud, Path(folder), names, kinds, lambda line: print(line, file=sys.stderr, flush=True))
    print(as_json(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
