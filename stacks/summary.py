"""What `make up` says last: a stack's outputs as a person wants to read them."""

from collections.abc import Mapping
from typing import Any

from stacks.outputs import endpoints

_WIDTH = 14


def summary(outputs: Mapping[str, Any]) -> str:
    """Of each endpoint: its default deployment, and what the smoke job found; the check's own line comes last."""
    return "\n\n".join(_endpoint(each).rstrip("\n") for each in endpoints(outputs).values())


def _endpoint(outputs: Mapping[str, Any]) -> str:
    lines = [
        _line("endpoint", outputs.get("endpoint_name")),
        _line("scoring URI", outputs.get("scoring_uri")),
        _line("default", outputs.get("default_deployment") or "none"),
    ]
    job = outputs.get("smoke_job") or {}
    if job.get("status") == "Skipped":
        lines.append(_line("smoke job", f"none: {job.get('check')}"))
    elif job:
        lines += [
            _line("smoke job", f"{job.get('job_name')} {job.get('status')}, {_whole(job.get('rows'))} rows"),
            _line("predictions", job.get("predictions")),
            "",
            *(f"  {row}" for row in table(str(job.get("sample") or ""))),
            "",
        ]
        if job.get("check"):
            lines.append(str(job["check"]))
    return "\n".join(lines)


def table(sample: str) -> list[str]:
    """The first rows of a predictions file, which is space-separated, in columns; other text as it stands."""
    rows = [line.split(" ") for line in sample.splitlines()]
    if not rows or len({len(row) for row in rows}) != 1:
        return sample.splitlines()
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _line(name: str, value: Any) -> str:
    return f"{name:<{_WIDTH}}{value}"


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
