"""What a job wrote: read, counted, and held against what was expected."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from providers.blob import BlobMissing, Container, delete_below, list_blobs, read_bytes

from .submission import Attempt

_LIMIT = 256 * 1024 * 1024  # bytes of a smoke job's predictions that are worth reading
_SAMPLE = 5  # rows
_CHECK_SECONDS = 300.0
_CHECK_OUTPUT = 2000  # characters
_SEPARATORS = (" ", ",", "\t", ";")
"""In this order: append_row writes a DataFrame with spaces, an MLflow deployment with commas, scripts as they like."""
_SHOWN = 120  # characters of a row that an error quotes


class Refused(Exception):
    """The predictions are not what was expected; `facts` has what is known of them all the same."""

    def __init__(self, reason: str, facts: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.facts = dict(facts)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What predictions must be like; what is None is not looked at."""

    rows: int | None = None
    missing: int = 0
    """Rows that may be missing of `rows`: those of items that may fail."""
    columns: int | Sequence[str] | None = None
    """How many, or their names, for rows that have names: JSON objects, or a file with a header."""
    script: str | None = None
    """Path of the check script; its content is `script_digest`."""
    script_digest: str = ""
    folder: bool = False
    """The script gets the folder of all that the job wrote, not the predictions file: with summary_only."""

    @property
    def digest(self) -> str:
        """Changes with what is expected, and not with where the check script lies."""
        facts = {**asdict(self), "script": bool(self.script)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def examine(container: Container, attempt: Attempt, expected: Expected) -> dict[str, Any]:
    """Rows, sample and the check script's last line; raises Refused when something is not as expected."""
    facts: dict[str, Any] = {}
    written: dict[str, bytes] = {}
    counted = expected.rows is not None or expected.columns is not None
    if expected.folder:
        written = _all(container, attempt)
    if not expected.folder or counted or attempt.output_file_name in written:
        content = written.get(attempt.output_file_name)
        content = _content(container, attempt) if content is None else content
        written[attempt.output_file_name] = content
        lines = rows_of(content)
        facts.update(rows=len(lines), sample="\n".join(line[:200] for line in lines[:_SAMPLE]))
        header, fault = columns_fault(lines, expected.columns)
        facts["rows"] -= header
        fault = fault or _rows_fault(facts["rows"], expected)
        if fault:
            raise Refused(fault, facts)
    if expected.script:
        facts["check"] = _checked(expected, attempt.output_file_name, written, facts)
    return facts


def rows_of(content: bytes) -> list[str]:
    """The lines of a predictions file. Only a line feed ends one: a row may hold what Python takes for a line's end."""
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def columns_fault(lines: Sequence[str], columns: int | Sequence[str] | None) -> tuple[int, str | None]:
    """How many lines of the file are a header (0 or 1), and what is wrong with the columns of the others, if anything.

    A row is a JSON object where it begins with a brace; else its columns are separated by what separates the first
    row (or header) into as many as are expected, and may be quoted, as pandas writes them.
    """
    if columns is None or not lines:
        return 0, None
    names = None if isinstance(columns, int) else list(columns)
    wanted = columns if isinstance(columns, int) else len(columns)
    if lines[0].startswith("{"):
        faults = (_json_fault(number, line, wanted, names) for number, line in enumerate(lines, 1))
        return 0, next((fault for fault in faults if fault), None)
    separator = next((each for each in _SEPARATORS if len(_fields(lines[0], each)) == wanted), None)
    if names is not None:
        if separator is None or _fields(lines[0], separator) != names:
            return 0, (
                f"its rows have no names: row 1 is neither a JSON object nor the header {', '.join(names)}, but "
                f"{_quoted(lines[0])}; say how many columns there are (`expected_columns: {len(names)}`)"
            )
        return 1, _widths_fault(lines[1:], separator, wanted, first=2)
    if separator is None:
        return 0, f"row 1 has not {wanted} columns (`expected_columns`): {_quoted(lines[0])}"
    return 0, _widths_fault(lines, separator, wanted, first=1)


def delete(container: Container, path: str) -> int:
    """Delete all that a job's attempts wrote; returns how many blobs that were."""
    return delete_below(container, path.rstrip("/") + "/")


def _rows_fault(rows: int, expected: Expected) -> str | None:
    if expected.rows is None or expected.rows - expected.missing <= rows <= expected.rows:
        return None
    fewer = f", of which {expected.missing} may be missing (`allowed_failures`)" if expected.missing else ""
    return f"it wrote {rows} rows where {expected.rows} are expected (`expected_rows`){fewer}"


def _json_fault(number: int, line: str, wanted: int, names: Sequence[str] | None) -> str | None:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        return f"row {number} is no JSON object, as row 1 is: {_quoted(line)}"
    if names is not None and set(row) != set(names):
        expected = ", ".join(names)
        return f"row {number} has the columns {', '.join(row)} where {expected} are expected (`expected_columns`)"
    if len(row) != wanted:
        return f"row {number} has {len(row)} columns where {wanted} are expected (`expected_columns`): {_quoted(line)}"
    return None


def _widths_fault(lines: Sequence[str], separator: str, wanted: int, first: int) -> str | None:
    for number, line in enumerate(lines, first):
        found = len(_fields(line, separator))
        if found != wanted:
            return f"row {number} has {found} columns where {wanted} are expected (`expected_columns`): {_quoted(line)}"
    return None


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a field of more than 128 KiB, or a zero byte: no table
        return [line]


def _quoted(line: str) -> str:
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "...")


def _content(container: Container, attempt: Attempt) -> bytes:
    try:
        return read_bytes(container, attempt.predictions_path, limit=_LIMIT)
    except BlobMissing:
        raise Refused(f"it wrote no {attempt.predictions_uri}", {}) from None


def _all(container: Container, attempt: Attempt) -> dict[str, bytes]:
    """Every file that the job wrote, by its path below the attempt's place."""
    place = f"{attempt.path}/"
    found = [blob for blob in list_blobs(container, place) if not blob.name.startswith(attempt.note(""))]
    if not found:
        raise Refused(f"it wrote nothing to {attempt.predictions_uri.rpartition('/')[0]}", {})
    if sum(blob.size for blob in found) > _LIMIT:
        raise Refused(f"it wrote more than {_LIMIT // 1024**2} MiB, too much for a check script", {})
    return {blob.name.removeprefix(place): read_bytes(container, blob.name, limit=_LIMIT) for blob in found}


def _checked(expected: Expected, file_name: str, written: Mapping[str, bytes], facts: Mapping[str, Any]) -> str:
    """The last line that the user's check script prints; it sees the predictions and no credential."""
    script = str(expected.script)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name, content in written.items():
            file = root.joinpath(*Path(name).parts)
            if not file.resolve().is_relative_to(root):
                raise Refused(f"it wrote a file with the name {name!r}", facts)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        try:
            done = subprocess.run(  # noqa: S603  # the stack's own script, named in its settings
                [sys.executable, str(Path(script).resolve()), str(root if expected.folder else root / file_name)],
                capture_output=True,
                text=True,
                cwd=folder,
                env={name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Refused(f"its check {script} did not run: {error}", facts) from error
    said = (done.stdout.strip() or done.stderr.strip())[-_CHECK_OUTPUT:]
    if done.returncode != 0:
        shown = "\n".join(part for part in (done.stdout.strip(), done.stderr.strip()) if part)[-_CHECK_OUTPUT:]
        raise Refused(f"its check {script} refused the predictions: {shown or f'exit code {done.returncode}'}", facts)
    return said.splitlines()[-1] if said else "passed"


__all__ = ["Expected", "Refused", "columns_fault", "delete", "examine", "rows_of"]
