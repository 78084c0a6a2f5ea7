"""What may still change of a job that is there, and the two ways to ask for it: PUT to ARM, PATCH to run history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.emulator import ids, jobs
from lab.emulator.call import Call, Reply
from lab.emulator.errors import unknown, user_error
from lab.emulator.refused import PUT_JOBS
from lab.emulator.shapes import Anything, Property, Shape, Text, Texts, Truth, read_body

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

_FIXED = ("jobType", "experimentName", "computeId", "componentId")
_JOB = Shape(
    {
        "properties": Property(
            Shape(
                {
                    "description": Property(Text()),
                    "displayName": Property(Text()),
                    "isArchived": Property(Truth(), default=False),
                    "properties": Property(Texts(), default={}),
                    "tags": Property(Texts(), default={}),
                    **{name: Property(Anything()) for name in _FIXED},
                },
                read_only=(
                    *("identity", "inputs", "jobs", "notificationSetting", "outputs", "services", "settings"),
                    *("sourceJobId", "status"),
                ),
            ),
            required=True,
        )
    },
    read_only=("id", "name", "type", "systemData"),
)
_RUN = Shape(
    {
        "description": Property(Text(), sparse=True),
        "displayName": Property(Text(), sparse=True),
        "hidden": Property(Truth(), sparse=True),
        "properties": Property(Texts(), sparse=True),
        "tags": Property(Texts(), sparse=True),
    }
)
_CANNOT_CHANGE = (
    "A job with this name already exists. If you are trying to submit a new job, use a different name. If you are "
    "trying to update an existing job, the existing job's configuration cannot be changed. Only description, tags, "
    "displayName, properties, and isArchived can be updated."
)


def put_job(cloud: Cloud, call: Call) -> Reply:
    """200: the job with its new description, tags, name and properties, archived or not. A new job is refused."""
    known = cloud.store.job(call.params["job"])
    if known is None or ids.in_workspace(call.workspace, known["endpoint"]) is None:
        raise unknown(PUT_JOBS)
    record = jobs.find(cloud, call.workspace, call.params["job"])
    _refuse_step(record, call.params["job"])
    given = read_body(_JOB, call.json_object(), "Job")["properties"]
    shown = jobs.parent(record)["properties"]
    if any(given[name] is not None and str(given[name]).lower() != str(shown[name]).lower() for name in _FIXED):
        raise user_error(409, _CANNOT_CHANGE, inner=("Conflict", "JobCannotBeChanged"))
    changed = _change(cloud, record, given | {"hidden": given["isArchived"]})
    return Reply(200, jobs.parent(changed))


def patch_run(cloud: Cloud, record: jobs.JobRecord, call: Call) -> jobs.JobRecord:
    """The job with what azure-ai-ml's `archive`, `restore` and `update` say; tags and properties are merged."""
    _refuse_step(record, call.params["run"])
    given = read_body(_RUN, call.json_object(), "Run")
    for name in ("tags", "properties"):
        if name in given:
            given[name] = record[name] | given[name]
    return _change(cloud, record, given)


def _refuse_step(record: jobs.JobRecord, name: str) -> None:
    if name == record["child"]:
        raise user_error(409, "A child run of a pipeline cannot be changed.", inner=("Conflict", "JobCannotBeChanged"))


def _change(cloud: Cloud, record: jobs.JobRecord, given: dict[str, Any]) -> jobs.JobRecord:
    names = {"description": "description", "displayName": "display_name", "hidden": "archived"}
    names |= {"tags": "tags", "properties": "properties"}
    record |= {names[name]: value for name, value in given.items() if name in names}
    cloud.store.put_job(record)
    return record
