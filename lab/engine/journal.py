"""What has happened to the stack so far, saved after every change.

Every provider call is announced before it is made (a pending operation) and its outcome is saved after. The order of
resources in the file is that of the CLI: those of this run as they finished, then what is left of the base.
Source: pulumi 3.260.0, pkg/engine/journal_snapshot.go and pkg/backend/journal.go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from lab.engine import graph, state
from lab.engine.passphrase import Passphrase
from lab.engine.state import State

Record = dict[str, Any]


class Journal:
    """Thread-safe. `save` gets a whole deployment each time; a preview passes one that drops it."""

    def __init__(
        self,
        base: Sequence[State],
        pending: Sequence[Record],
        secrets: Passphrase,
        save: Callable[[dict[str, Any]], None],
    ) -> None:
        self._secrets, self._save, self._lock = secrets, save, threading.Lock()
        self._written_more = threading.Condition(self._lock)
        self._asked = self._written = 0
        # How often a write was asked for, and up to which of these the file has everything.
        self._writing = False
        self._base = {id(item): (item, self._record(item)) for item in base}
        self._new: dict[int, tuple[State, Record]] = {}
        self._pending: dict[int, Record] = {}
        self._old_creates = [dict(operation) for operation in pending if operation["type"] == "creating"]
        self._refreshed = False
        self._closed = False

    def begin(self, subject: State, kind: str) -> Callable[[], None]:
        """Announce an operation ("creating", "updating", "deleting"); the result takes the announcement back."""
        with self._lock:
            operation = {"resource": self._record(subject), "type": kind}
            self._pending[id(operation)] = operation
            self._write()
        return lambda: self._end(id(operation))

    def _end(self, key: int) -> None:
        with self._lock:
            del self._pending[key]

    def failed(self) -> None:
        """Save that an operation is over, and changed nothing."""
        with self._lock:
            self._write()

    def put(self, new: State, replaces: State | None = None, *, quiet: bool = False) -> None:
        """Record a finished resource, in the place of its old state. `quiet`: nothing worth a write has changed."""
        with self._lock:
            if replaces is not None:
                self._drop(replaces)
            self._new[id(new)] = (new, self._record(new))
            if not quiet:
                self._write()

    def mark(self, current: State) -> None:
        """Take over what has changed in an unfinished resource, with the next write."""
        with self._lock:
            self._rewrite(current, current)

    def drop(self, old: State) -> None:
        with self._lock:
            self._drop(old)
            self._write()

    def rewrite(self, current: State, becomes: State | None = None) -> None:
        """Record what `current` (or the state that a refresh gave in its place) looks like now, in its old position."""
        with self._lock:
            self._rewrite(current, becomes or current)
            self._write()

    def refresh(self, old: State, new: State | None) -> None:
        """Record what a refresh found, in the old position; None says gone."""
        with self._lock:
            self._refreshed = True
            if new is None:
                self._drop(old)
            else:
                self._rewrite(old, new)
            self._write()

    def records(self) -> list[Record]:
        with self._lock:
            return self._records()

    def rebase(self, base: Sequence[State]) -> None:
        """Go on from states that were read back from `records()`."""
        with self._lock:
            self._base = {id(item): (item, self._record(item)) for item in base}
            self._new, self._refreshed = {}, False

    def write(self) -> None:
        with self._lock:
            self._write()

    def close(self) -> None:
        """After this nothing is written any more: whoever is still at work does not change what is pending."""
        with self._lock:
            while self._writing:
                self._written_more.wait()
            self._closed = True

    def _record(self, item: State) -> Record:
        return state.to_json(item, self._secrets.seal)

    def _drop(self, old: State) -> None:
        self._base.pop(id(old), None)
        self._new.pop(id(old), None)

    def _rewrite(self, current: State, becomes: State) -> None:
        for entries in (self._base, self._new):
            if id(current) in entries:
                entries[id(current)] = (becomes, self._record(becomes))

    def _records(self) -> list[Record]:
        records = [record for entries in (self._new, self._base) for _, record in entries.values()]
        if self._refreshed:
            records = graph.without_dangling(records)
        return graph.with_new_names(records)

    def _write(self) -> None:
        """Return when all that has happened so far is in the file; the lock is held, and let go of meanwhile.

        One thread writes at a time, for all that asked until it began: with a hundred operations at once, a write of
        the whole state for each of them would take longer than they do.
        """
        self._asked += 1
        mine = self._asked
        while self._written < mine and not self._closed:
            if self._writing:
                self._written_more.wait()
                continue
            self._writing = True
            covered = self._asked
            pending = [*self._pending.values(), *self._old_creates]
            deployment = state.deployment(self._records(), pending, self._secrets.salt)
            self._lock.release()
            try:
                self._save(deployment)
            finally:
                self._lock.acquire()
                self._writing = False
                self._written_more.notify_all()
            self._written = covered
