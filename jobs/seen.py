"""Who has seen a job's end by another verb has seen it: the submission that started it is finished.

Without this, the command that was interrupted while it watched would find that job again when it is typed tomorrow.
"""

from jobs.records import arm_job
from jobs.submitting import MARK
from jobs.target import Target
from jobs.unfinished import NOTE, Unfinished
from jobs.voice import Voice
from providers.aml.datastore import datastore_uri, open_located
from providers.aml.refusal import Refusal
from providers.arm.errors import ArmError
from providers.blob import put_if_absent


def mark(name: str | None, target: Target, voice: Voice, unfinished: Unfinished) -> None:
    """Note it, where the job is of a submission that this command started; others are none of its business."""
    try:
        tags = (arm_job(target, name).get("properties") or {}).get("tags") or {}
        path = str(tags.get(MARK) or "")
        parts = path.split("/")
        if len(parts) < 2 or not parts[-1].isdigit():
            return
        uri = datastore_uri(target.datastore_id, path)
        _, container = open_located(target.workspace.arm, uri, shared_key=target.shared_key)
        put_if_absent(container, f"{path}/notes/{NOTE}", b"")
        unfinished.forget(parts[-2], int(parts[-1]))
    except (ArmError, Refusal) as error:
        voice.note(f"the submission could not be marked as finished: {error}")
