"""Run inside a lab: `uploading send|look FOLDER PREFIX [STEPS]`. Tells what was sent, or what is there, as JSON.

After so many steps it stands still, with its requests under way, until it is killed.
"""

import contextlib
import itertools
import json
import sys
import threading
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from lab import identity
from providers.blob import Container, container, list_blobs, scan, upload

STORE = "azureml-blobstore-1ab00000-0000-4000-8000-000000000005"


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def look(target: Container, prefix: str) -> None:
    """Whole blobs by their etags, and the bytes of blocks that wait for their blob."""
    there = {blob.name: blob.etag for blob in list_blobs(target, prefix)}
    blocks = 0
    with contextlib.suppress(ResourceNotFoundError):  # not one block has arrived
        blocks = sum(block.size for block in target.get_blob_client(f"{prefix}weights.bin").get_block_list("all")[1])
    say(there=there, blocks=blocks)


def main(act: str, folder: str, prefix: str, steps: str = "") -> None:
    target = container(f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net", STORE)
    if act == "look":
        return look(target, prefix)
    told = itertools.count(1)

    def progress(_: str) -> None:
        # The upload tells one step at a time: whoever has the next to tell waits here, too.
        if str(next(told)) == steps:
            say(steps=int(steps))
            threading.Event().wait()

    done = upload(scan(folder), target, prefix, progress=progress)
    return say(files=done.files, sent=done.bytes_sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
