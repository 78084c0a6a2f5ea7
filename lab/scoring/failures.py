"""Why a try of the user's script failed, and why a job cannot go on because of it."""

from __future__ import annotations

from dataclasses import dataclass

from lab.scoring.mini_batches import MiniBatch


@dataclass(frozen=True)
class ScriptError:
    """Why a try failed: an exception of the user's script, or what became of its process."""

    stage: str
    """import, init or run."""
    type: str
    message: str
    file: str | None = None
    """Relative to the code folder."""
    line: int | None = None
    traceback: str = ""
    mini_batch: MiniBatch | None = None

    def __str__(self) -> str:
        place = f", {self.file} line {self.line}" if self.file else ""
        where = {"import": "while the script was imported", "init": "in init()", "run": "in run()"}[self.stage]
        on = f" on {self.mini_batch}" if self.mini_batch else ""
        said = f": {self.message}" if self.message else ""
        return f"{self.type}{said}{place}, {where}{on}"


class ScriptFailed(Exception):
    """The job cannot go on; the text says why and carries the script's own error."""

    def __init__(self, sentence: str, error: ScriptError | None) -> None:
        super().__init__(f"{sentence} {error}" if error else sentence)
        self.error = error
