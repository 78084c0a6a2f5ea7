"""Cells of the acceptance matrix, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

PASSED, FAILED, NONE = "pass", "FAIL", "n/a"
KINDS = (
    "Owner",
    "BlobFolder",
    "CodeVersion",
    "ModelVersion",
    "DataVersion",
    "BatchEndpoint",
    "BatchDeployment",
    "DefaultDeployment",
    "ScoringJob",
)
FOREIGN_KINDS = ("Compute", "EnvironmentVersion")
"""azure-native's, whose create refuses what exists: counted apart."""


@dataclass(frozen=True)
class Cell:
    case: str
    kind: str
    result: str
    why: str = ""
    """Of a failure what went wrong, of `n/a` why the case has no meaning for the kind."""
    seconds: float = 0.0


def as_json(cells: Sequence[Cell]) -> str:
    return json.dumps([asdict(cell) for cell in cells])


def from_json(text: str) -> list[Cell]:
    return [Cell(**each) for each in json.loads(text)]


def failures(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.result == FAILED]


def counted(cells: Iterable[Cell]) -> str:
    """`153 pass, 2 FAIL, 40 n/a`."""
    results = [cell.result for cell in cells]
    return ", ".join(f"{results.count(each)} {each}" for each in (PASSED, FAILED, NONE))


def table(title: str, cells: Sequence[Cell]) -> str:
    """A row per case, a column per kind; below it each failure, and each reason for `n/a` once."""
    kinds = [kind for kind in (*KINDS, *FOREIGN_KINDS) if any(cell.kind == kind for cell in cells)]
    cases = list(dict.fromkeys(cell.case for cell in cells))
    found = {(cell.case, cell.kind): cell for cell in cells}
    width = max([len(case) for case in cases], default=0)
    lines = [f"{title}: {counted(cells)}", " ".join([" " * width, *(f"{kind:>{len(kind)}}" for kind in kinds)])]
    for case in cases:
        results = [f"{found[case, kind].result if (case, kind) in found else '-':>{len(kind)}}" for kind in kinds]
        lines.append(" ".join([f"{case:<{width}}", *results]))
    lines += [f"  FAIL {cell.kind}, {cell.case}: {cell.why}" for cell in failures(cells)]
    reasons: dict[str, set[str]] = {}
    for cell in cells:
        if cell.result == NONE:
            reasons.setdefault(cell.why, set()).add(cell.kind)
    lines += [f"  n/a  {why}: {', '.join(kind for kind in kinds if kind in which)}" for why, which in reasons.items()]
    return "\n".join(lines)
