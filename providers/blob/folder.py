"""Local folders as values: which files of a folder count, and one digest of what is in them. No network.

Left out: what `.amlignore` says at the top of the folder, or `.gitignore` where there is no `.amlignore` (the rule of
Azure Machine Learning's own tools); always `.git` and `__pycache__`; and these two ignore files themselves, so that
editing one changes nothing as long as it leaves the same files. Empty folders do not count: blob storage has none.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pathspec import GitIgnoreSpec

from .digests import Digests, Stamp, known, stamp_of

IGNORE_FILES = (".amlignore", ".gitignore")
ALWAYS_IGNORED = (".git", "__pycache__")
_CHUNK = 1024 * 1024  # bytes
_NAME_LIMIT = 700
"""Characters of a path inside the folder: a blob's whole name may have 1,024, and some stand before it."""


class FolderError(ValueError):
    """A folder that cannot be uploaded as it is. The text names the file and what to do."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a folder. `path` is relative and has forward slashes; `sha256` is in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Folder:
    """A folder as it was when it was scanned. `digest` is 64 hexadecimal digits; `bytes` counts all files."""

    path: str
    digest: str
    files: int
    bytes: int
    is_file: bool = False
    """Whether `path` is a single file, taken as a folder of one."""


def scan(path: str | Path, digests: Digests | None = None) -> Folder:
    """Read a folder, or a single file as a folder of one. Raises FolderError.

    With `digests`, files that are as they were when they were read before are not read again.
    """
    return summary(path, manifest(path, digests))


def summary(path: str | Path, entries: Iterable[FileEntry]) -> Folder:
    """The Folder that these entries make up."""
    entries = tuple(entries)
    return Folder(str(path), digest(entries), len(entries), sum(entry.size for entry in entries), Path(path).is_file())


def manifest(path: str | Path, digests: Digests | None = None) -> tuple[FileEntry, ...]:
    """Every file that counts, sorted by path, hashed in parallel, or as `digests` has it. Raises FolderError."""
    root = Path(path)
    found = sorted(_files(root), key=lambda pair: pair[0].encode())
    if not found:
        raise FolderError(f"{root}: no file to upload: the folder is empty, or its ignore file leaves everything out")
    place = Path(os.path.realpath(root))
    earlier = digests.below(place) if digests else {}
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) * 2, len(found))) as pool:
        read = list(pool.map(lambda pair: _read(pair[0], pair[1], earlier, _key(place, root, pair[1])), found))
    if digests:
        now = {_key(place, root, file): each for (_, file), (_, each) in zip(found, read, strict=True)}
        if now != earlier:
            digests.keep(place, now)
    return tuple(entry for entry, _ in read)


def _key(place: Path, root: Path, file: Path) -> str:
    """The path by which a file's digest is kept: the same from wherever the folder is named."""
    return str(place) if file == root else f"{place}/{file.relative_to(root).as_posix()}"


def digest(entries: Iterable[FileEntry]) -> str:
    """sha256 over (path, size, sha256) in order of path: the same on every machine, whatever dates and modes are."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda each: each.path.encode()):
        total.update(f"{entry.path}\0{entry.size}\0{entry.sha256}\n".encode())
    return total.hexdigest()


def local_file(root: str | Path, entry: FileEntry) -> Path:
    """Where `entry` of the folder at `root` lies on this machine."""
    root = Path(root)
    return root if root.is_file() else root.joinpath(*entry.path.split("/"))


def changed(file: Path, entry: FileEntry) -> FolderError:
    """The error of a file that is no longer what was scanned."""
    return FolderError(
        f"{file}: changed while it was uploaded (it was {entry.size} bytes); run again when it is at rest"
    )


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    if not root.exists():
        hint = "it is a symbolic link to nothing" if root.is_symlink() else f"looked in {Path.cwd()}"
        raise FolderError(f"{root}: no such folder or file ({hint})")
    if root.is_file():
        yield _name(root.name, root), root
        return
    if not root.is_dir():
        raise FolderError(f"{root}: neither a folder nor a file")
    yield from _walk(root, ignored(root))


def ignored(root: Path) -> GitIgnoreSpec:
    """What the ignore file of the folder at `root` leaves out."""
    lines: list[str] = []
    for name in IGNORE_FILES:
        file = root / name
        if file.is_file():
            try:
                lines = file.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise FolderError(f"{file}: cannot be read as UTF-8 text: {error}") from error
            break
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise FolderError(f"{root / name}: {error}") from error


def _walk(root: Path, spec: GitIgnoreSpec) -> Iterator[tuple[str, Path]]:
    """However deep a tree is: a stack of folders, not of calls."""
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        for child, mode in _children(folder):
            name = prefix + child.name
            is_folder = stat.S_ISDIR(mode)
            # Ours are not lines of the ignore file: none of its own could bring them back.
            ours = child.name in ALWAYS_IGNORED or name in IGNORE_FILES
            if ours or spec.match_file(f"{name}/" if is_folder else name):
                continue
            path = Path(child.path)
            if is_folder:
                waiting.append((path, f"{name}/"))
            elif stat.S_ISREG(mode):
                yield _name(name, path), path
            else:
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "a socket, a pipe or a device"
                raise FolderError(
                    f"{path}: {kind}, which blob storage cannot hold; put a real file in its place, or ignore it"
                )


def _children(folder: Path) -> list[tuple[os.DirEntry[str], int]]:
    try:
        with os.scandir(folder) as listing:
            return [(child, child.stat(follow_symlinks=False).st_mode) for child in listing]
    except OSError as error:
        raise FolderError(f"{folder}: cannot be listed ({error.strerror}); make it readable, or ignore it") from error


def _name(name: str, path: Path) -> str:
    """The name as it will be in blob storage, or a refusal."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise FolderError(f"{os.fsencode(path)!r}: the name is not UTF-8; rename the file, or ignore it") from None
    # macOS gives names in decomposed form: the digest must not depend on that.
    name = unicodedata.normalize("NFC", name)
    wrong = (
        "has a backslash or a control character"
        if any(character < " " or character in "\\\x7f" for character in name)
        else "has a part that ends with a dot"
        if any(part.endswith(".") for part in name.split("/"))
        else f"is longer than {_NAME_LIMIT} characters"
        if len(name) > _NAME_LIMIT
        else None
    )
    if wrong:
        raise FolderError(
            f"{str(path)!r}: the name {wrong}, which blob storage does not keep; rename the file, or ignore it"
        )
    return name


def _read(
    name: str, path: Path, earlier: Mapping[str, tuple[Stamp, str]], key: str
) -> tuple[FileEntry, tuple[Stamp, str]]:
    """A file's entry, and what to keep of it. A file that is written to meanwhile is nothing that could be uploaded."""
    try:
        with path.open("rb") as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            digest = known(earlier, key, stamp)
            if digest is None:
                digest, size = _hashed(file)
                if size != stamp[2] or stamp_of(os.fstat(file.fileno()))[2:4] != stamp[2:4]:
                    raise FolderError(f"{path}: changed while it was read; run again when it is at rest")
    except OSError as error:
        raise FolderError(f"{path}: cannot be read ({error.strerror}); make it readable, or ignore it") from error
    return FileEntry(name, stamp[2], digest), (stamp, digest)


def _hashed(file: BinaryIO) -> tuple[str, int]:
    """sha256 in hexadecimal, and how many bytes there were."""
    total, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        total.update(chunk)
        size += len(chunk)
    return total.hexdigest(), size
