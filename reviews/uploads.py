"""The files of a preview's new uploads, from this machine and from storage: what the preview itself does not tell."""

from collections.abc import Mapping
from typing import Any

from providers.aml.datastore import find, open_container
from providers.arm.errors import ArmError
from providers.blob import FileEntry, FolderError, kept, manifest, recorded, summary
from providers.kind import Refusal, client
from reviews.content import Content, NotKnown, compare
from reviews.preview import CREATE, REPLACE, Change, Preview


def contents(preview: Preview) -> dict[str, Content | NotKnown]:
    """URN of each new upload -> its files beside those of the one before. Asks storage; what fails is told there."""
    found: dict[str, Content | NotKnown] = {}
    for change in preview.of("BlobFolder", CREATE, REPLACE):
        try:
            found[change.urn] = compare(_before(change, preview), _now(change))
        except (ArmError, Refusal, FolderError, ValueError) as error:
            found[change.urn] = NotKnown(" ".join(str(error).split()))
    return found


def not_looked_at(preview: Preview, reason: str) -> dict[str, Content | NotKnown]:
    return {each.urn: NotKnown(reason) for each in preview.of("BlobFolder", CREATE, REPLACE)}


def _now(change: Change) -> tuple[FileEntry, ...]:
    source = str(change.inputs["source"])
    entries = manifest(source, kept({}))
    if summary(source, entries).digest != change.inputs["digest"]:
        raise FolderError(f"{source}: has changed since the preview")
    return entries


def _before(change: Change, preview: Preview) -> tuple[FileEntry, ...]:
    """Files of the upload that goes; none for a first upload."""
    before = preview.predecessor(change)
    if before is None:
        return ()
    props: Mapping[str, Any] = before.inputs
    arm = client(props)
    location = find(arm, str(props["uri"]))
    if location is None:
        raise ValueError(f"the datastore of {before.name} is gone")
    entries = recorded(
        open_container(arm, location, shared_key=bool(props.get("shared_key"))), f"{location.path.rstrip('/')}/"
    )
    if entries is None:
        raise ValueError(f"{before.name} has no manifest in storage (any more)")
    return entries
