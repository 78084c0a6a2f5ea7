"""The local files that settings name, as values: looked at once, in `__main__`, so that components do no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from providers.blob.folder import Folder


@dataclass(frozen=True)
class Sources:
    folders: Mapping[str, Folder]
    """Path as written in the settings -> what is there."""
    texts: Mapping[str, str]
    """Path as written in the settings -> content, for files whose content is sent as a property (conda files)."""
