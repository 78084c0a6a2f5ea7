"""Which submissions are finished: so that a command that was interrupted, and is typed again, finds the job it started,
and the same command after a finished one starts a new job.

A submission is finished when its command has ended by itself and told so. Two notes say it:

- `notes/finished`, a blob beside the job's outputs: what other machines go by;
- a file below `.jobs/unfinished/` of this checkout, which is there while the command runs: what this machine goes by,
  before it looks at the blob. Removing it is the very last thing that a command does before its exit code, so that no
  kill falls between "finished" and the end that the caller sees.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from providers.aml.submission import Submission, read_note, write_note
from providers.arm.errors import ArmError
from providers.blob import Container
from providers.blob.container import list_folders

HOME = Path(__file__).resolve().parent.parent / ".jobs"
NOTE = "finished"


@dataclass(frozen=True)
class Unfinished:
    """The local side: key -> number of the attempt that a command of this machine is about."""

    folder: Path = HOME / "unfinished"

    def attempt(self, key: str) -> int | None:
        try:
            text = self._file(key).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def note(self, key: str, number: int) -> None:
        """Written whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{key}.{os.getpid()}"
        temporary.write_text(str(number), encoding="utf-8")
        temporary.replace(self._file(key))

    def forget(self, key: str, number: int | None = None) -> None:
        """Forget a key; where a number is given, only if it is that one."""
        if number is None or self.attempt(key) == number:
            with contextlib.suppress(FileNotFoundError):
                self._file(key).unlink()

    def _file(self, key: str) -> Path:
        return self.folder / key


def newest_attempt(submission: Submission) -> int | None:
    """The highest number that an attempt below the submission's place has; None where there is none yet."""
    return max(_numbers(submission.container, f"{submission.base.path.rstrip('/')}/"), default=None)


def is_finished(submission: Submission, number: int) -> bool:
    return read_note(submission, submission.attempt(number), NOTE) is not None


def finish(submission: Submission, number: int) -> str | None:
    """Tell other machines; why that did not succeed, None when it did."""
    try:
        write_note(submission, submission.attempt(number), NOTE, "")
    except ArmError as error:
        return error.message
    return None


def _numbers(container: Container, prefix: str) -> Iterator[int]:
    for folder in list_folders(container, prefix):
        name = folder.removeprefix(prefix).rstrip("/")
        if name.isdigit():
            yield int(name)
