"""The commands and links of the documentation, as a reader meets them.

A block fenced as `sh` holds commands that run in the lab, from the top of the page down; `sh fails` those that must
fail there. `sh azure` needs a subscription or an account of a code host, `sh pulumi` the CLI: they are not run, and
their commands are held against what exists.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_COMMENT = re.compile(r"(^|\s{2,})#\s.*$")


@dataclass(frozen=True)
class Page:
    path: Path
    """Relative to the project."""
    text: str

    def __str__(self) -> str:
        return self.path.as_posix()

    def commands(self) -> list[str]:
        """Of every block of commands, whether it is run or not."""
        return [command for kind, command in self._blocks() if kind.split()[:1] == ["sh"]]

    def steps(self) -> list[tuple[bool, str]]:
        """(whether it must fail, command) of what runs in the lab, from the top down."""
        return [(kind == "sh fails", command) for kind, command in self._blocks() if kind in ("sh", "sh fails")]

    def _blocks(self) -> list[tuple[str, str]]:
        """(kind of its block, command), each command with its continued lines and without a comment behind it."""
        found = []
        for block in _BLOCK.finditer(self.text):
            for line in block["text"].replace("\\\n", " ").splitlines():
                command = _COMMENT.sub("", line).strip()
                if command:
                    found.append((block["kind"].strip(), command))
        return found

    def inline(self) -> list[str]:
        """What stands between single backquotes outside of blocks."""
        return _INLINE.findall(_BLOCK.sub("", self.text))

    def links(self) -> list[str]:
        return [match["target"] for match in _LINK.finditer(_BLOCK.sub("", self.text))]

    def anchors(self) -> set[str]:
        """The names that a code host gives the headings."""
        headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", self.text), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def pages() -> list[Page]:
    """Every Markdown file of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        Page(Path(name), (ROOT / name).read_text(encoding="utf-8"))
        for name in listed.stdout.splitlines()
        if (ROOT / name).is_file()
    ]
