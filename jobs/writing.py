"""Where a job writes when the user says so, and what is there already."""

from collections.abc import Sequence

from jobs.target import Target
from providers.aml import job
from providers.aml.datastore import long_uri, open_located
from providers.aml.refusal import Refusal
from providers.aml.submission import Submission, read_note
from providers.blob import BlobError, list_blobs


def writes(asked: Sequence[str] | None, file_name: str, target: Target) -> str | None:
    """The uri that `--output` means, None where it was not given. Raises Refusal for what is no datastore path.

    For a file (`file_name` is not empty) what does not end in its name, or in a slash, is the folder that it goes to.
    """
    if not asked:
        return None
    if len(asked) != 1:
        raise Refusal("--output: a model's deployment has one output", name="usage")
    (given,) = asked
    if not given.lower().startswith("azureml://"):
        raise Refusal(f"--output: must be azureml://datastores/<datastore>/paths/<path>, got {given!r}", name="usage")
    uri = long_uri(given, target.workspace.id)
    if not uri.partition("/paths/")[2].strip("/"):
        raise Refusal(f"--output: {given!r} names no path in the datastore", name="usage")
    if not file_name:
        return f"{uri.rstrip('/')}/"
    return uri if uri.endswith(f"/{file_name}") else f"{uri.rstrip('/')}/{file_name}"


def refuse_existing(submission: Submission, number: int, target: Target) -> None:
    """Refuse, before anything is submitted, a place where the service would let the job fail at its end.

    That is known where something lies there, or where the last job that this very command started still runs. A place
    that cannot be looked at from here is left to the service.
    """
    attempt = submission.attempt(number)
    for name, each in submission.outputs.items():
        uri = attempt.output_uris[name]
        if each.uri is not None and _is_taken(uri, each.type, target):
            raise Refusal(
                f"{uri} exists, and the service lets a job fail that would overwrite it; choose another --output or "
                "--output-file, leave --output out for a place of its own, or delete what is there",
                name="output-exists",
            )
    if number > 1 and any(each.uri is not None for each in submission.outputs.values()):
        before = read_note(submission, submission.attempt(number - 1), "job")
        if before and job.status(target.workspace, before) not in job.ENDED:
            raise Refusal(
                f"{before}, which is not at its end, writes to the same --output; wait for it "
                f"(`{target.command('watch', before)}`), or choose another",
                name="output-exists",
            )


def _is_taken(uri: str, type_: str, target: Target) -> bool:
    location, container = open_located(target.workspace.arm, uri, shared_key=target.shared_key)
    try:
        # In order of name, what is called exactly so comes before all that only begins so.
        first = next(list_blobs(container, location.path), None)
        return first is not None and (type_ != "UriFile" or first.name == location.path)
    except BlobError as error:
        if error.status != 403:
            raise
        return False
