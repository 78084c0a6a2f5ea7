"""Paths into properties: `root`, `a.b`, `a[0]`, `a["x.y"]`, `a.*`.

Source: pulumi 3.260.0, sdk/go/property/path.go and sdk/go/common/resource (PropertyPath).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from lab.engine.errors import Refused
from lab.engine.values import Properties, Secret

_PART = re.compile(r"""\.?(?:\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|\[(\*)\]|([^.\[\]]+))""")
Part = str | int


def parse(path: str) -> list[Part]:
    """Keys as str, indices as int; "*" is the wildcard."""
    parts: list[Part] = []
    position = 0
    while position < len(path):
        match = _PART.match(path, position)
        if match is None:
            raise Refused(f"property path {path!r} cannot be understood")
        quoted, index, star, key = match.groups()
        parts.append(int(index) if index is not None else star or key or quoted.replace('\\"', '"'))
        position = match.end()
    return parts


def any_contains(paths: Sequence[str], path: str) -> bool:
    """Whether one of `paths` is, or lies above, `path`."""
    parts = parse(path)
    return any(_covers(parse(candidate), parts) for candidate in paths)


def _covers(prefix: list[Part], parts: list[Part]) -> bool:
    return len(prefix) <= len(parts) and all(a in ("*", b) for a, b in zip(prefix, parts, strict=False))


def with_old_values(news: Properties, olds: Properties, paths: Sequence[str]) -> tuple[Properties, list[str]]:
    """A copy of `news` with the values of `olds` at `paths`, and the paths where that was impossible."""
    kept = copy.deepcopy(news)
    return kept, [path for path in paths if not _reset(kept, olds, parse(path))]


def _reset(new: Any, old: Any, parts: list[Part], secret: bool = False) -> bool:
    """`secret`: the old value lies in a secret where the new one does not, so it stays one."""
    secret = secret or (isinstance(old, Secret) and not isinstance(new, Secret))
    new, old = (value.value if isinstance(value, Secret) else value for value in (new, old))
    part, rest = parts[0], parts[1:]
    if isinstance(new, list) and isinstance(old, list) and (part == "*" or isinstance(part, int)):
        if part == "*":
            return len(new) == len(old) and not [i for i in range(len(new)) if not _reset(new, old, [i, *rest], secret)]
        index = int(part)
        if index >= len(new) or index >= len(old):
            return not rest and index >= len(new) and index >= len(old)
        if rest:
            return _reset(new[index], old[index], rest, secret)
        new[index] = _kept(old[index], secret)
        return True
    if not isinstance(new, dict) or not isinstance(old, dict):
        return not isinstance(new, dict | list) and not isinstance(old, dict | list)
    if part == "*":
        return not [key for key in sorted({*new, *old}) if not _reset(new, old, [key, *rest], secret)]
    key = str(part)
    if rest:
        if key in new and key in old:
            return _reset(new[key], old[key], rest, secret)
        return key not in new and key not in old
    if key in old:
        new[key] = _kept(old[key], secret)
    else:
        new.pop(key, None)
    return True


def _kept(value: Any, secret: bool) -> Any:
    copied = copy.deepcopy(value)
    return Secret(copied) if secret and not isinstance(copied, Secret) else copied
