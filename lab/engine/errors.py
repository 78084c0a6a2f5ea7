"""What can go wrong, by what the caller can do next.

EngineError
├── Refused          asked for what the embedded engine does not do; use the pulumi CLI or leave it out
├── BadUsage         wrong command line, project or stack settings (exit status 2)
├── NoSuchStack      the stack has no state yet (exit status 6)
├── Locked           another process holds the stack
└── ProviderFailed   a provider said no, or died
    └── PartialFailure   the object exists, but is not ready; it is recorded with its errors
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class EngineError(Exception):
    exit_status = 1


class Refused(EngineError):
    """Something that the embedded engine does not do, by name."""


class BadUsage(EngineError):
    exit_status = 2


class NoSuchStack(EngineError):
    exit_status = 6


class Locked(EngineError):
    """Carries the CLI's advice: wait, or `cancel`."""


class ProviderFailed(EngineError):
    """A provider's error message, fit to be shown to a person."""


class PartialFailure(ProviderFailed):
    """`ErrorResourceInitFailed` of a provider: what exists all the same, and why it is not ready."""

    def __init__(self, ident: str, outputs: dict[str, Any], inputs: dict[str, Any] | None, reasons: Sequence[str]):
        super().__init__("\n".join(["resource init failed:", *(f"  * {reason}" for reason in reasons)]))
        self.id, self.outputs, self.inputs, self.reasons = ident, outputs, inputs, list(reasons)
