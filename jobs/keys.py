"""The key of a submission: what makes two typed commands the same. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest(*parts: str) -> str:
    """64 hexadecimal digits that stand for these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def fingerprint(asked: Mapping[str, Any]) -> str:
    """A digest of all that a job's outcome, place and record depend on, as JSON."""
    return digest(json.dumps(asked, sort_keys=True, ensure_ascii=False))


def key_of(endpoint_id: str, own: str | None, asked: str) -> str:
    """16 digits for the output path: of the user's own key where there is one, else of what is `asked` for."""
    return (digest(endpoint_id.lower(), "own", own) if own else digest(endpoint_id.lower(), asked))[:16]
