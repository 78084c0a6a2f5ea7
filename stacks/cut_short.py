"""Destroys that did not end well: what they deleted may still be in the state, so that the next run looks first.

An engine takes a resource out of the state when its deletion has been answered. Where the provider process died before
that, or the cloud did, the state has what is gone; an engine that is not told to refresh believes its state, and an
`up` would leave a hole: no default deployment, say. A note of this checkout makes the next `up` or `preview` refresh.
On another machine nobody has the note; there `make refresh` does the same.
"""

from pathlib import Path

_REFRESHES = ("up", "preview")
REFRESH = "--refresh"


def note_of(stack: str, home: Path) -> Path:
    return home / "cut-short" / stack


def options(verb: str, note: Path) -> tuple[str, ...]:
    """What the verb is run with: `--refresh` where a destroy was cut short."""
    return (REFRESH,) if verb in _REFRESHES and note.is_file() else ()


def begin(verb: str, note: Path) -> str:
    """Before a destroy; why that could not be noted, empty where it was."""
    if verb != "destroy":
        return ""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except OSError as error:  # a checkout that cannot be written to must not keep anybody from destroying
        return f"not noted that a destroy has begun ({error}); if it is cut short, run `make refresh`"
    return ""


def end(verb: str, note: Path, code: int) -> None:
    """After a run: one that ended well has made the state true again."""
    if code == 0 and verb in ("up", "refresh", "destroy"):
        note.unlink(missing_ok=True)
