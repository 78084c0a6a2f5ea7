"""Why a resource changes, in a sentence: what the hashes in names mean, and what follows from a change."""

from collections.abc import Callable, Mapping
from typing import Any

from reviews.costs import decision
from reviews.markdown import code, value
from reviews.preview import ABSENT, CREATE, DELETE, REPLACE, SAME, UPDATE, Change, Preview

CONTENT = ("code_configuration", "model", "environment_id", "resources", "deployment_configuration")
"""Properties of a deployment that its name stands for (providers/batch_deployment.py)."""
_DERIVED = {"ScoringJob": {"key": "what it runs", "subjects": ""}}
"""Kind -> properties that the program derives, and what is said of them: digests say nothing to a reader."""
_MOST = 6
"""Property changes that a line names before it counts the rest."""


def reason(change: Change, preview: Preview) -> str:
    """A sentence or two of Markdown, on one line; empty where there is nothing to add to what changes."""
    said = _SENTENCES.get((change.kind, change.op), _otherwise)(change, preview)
    unfinished = "its last write did not end well, so it is written again" if change.init_errors else ""
    vanished = "it is gone from the cloud, though nobody asked this stack: made again" if change.vanished else ""
    return "; ".join(part for part in (vanished, said, unfinished) if part)


def what_changes(change: Change, most: int = _MOST) -> str:
    """The properties that change, old and new value of each; nothing for what comes or goes as a whole."""
    if change.op in (CREATE, DELETE):
        return ""
    derived = _DERIVED.get(change.kind, {})
    found = [each for each in change.properties if each.path.partition("[")[0] not in derived]
    if not found:
        return ", ".join(derived[each.path] for each in change.properties if derived.get(each.path)) or "no property"
    lines = [
        f"{code(_short(each.path))}: {_side(each.path, each.old)} → {_side(each.path, each.new)}"
        for each in found[:most]
    ]
    if len(found) > most:
        lines.append(f"and {len(found) - most} more")
    return "<br>".join(lines)


def _short(path: str) -> str:
    """`properties.properties.vmSize` -> `vmSize`: ARM's envelope says nothing to a reader."""
    return path.removeprefix("properties.").removeprefix("properties.")


def _side(path: str, given: Any) -> str:
    """Values of environment variables stay out even where nobody marked them as secret: people forget to."""
    hidden = "environment_variables" in path.split(".") and given is not ABSENT
    return "*not shown*" if hidden else value(given)


def _upload(change: Change, preview: Preview) -> str:
    source = code(change.inputs.get("source"))
    before = preview.predecessor(change)
    if before is None:
        return f"first upload of {source}"
    return f"{source} has other content than in {code(before.name)}: it goes to a place of its own, beside the old"


def _upload_goes(change: Change, preview: Preview) -> str:
    return _after(change, preview, "its files are deleted")


def _version(change: Change, preview: Preview) -> str:
    before = preview.predecessor(change)
    return "registers the upload" + (
        f"; versions never change, so this is beside {code(before.name)}" if before else ""
    )


def _version_goes(change: Change, preview: Preview) -> str:
    return _after(change, preview, "no deployment of this stack uses it any more")


def _environment(change: Change, preview: Preview) -> str:
    before = preview.predecessor(change)
    if before is None:
        return "registers image and conda file; the first job builds the image"
    return f"{_named(before, change)} differ from {code(before.name)}; the next job builds an image"


def _named(old: Change, new: Change) -> str:
    paths = {each.path.split(".")[-1] for each in Change(UPDATE, new.urn, old.inputs, new.inputs).properties}
    names = {"image": "image", "condaFile": "conda file", "osType": "operating system", "description": "description"}
    return " and ".join(words for path, words in names.items() if path in paths) or "properties"


def _deployment(change: Change, preview: Preview) -> str:
    before = preview.predecessor(change)
    if before is None:
        return "new deployment"
    moved = [each.path for each in Change(UPDATE, change.urn, before.inputs, change.inputs).properties]
    content = sorted({path.split(".")[0] for path in moved if path.split(".")[0] in CONTENT})
    other = sorted({path.split(".")[0] for path in moved} - {*CONTENT, "deployment_name", "jobs_uri"})
    names = ", ".join(map(code, content)) or "content"
    also = f"; also {', '.join(map(code, other))}" if other else ""
    return f"new deployment beside {code(before.name)}, which serves on meanwhile: {names} changed{also}"


def _deployment_goes(change: Change, preview: Preview) -> str:
    after = preview.successor(change)
    if after is None:
        return "no longer in the stack file"
    moves = [each.inputs.get("endpoint_id") for each in preview.of("DefaultDeployment", UPDATE)]
    gate = " and the default has moved" if change.inputs.get("endpoint_id") in moves else ""
    return f"retired once {code(after.name)} is there{gate}"


def _job(change: Change, _: Preview) -> str:
    found, on = decision(change), code(change.inputs.get("deployment_name"))
    if found.act == "run":
        return f"**runs** on {on}: {found.why}"
    if found.act == "look":
        return f"nothing runs on {on}: {found.why}, and its predictions are looked at again"
    return f"**nothing is tested** on {on}: {found.why}" if found.act == "skip" else "nothing runs"


def _job_goes(_: Change, __: Preview) -> str:
    return "its outputs are deleted, and it is cancelled if it still runs; its record in the workspace stays"


def gate_words(default: Change, preview: Preview) -> str:
    """What stands before a default: the job that must pass, or has passed."""
    gate = _gate_of(default, preview)
    if gate is None:
        return "**no smoke job stands before it**"
    if gate.op == UPDATE and decision(gate).act == "skip":
        return f"**{code(gate.name)} does not test it again**"
    return f"after {code(gate.name)} has passed" if gate.op != SAME else f"{code(gate.name)} has passed already"


def _default_goes(_: Change, __: Preview) -> str:
    return "calls that name no deployment will be refused"


def _endpoint_goes(change: Change, _: Preview) -> str:
    return f"**its address goes**: callers of {code(change.inputs.get('endpoint_name'))} will get 404"


def _endpoint_comes(_: Change, __: Preview) -> str:
    return "a new address for callers"


def _otherwise(change: Change, preview: Preview) -> str:
    if change.op == REPLACE:
        asked = ", ".join(map(code, change.replaces))
        return f"the old one is deleted first{f': {asked} cannot change in place' if asked else ''}"
    if change.op == DELETE:
        return _after(change, preview, "no longer in the program")
    if change.op == UPDATE and not change.properties and not change.init_errors:
        return "nothing that was set differs; the engine asks for it"
    return ""


def _after(change: Change, preview: Preview, what: str) -> str:
    after = preview.successor(change)
    return what if after is None else f"{what}; {code(after.name)} is in its place"


def _gate_of(default: Change, preview: Preview) -> Change | None:
    """The job that a default waits for, and that tests the deployment that the default moves to."""
    for job in preview.of("ScoringJob"):
        same = job.op != DELETE and job.inputs.get("deployment_name") == default.inputs.get("deployment_name")
        if same and job.inputs.get("endpoint_id") == default.inputs.get("endpoint_id"):
            return job if job.urn in default.dependencies else None
    return None


_SENTENCES: Mapping[tuple[str, str], Callable[[Change, Preview], str]] = {
    ("BlobFolder", CREATE): _upload,
    ("BlobFolder", DELETE): _upload_goes,
    **{(kind, CREATE): _version for kind in ("CodeVersion", "ModelVersion", "DataVersion")},
    **{(kind, DELETE): _version_goes for kind in ("CodeVersion", "ModelVersion", "DataVersion")},
    ("azure-native:machinelearningservices:EnvironmentVersion", CREATE): _environment,
    ("azure-native:machinelearningservices:EnvironmentVersion", DELETE): _version_goes,
    ("BatchDeployment", CREATE): _deployment,
    ("BatchDeployment", DELETE): _deployment_goes,
    ("BatchEndpoint", CREATE): _endpoint_comes,
    ("BatchEndpoint", DELETE): _endpoint_goes,
    ("BatchEndpoint", REPLACE): _endpoint_goes,
    ("ScoringJob", CREATE): _job,
    ("ScoringJob", UPDATE): _job,
    ("ScoringJob", DELETE): _job_goes,
    **{("DefaultDeployment", op): gate_words for op in (CREATE, UPDATE)},
    ("DefaultDeployment", DELETE): _default_goes,
}
