"""What a job wrote: read, counted, and held against what was expected."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

from providers.blob import BlobMissing, delete_below, read_bytes

from .submission import Attempt

_LIMIT = 256 * 1024 * 1024  # bytes of a smoke job's predictions that are worth reading
_SAMPLE = 5  # rows
_CHECK_SECONDS = 300.0
_CHECK_OUTPUT = 2000  # characters


class Refused(Exception):
    """The predictions are not what was expected; `facts` has what is known of them all the same."""

    def __init__(self, reason: str, facts: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.facts = dict(facts)


def examine(
    container: ContainerClient, attempt: Attempt, *, expected_rows: int | None, check_script: str | None
) -> dict[str, Any]:
    """Rows, sample and the check script's last line; raises Refused when a check says no."""
    content = _content(container, attempt)
    lines = content.decode("utf-8", errors="replace").splitlines()
    facts: dict[str, Any] = {"rows": len(lines), "sample": "\n".join(line[:200] for line in lines[:_SAMPLE])}
    if expected_rows is not None and len(lines) != expected_rows:
        raise Refused(f"it wrote {len(lines)} rows where {expected_rows} are expected (`expected_rows`)", facts)
    if check_script:
        facts["check"] = _checked(check_script, content, attempt.output_file_name, facts)
    return facts


def delete(container: ContainerClient, path: str) -> int:
    """Delete all that a job's attempts wrote; returns how many blobs that were."""
    return delete_below(container, path.rstrip("/") + "/")


def _content(container: ContainerClient, attempt: Attempt) -> bytes:
    try:
        return read_bytes(container, attempt.predictions_path, limit=_LIMIT)
    except BlobMissing:
        raise Refused(f"it wrote no {attempt.predictions_uri}", {}) from None


def _checked(script: str, content: bytes, file_name: str, facts: Mapping[str, Any]) -> str:
    """The last line that the user's check script prints; it sees the predictions and no credential."""
    with tempfile.TemporaryDirectory() as folder:
        predictions = Path(folder) / Path(file_name).name
        predictions.write_bytes(content)
        try:
            done = subprocess.run(  # noqa: S603  # the stack's own script, named in its settings
                [sys.executable, str(Path(script).resolve()), str(predictions)],
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


__all__ = ["Refused", "delete", "examine"]
