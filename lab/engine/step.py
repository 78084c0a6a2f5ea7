"""One change to one resource, and the words that the CLI uses for it.

Source: pulumi 3.260.0, pkg/resource/deploy/step.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.goal import Registration
from lab.engine.state import State

Op = Literal[
    "same",
    "create",
    "update",
    "delete",
    "replace",
    "create-replacement",
    "delete-replaced",
    "refresh",
    "remove-pending-replace",
]
PREFIX: dict[str, str] = {
    "same": "  ",
    "create": "+ ",
    "update": "~ ",
    "delete": "- ",
    "replace": "+-",
    "create-replacement": "++",
    "delete-replaced": "--",
    "refresh": "~ ",
}
# Op -> as planned, while running, when done, when failed.
WORDS: dict[str, tuple[str, str, str, str]] = {
    "same": ("", "", "", "failed"),
    "create": ("create", "creating", "created", "creating failed"),
    "update": ("update", "updating", "updated", "updating failed"),
    "delete": ("delete", "deleting", "deleted", "deleting failed"),
    "replace": ("replace", "replacing", "replaced", "replacing failed"),
    "create-replacement": ("create replacement", "creating replacement", "created replacement", "creating failed"),
    "delete-replaced": ("delete original", "deleting original", "deleted original", "deleting original failed"),
    "refresh": ("refresh", "refreshing", "refreshed", "refreshing failed"),
}
PAST = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}
_LOGICAL = {"same", "create", "update", "delete", "replace"}


@dataclass(eq=False)
class Step:
    op: Op
    old: State | None
    new: State | None
    registration: Registration | None = None
    """Who learns the new state, if anyone."""
    replace_keys: list[str] = field(default_factory=list)
    changed_keys: list[str] = field(default_factory=list)
    detailed_diff: dict[str, tuple[str, bool]] | None = None
    pending_delete: bool = False
    """A replacement whose old state stays, marked for deletion at the end of the run."""
    pending_replacement: bool = False
    """A deletion whose old state stays, marked as replaced when the new one exists."""
    result_op: Op | None = None
    """What a refresh came out as: same, update or delete."""

    @property
    def state(self) -> State:
        state = self.old if self.op in ("delete", "delete-replaced", "refresh") else self.new or self.old
        if state is None:
            raise EngineError(f"step {self.op} has no state")
        return state

    @property
    def urn(self) -> str:
        return self.state.urn

    @property
    def counted(self) -> Op | None:
        """The kind of change that the summary counts this step as."""
        if self.internal:
            return None
        return self.result_op if self.op == "refresh" else self.op if self.op in _LOGICAL else None

    @property
    def internal(self) -> bool:
        """Default providers and bookkeeping: never shown or counted."""
        default = urns.is_provider(self.state.type) and self.state.name.startswith("default")
        return default or self.op == "remove-pending-replace"
