"""What goes wrong with the lab itself, told to a person in one sentence."""

from __future__ import annotations

NOT_RUNNING = 3
"""Exit code of every command that needs a running lab and found none."""
OTHER_STACK = 4
"""Exit code when a stack is not the lab's."""


class LabError(Exception):
    """The lab cannot do what was asked; the text says what happened and what to do, in one line.

    `exit_code` is what `python -m lab` ends with.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotRunning(LabError):
    """No lab runs in this home."""

    def __init__(self, home: object) -> None:
        super().__init__(f"no lab is running in {home}; start one with `python -m lab start`", exit_code=NOT_RUNNING)
