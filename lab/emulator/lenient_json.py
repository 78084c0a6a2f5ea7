"""JSON as the service takes it: with trailing commas, as Microsoft's published batch-scoring script sends it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_STRING_OR_TRAILING_COMMA = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|,(?=\s*[}\]])', re.DOTALL)


def loads(text: str | bytes) -> Any:
    """The value of a JSON text that may have a comma before a closing bracket. Raises ValueError, as `json` does.

    `NaN`, `Infinity`, numbers beyond a double and texts nested too deeply are no JSON.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    plain = _STRING_OR_TRAILING_COMMA.sub(_keep_strings, text)
    try:
        return json.loads(plain, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


def _keep_strings(match: re.Match[str]) -> str:
    return match.group() if match.group().startswith('"') else ""
