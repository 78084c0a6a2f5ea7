"""The policy pack's rules over a preview's digest: the digest of neither engine tells of policies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policy.resource import LATER as NOT_KNOWN
from policy.resource import Resource, Violation, token
from policy.rules import RULES, violations
from reviews.preview import DELETE, LATER, SAME, Change, Preview

DEFAULT_SETTINGS = Path(__file__).resolve().parent.parent / "policy" / "config.json"
_LEVELS = ("advisory", "mandatory", "remediate", "disabled")


@dataclass(frozen=True)
class Enforcement:
    """A file for pulumi's `--policy-pack-config`, as pulumi reads it; mandatory is what it says nothing of."""

    levels: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def level(self, policy: str) -> str:
        return self.levels.get(policy) or self.levels.get("all") or "mandatory"

    def mandatory(self, policy: str) -> bool:
        return self.level(policy) in ("mandatory", "remediate")

    def violations(self, preview: Preview) -> list[Violation]:
        """What the stack would violate as the preview has it, unchanged resources too where the digest has them."""
        found = violations([_resource(each) for each in preview.changes if each.op != DELETE], self.settings)
        return [each for each in found if self.level(each.policy) != "disabled"]


def enforcement(file: Path) -> Enforcement:
    """Raises OSError, and ValueError for what pulumi would not take."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: must be JSON: {error}") from error
    known = {rule.name: rule for rule in RULES}
    if not isinstance(document, dict) or not document.keys() <= {*known, "all"}:
        raise ValueError(f"{file}: must be a mapping of policies ({', '.join(known)}) to levels or settings")
    levels, settings = {}, {}
    for name, each in document.items():
        given = {"enforcementLevel": each} if isinstance(each, str) else dict(each)
        level = given.pop("enforcementLevel", None)
        if level not in (*_LEVELS, None):
            raise ValueError(f"{file}: {name}: enforcementLevel must be one of {', '.join(_LEVELS)}, got {level!r}")
        unknown = sorted(given.keys() - (known[name].settings.keys() if name in known else set()))
        if unknown:
            raise ValueError(f"{file}: {name} has no setting {unknown[0]!r}")
        if level:
            levels[name] = level
        settings[name] = given
    return Enforcement(levels, settings)


def _resource(change: Change) -> Resource:
    """Outputs of an earlier run count only where it stays as it is: a job that will run again has no verdict yet."""
    props = {**(change.outputs or {}), **change.inputs} if change.op == SAME else change.inputs
    return Resource(
        token(change.type),
        change.name,
        change.urn,
        {key: _known(value) for key, value in props.items()},
        change.protect,
        frozenset(change.dependencies),
    )


def _known(value: Any) -> Any:
    if value is LATER:
        return NOT_KNOWN
    if isinstance(value, Mapping):
        return {key: _known(each) for key, each in value.items()}
    return value
