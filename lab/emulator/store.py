"""Everything the emulator remembers, in one SQLite file: it outlives restarts and a kill of the process.

Resources are JSON by ARM id, lower-cased, so that ids match in any letter case. Operations and jobs have tables of
their own, indexed by what is still running, so that a look at what is due costs the same with ten thousand jobs.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.emulator import ids

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, parent TEXT NOT NULL,
    created REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS resources_of_parent ON resources (kind, parent, seq);
CREATE TABLE IF NOT EXISTS operations (
    name TEXT PRIMARY KEY, target TEXT NOT NULL, style TEXT NOT NULL, due REAL, status TEXT NOT NULL,
    record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS operations_pending ON operations (due) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS operations_of_target ON operations (target) WHERE status = 'pending';
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, child TEXT NOT NULL UNIQUE,
    endpoint TEXT NOT NULL, deployment TEXT NOT NULL, active INTEGER NOT NULL, record TEXT NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_of_endpoint ON jobs (endpoint, seq);
CREATE INDEX IF NOT EXISTS jobs_of_deployment ON jobs (deployment, seq);
CREATE INDEX IF NOT EXISTS jobs_of_workspace ON jobs (
    substr(endpoint, 1, instr(endpoint, '/batchendpoints/') - 1), seq);
CREATE INDEX IF NOT EXISTS jobs_active ON jobs (seq) WHERE active = 1;
CREATE INDEX IF NOT EXISTS operations_ended ON operations (due) WHERE status <> 'pending';
CREATE TABLE IF NOT EXISTS deleted (id TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS deleted_at ON deleted (at);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_WORKSPACE_OF_JOB = "substr(endpoint, 1, instr(endpoint, '/batchendpoints/') - 1)"
"""As the index of jobs has it."""


@dataclass(frozen=True)
class Operation:
    """A long-running operation. `due` is None for one that never ends; `record` holds what its end does."""

    name: str
    target: str
    style: str
    due: float | None
    status: str
    record: dict[str, Any]


class Store:
    """Calls may come from several threads; each is one transaction unless inside `together`."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        # NORMAL keeps every commit through a crash of the process; only a power cut may lose the newest ones.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        if all(column[1] != "archived" for column in self._db.execute("PRAGMA table_info(jobs)")):
            self._db.execute("ALTER TABLE jobs ADD COLUMN archived INTEGER NOT NULL DEFAULT 0")  # of an older lab
        self._depth = 0

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All or nothing."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._undo()
                raise
            self._depth -= 1
            if self._depth == 0:
                try:
                    self._db.execute("COMMIT")
                except sqlite3.Error:
                    self._undo()
                    raise

    def _undo(self) -> None:
        # A full disk may have ended the transaction already.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    # Resources

    def get(self, arm_id: str) -> dict[str, Any] | None:
        row = self._one("SELECT body FROM resources WHERE id = ?", (arm_id.lower(),))
        return None if row is None else json.loads(row[0])

    def created(self, arm_id: str) -> float | None:
        """When it was first put, seconds since the epoch."""
        row = self._one("SELECT created FROM resources WHERE id = ?", (arm_id.lower(),))
        return None if row is None else float(row[0])

    def put(self, kind: str, parent: str, body: Mapping[str, Any], now: float) -> None:
        """Insert or replace by `body["id"]`; a replaced one keeps its place in lists."""
        self._run(
            "INSERT INTO resources (id, kind, parent, created, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (str(body["id"]).lower(), kind, parent.lower(), now, json.dumps(body)),
        )

    def delete(self, arm_id: str) -> None:
        """With everything below it."""
        low = arm_id.lower()
        self._run("DELETE FROM resources WHERE id = ? OR (id > ? AND id < ?)", (low, f"{low}/", f"{low}0"))

    def children(
        self, kind: str, parent: str, *, older_than: float | None = None, limit: int = -1, offset: int = 0
    ) -> list[dict[str, Any]]:
        """In order of creation; `older_than` leaves out what was created after that instant."""
        rows = self._all(
            "SELECT body FROM resources WHERE kind = ? AND parent = ? AND created <= ? ORDER BY seq LIMIT ? OFFSET ?",
            (kind, parent.lower(), float("inf") if older_than is None else older_than, limit, offset),
        )
        return [json.loads(row[0]) for row in rows]

    def ids(self, kind: str) -> list[str]:
        """Ids of all of one kind, spelled as they were created."""
        rows = self._all("SELECT json_extract(body, '$.id') FROM resources WHERE kind = ? ORDER BY seq", (kind,))
        return [row[0] for row in rows]

    def count(self, kind: str, parent: str | None = None) -> int:
        if parent is None:
            row = self._one("SELECT COUNT(*) FROM resources WHERE kind = ?", (kind,))
        else:
            row = self._one("SELECT COUNT(*) FROM resources WHERE kind = ? AND parent = ?", (kind, parent.lower()))
        return int(row[0]) if row else 0

    # Names of what was deleted

    def remember_deleted(self, arm_ids: Iterable[str], now: float, *, forget_before: float) -> None:
        """Note that these names were given up now; forget those given up before `forget_before`."""
        with self.together():
            self._run("DELETE FROM deleted WHERE at < ?", (forget_before,))
            for arm_id in arm_ids:
                self._run("INSERT OR REPLACE INTO deleted (id, at) VALUES (?, ?)", (arm_id.lower(), now))

    def deleted_at(self, arm_id: str) -> float | None:
        """When this name was given up, as far as it is remembered."""
        row = self._one("SELECT at FROM deleted WHERE id = ?", (arm_id.lower(),))
        return None if row is None else float(row[0])

    # Operations

    def put_operation(self, operation: Operation) -> None:
        self._run(
            "INSERT INTO operations (name, target, style, due, status, record) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET status = excluded.status, due = excluded.due, record = excluded.record",
            (
                operation.name,
                operation.target.lower(),
                operation.style,
                operation.due,
                operation.status,
                json.dumps(operation.record),
            ),
        )

    def operation(self, name: str) -> Operation | None:
        row = self._one("SELECT name, target, style, due, status, record FROM operations WHERE name = ?", (name,))
        return None if row is None else _operation(row)

    def forget_operations(self, ended_before: float) -> None:
        """Forget those that ended, or were to end, before this instant."""
        self._run("DELETE FROM operations WHERE status <> 'pending' AND due < ?", (ended_before,))

    def operations_due(self, now: float) -> list[Operation]:
        rows = self._all(
            "SELECT name, target, style, due, status, record FROM operations "
            "WHERE status = 'pending' AND due <= ? ORDER BY due",
            (now,),
        )
        return [_operation(row) for row in rows]

    def operations_pending(self, target: str) -> list[Operation]:
        rows = self._all(
            "SELECT name, target, style, due, status, record FROM operations WHERE status = 'pending' AND target = ?",
            (target.lower(),),
        )
        return [_operation(row) for row in rows]

    # Jobs

    def put_job(self, record: Mapping[str, Any]) -> None:
        """Insert or replace by `record["name"]`; `child endpoint deployment active archived` are columns too."""
        self._run(
            "INSERT INTO jobs (name, child, endpoint, deployment, active, record, archived) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET active = excluded.active, record = excluded.record, "
            "archived = excluded.archived",
            (
                record["name"],
                record["child"],
                str(record["endpoint"]).lower(),
                str(record["deployment"]).lower(),
                int(bool(record["active"])),
                json.dumps(record),
                int(bool(record.get("archived"))),
            ),
        )

    def job(self, name: str) -> dict[str, Any] | None:
        """By its own name or its child's."""
        row = self._one("SELECT record FROM jobs WHERE name = ? OR child = ?", (name, name))
        return None if row is None else json.loads(row[0])

    def jobs(
        self,
        *,
        workspace: str | None = None,
        endpoint: str | None = None,
        deployment: str | None = None,
        archived: bool | None = None,
        older_than: float | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """The newest first, of all or of what is named. `archived`: those alone that are, or are not; `older_than`
        leaves out what was created after that instant.
        """
        wanted: dict[str, str | int | float | None] = {
            "deployment": None if deployment is None else deployment.lower(),
            "endpoint": None if endpoint is None else endpoint.lower(),
            _WORKSPACE_OF_JOB: None if workspace is None else workspace.lower(),
            "archived": None if archived is None else int(archived),
        }
        conditions = {f"{name} = ?": value for name, value in wanted.items() if value is not None}
        if older_than is not None:
            conditions["json_extract(record, '$.created') <= ?"] = older_than
        where = " AND ".join(conditions) or "1"
        rows = self._all(
            f"SELECT record FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ? OFFSET ?",  # noqa: S608  (constant text)
            (*conditions.values(), limit, offset),
        )
        return [json.loads(row[0]) for row in rows]

    def active_jobs(self, limit: int = -1, ready: float | None = None) -> list[dict[str, Any]]:
        """The oldest first; -1 is no limit. `ready`: without those that wait for their nodes beyond that time."""
        waits = "" if ready is None else "AND json_extract(record, '$.ready_at') <= ?"
        given = (limit,) if ready is None else (ready, limit)
        rows = self._all(f"SELECT record FROM jobs WHERE active = 1 {waits} ORDER BY seq LIMIT ?", given)  # noqa: S608
        return [json.loads(row[0]) for row in rows]

    def job_ids(self) -> list[str]:
        """ARM ids of all jobs, the oldest first."""
        rows = self._all("SELECT json_extract(record, '$.endpoint'), name FROM jobs ORDER BY seq", ())
        return [ids.job(ids.workspace_of(endpoint), name) for endpoint, name in rows]

    def count_jobs(self) -> int:
        row = self._one("SELECT COUNT(*) FROM jobs", ())
        return int(row[0]) if row else 0

    def job_outputs(self) -> set[tuple[str, str]]:
        """Container and folder of every job's output file."""
        rows = self._all(
            "SELECT DISTINCT json_extract(record, '$.output.container'), json_extract(record, '$.output.path') "
            "FROM jobs",
            (),
        )
        return {(container, path.rpartition("/")[0] or path) for container, path in rows if container and path}

    def delete_job(self, name: str) -> None:
        self._run("DELETE FROM jobs WHERE name = ?", (name,))

    # Facts

    def fact(self, name: str, value: str) -> str:
        """The fact of this name; `value` becomes it the first time."""
        self._run("INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, value))
        row = self._one("SELECT value FROM facts WHERE name = ?", (name,))
        return value if row is None else str(row[0])

    def _run(self, sql: str, values: tuple[object, ...]) -> None:
        with self._lock:
            self._db.execute(sql, values)

    def _one(self, sql: str, values: tuple[object, ...]) -> Any:
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    def _all(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def _operation(row: tuple[str, str, str, float | None, str, str]) -> Operation:
    name, target, style, due, status, record = row
    return Operation(name, target, style, due, status, json.loads(record))
