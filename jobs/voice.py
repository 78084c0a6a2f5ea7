"""What a verb says: lines for people, or with `--json` one JSON object a line for programs. Errors go to stderr."""

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console, RenderableType

_NOT_CUT = 1000
"""Columns of what is no terminal: nothing in a table is cut off."""


class Voice:
    """Every fact is said once, in one of the two forms. Nothing of it is wrapped: a pipe gets what a terminal gets."""

    def __init__(self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self.console = Console(file=self._out, highlight=False, soft_wrap=True)
        """For tables and the live view, which JSON does not have."""
        if not self.console.is_terminal:
            self.console.width = _NOT_CUT

    @property
    def is_live(self) -> bool:
        """Whether a view that is drawn over itself has somebody who looks at it."""
        return not self.as_json and self.console.is_terminal

    def tell(self, event: str, text: str, **facts: Any) -> None:
        """`text` for people, or `{"event": event, ...facts}` for programs; an empty text is for programs alone."""
        if self.as_json:
            self._write(self._out, json.dumps({"event": event, **facts}, ensure_ascii=False, default=str))
        elif text:
            self._write(self._out, text)

    def show(self, drawn: RenderableType) -> None:
        """A table, for people. No line of it ends in spaces where it goes into a file."""
        with self.console.capture() as captured:
            self.console.print(drawn)
        text = captured.get()
        if not self.console.is_terminal:
            text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
        self._out.write(text)
        self._out.flush()

    def document(self, document: Mapping[str, Any]) -> None:
        """The one JSON document of a verb that has no events."""
        self._write(self._out, json.dumps(document, ensure_ascii=False, indent=1, default=str))

    def note(self, text: str) -> None:
        """Something beside the matter, for people alone: it goes to stderr and is no error."""
        if not self.as_json:
            self._write(self._err, text)

    def error(self, text: str, *, name: str, code: int) -> None:
        """`name` is the error's entry in docs/errors.md, `code` the exit code."""
        if self.as_json:
            document = {"event": "error", "error": text.splitlines()[0], "name": name, "exit_code": code}
            self._write(self._out, json.dumps(document, ensure_ascii=False))
        self._write(self._err, f"error: {text}")

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        stream.write(f"{text}\n")
        stream.flush()
