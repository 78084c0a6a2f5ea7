"""GitHub's Markdown out of text that may hold anything."""

import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from reviews.preview import Word

_LONGEST_VALUE = 90


def code(text: object) -> str:
    """Inline code: nothing in it is markup, a mention or a reference, whatever it holds."""
    shown = " ".join(_printable(str(text)).split())
    if not shown:
        return "`\u2009`"  # inline code cannot be empty
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown[0] == "`" or shown[-1] == "`" else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def value(given: Any) -> str:
    """A property's value, short; what stands for a value (secret, not known yet) in italics."""
    if isinstance(given, Word):
        return f"*{given}*"
    text = given if isinstance(given, str) else json.dumps(_words(given), ensure_ascii=False)
    text = " ".join(_printable(text).split())
    if len(text) > _LONGEST_VALUE:
        # Ids differ at their end.
        text = f"{text[: _LONGEST_VALUE // 3]}…{text[-(2 * _LONGEST_VALUE // 3) :]}"
    return code(text) if text else "*empty*"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(titles), "|" + " --- |" * len(titles), *map(_row, rows)]
    return "\n".join(lines)


def folded(summary: str, body: str) -> str:
    """Shown as one line until somebody opens it."""
    return f"<details>\n<summary>{html.escape(summary, quote=False)}</summary>\n\n{body}\n\n</details>"


def fenced(text: str, language: str = "text") -> str:
    """A block in which nothing is markup."""
    text = "\n".join(_printable(line) for line in text.splitlines())
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _row(cells: Sequence[str]) -> str:
    # A pipe ends a cell even within inline code (https://github.github.com/gfm/#tables-extension-).
    return "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in cells) + " |"


def _printable(text: str) -> str:
    """Without control characters and those that turn the direction of reading."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", "\ufffd", text)


def _words(given: Any) -> Any:
    if isinstance(given, Word):
        return f"<{given}>"
    if isinstance(given, dict):
        return {key: _words(each) for key, each in given.items()}
    return [_words(each) for each in given] if isinstance(given, list) else given
