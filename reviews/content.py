"""What changes inside an uploaded folder: two lists of files, compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from providers.blob import FileEntry


@dataclass(frozen=True)
class NotKnown:
    """Why the files of an upload cannot be compared."""

    reason: str


@dataclass(frozen=True)
class Content:
    """The files of a new upload beside those of the one that it follows. Sizes are in bytes."""

    added: Mapping[str, int]
    """Path -> size."""
    changed: Mapping[str, tuple[int, int]]
    """Path -> size before and after."""
    removed: Mapping[str, int]
    renamed: Mapping[str, str]
    """Path before -> path after, of the same content."""
    unchanged: int
    to_send: int
    """Bytes that leave this machine; what an earlier upload holds is copied inside the storage account."""


Contents = Mapping[str, Content | NotKnown]
"""URN of a new upload -> its content."""


def compare(old: Iterable[FileEntry], new: Iterable[FileEntry]) -> Content:
    """`old` is empty for the first upload of a name."""
    before, after = {each.path: each for each in old}, {each.path: each for each in new}
    held = {each.sha256 for each in before.values()}
    gone = {path: each for path, each in before.items() if path not in after}
    came = {path: each for path, each in after.items() if path not in before}
    renamed = _renamed(gone, came)
    return Content(
        added={path: each.size for path, each in came.items() if path not in renamed.values()},
        changed={
            path: (before[path].size, each.size)
            for path, each in after.items()
            if path in before and before[path].sha256 != each.sha256
        },
        removed={path: each.size for path, each in gone.items() if path not in renamed},
        renamed=renamed,
        unchanged=sum(path in before and before[path].sha256 == each.sha256 for path, each in after.items()),
        to_send=sum(each.size for each in after.values() if each.sha256 not in held),
    )


def _renamed(gone: Mapping[str, FileEntry], came: Mapping[str, FileEntry]) -> dict[str, str]:
    """Pairs of the same content, each file in one pair at most; empty files are all alike and in none."""
    free: dict[str, list[str]] = {}
    for path, entry in came.items():
        free.setdefault(entry.sha256, []).append(path)
    return {
        path: free[entry.sha256].pop(0) for path, entry in sorted(gone.items()) if entry.size and free.get(entry.sha256)
    }
