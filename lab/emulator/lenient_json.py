"""JSON as the service takes it: with trailing commas, as Microsoft's published batch-scoring script sends it."""

from __future__ import annotations

import json
import re
from typing import Any

_STRING_OR_TRAILING_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)


def loads(text: str | bytes) -> Any:
    """The value of a JSON text that may have a comma before a closing bracket. Raises ValueError, as `json` does."""
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    return json.loads(_STRING_OR_TRAILING_COMMA.sub(_keep_strings, text))


def _keep_strings(match: re.Match[str]) -> str:
    return match.group() if match.group().startswith('"') else ""
