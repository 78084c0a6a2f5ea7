"""docs/images/up.svg: what a terminal shows of a command, at its end: `python -m tests.docs.picture FILE make up`.

The command runs as it does for a person, on a terminal of its own. Lines that are longer than the picture are cut.
"""

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

_WIDTH = 118


def typed(command: list[str]) -> str:
    """Everything that `command` wrote to its terminal; SystemExit where it fails."""
    written = bytearray()

    def read(terminal: int) -> bytes:
        chunk = os.read(terminal, 65536)
        written.extend(chunk)
        return chunk

    code = os.waitstatus_to_exitcode(pty.spawn(command, read))
    if code != 0:
        raise SystemExit(code)
    return written.decode(errors="replace").replace("\r\n", "\n")


def drawn(command: str, shown: str) -> str:
    """The picture, an SVG."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]$ {command}[/bold]", highlight=False)
    for line in shown.splitlines():
        console.print(Text.from_ansi(line), overflow="ellipsis", no_wrap=True, crop=True, highlight=False)
    picture = console.export_svg(title=command)
    # rich would have every reader fetch a font from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    file, *arguments = sys.argv[1:]
    Path(file).write_text(drawn(" ".join(arguments), typed(arguments)), encoding="utf-8")
