"""What a value must be like: functions for `prop(check=...)`.

Each takes a value of the declared type, returns its canonical form, and raises ValueError with a reason that reads on
from the property's name: `mini_batch_size: must be at least 1, got 0`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from providers.arm.ids import ArmId

Check = Callable[[Any], Any]
"""Takes a value of the right type, returns its canonical form, raises ValueError(reason) to refuse it."""
_SHORT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)")
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# 3-32 characters, a letter first, letters, digits and single dashes, a letter or digit last: how-to-manage-quotas
# @0c509fa9 (January 2026). The 2025-12-01 specification has no pattern any more; the service still refuses.
_ENDPOINT = re.compile(r"[a-zA-Z](?:-?[a-zA-Z0-9])*")
# PUT of asset versions up to api-version 2023-10-01; later specifications have no pattern.
_ASSET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")
_VERSION = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._\-]{0,254}")
INT32, INT64 = 2**31 - 1, 2**63 - 1
"""The service's largest whole numbers, where the specification says int32 and int64."""
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z0-9]+)?")


def at_least(low: int, high: int | None = None) -> Check:
    """A number of at least `low` and, where given, at most `high`."""

    def check(value: Any) -> Any:
        if value < low:
            raise ValueError(f"must be at least {low}")
        if high is not None and value > high:
            raise ValueError(f"must be at most {high}")
        return value

    return check


def one_of(*choices: str) -> Check:
    """One of the service's words, in any letter case; the service's own spelling is canonical."""
    spelling = {choice.lower().replace("_", ""): choice for choice in choices}

    def check(value: Any) -> Any:
        found = spelling.get(value.lower().replace("_", ""))
        if found is None:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return found

    check.choices = choices  # type: ignore[attr-defined]  # documentation is generated from it
    return check


def endpoint_identity(value: Any) -> Any:
    """Kinds of managed identity that batch endpoints take: fewer than the specification has."""
    if "userassigned" in value.lower().replace("_", ""):
        raise ValueError(
            "must be None or SystemAssigned: batch endpoints refuse user-assigned identities (azure-rest-api-specs"
            "#40149); a job's identity is that of its compute (compute.identity_type)"
        )
    return _IDENTITY(value)


_IDENTITY = one_of("None", "SystemAssigned")
endpoint_identity.choices = ("None", "SystemAssigned")  # type: ignore[attr-defined]  # as `one_of` notes them


def not_empty(value: Any) -> Any:
    """Text, mapping or list with something in it."""
    if not value:
        raise ValueError("must not be empty")
    return value


def endpoint_name(value: Any) -> Any:
    """A name for a batch endpoint or deployment, by the service's rule."""
    if not 3 <= len(value) <= 32 or not _ENDPOINT.fullmatch(value):
        raise ValueError(
            "must have 3 to 32 characters: a letter first, then letters, digits and single dashes, no dash last"
        )
    return value


def asset_name(value: Any) -> Any:
    """A name for a code, model, environment or data asset."""
    if not _ASSET.fullmatch(value):
        raise ValueError(
            "must start with a letter or digit and have letters, digits, dashes or underscores, at most 255"
        )
    return value


def asset_version(value: Any) -> Any:
    """A version of an asset. Any text, says the specification; this is what is one segment of a URL as it stands."""
    if not _VERSION.fullmatch(value):
        raise ValueError("must start with a letter or digit and have letters, digits, dots, dashes or underscores")
    return value


def compute_name(value: Any) -> Any:
    """A name for a compute cluster: 2 to 16 characters in documentation, 24 in practice; the laxer rule is kept."""
    if not re.fullmatch(r"[a-zA-Z](?:[a-zA-Z0-9-]{0,22}[a-zA-Z0-9])", value):
        raise ValueError("must have 2 to 24 letters, digits and dashes, a letter first, no dash last")
    return value


def guid(value: Any) -> Any:
    """An id of Entra ID, of a tenant or of who is in it; lower case is canonical."""
    if not _GUID.fullmatch(value):
        raise ValueError("must be like 00000000-0000-0000-0000-000000000000")
    return value.lower()


def storage_account_name(value: Any) -> Any:
    """https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules, as those below."""
    if not re.fullmatch("[a-z0-9]{3,24}", value):
        raise ValueError("must have 3 to 24 lower-case letters and digits")
    return value


def key_vault_name(value: Any) -> Any:
    """3 to 24 characters, unique in Azure."""
    if not re.fullmatch("[a-zA-Z](?:-?[a-zA-Z0-9]){2,23}", value) or len(value) > 24:
        raise ValueError("must have 3 to 24 letters, digits and single dashes, a letter first, no dash last")
    return value


def registry_name(value: Any) -> Any:
    """A container registry's: 5 to 50 characters, unique in Azure."""
    if not re.fullmatch("[a-zA-Z0-9]{5,50}", value):
        raise ValueError("must have 5 to 50 letters and digits")
    return value


def positive_integer_text(value: Any) -> Any:
    """A model's version: the service refuses anything but positive integers (azureml-examples#2725)."""
    if not value.isdecimal() or int(value) < 1:
        raise ValueError("must be a positive whole number, as text")
    return value


def arm_id(value: Any) -> Any:
    """A full ARM id; compared in any letter case."""
    ArmId.parse(value)
    return value


def id_of(kind: str) -> Check:
    """A full ARM id of a resource below a workspace: `id_of("computes")`; its type is compared in any case."""

    def check(value: Any) -> Any:
        if not ArmId.parse(value).type.lower().endswith(f"/workspaces/{kind}".lower()):
            raise ValueError(f"must be the ARM id of one of a workspace's {kind}")
        return value

    return check


def compute_reference(value: Any) -> Any:
    """The name of one of the stack's computes, or the ARM id of any compute of the workspace."""
    return id_of("computes")(value) if value.startswith("/") else compute_name(value)


def version_of(kind: str) -> Check:
    """A full ARM id of an asset's version, or `azureml://registries/<r>/<kind>/<name>/versions/<v>`."""
    registered = re.compile(rf"azureml://registries/[^/]+/{kind}/[^/]+/versions/[^/]+", re.IGNORECASE)

    def check(value: Any) -> Any:
        if value.startswith("azureml://registries/"):
            if not registered.fullmatch(value):
                raise ValueError(f"must be like azureml://registries/<registry>/{kind}/<name>/versions/<version>")
            return value
        if value.startswith("azureml:"):
            raise ValueError(
                "must be a full ARM id: azureml:<name>:<version> is shorthand of the az command line alone"
            )
        if not ArmId.parse(value).type.lower().endswith(f"/{kind}/versions".lower()):
            raise ValueError(f"must be the ARM id of a version of one of a workspace's {kind}")
        return value

    return check


def path_or_version_of(kind: str) -> Check:
    """A local path, or what `version_of` takes; whatever begins as an id is one."""
    registered = version_of(kind)

    def check(value: Any) -> Any:
        return registered(value) if value.startswith(("/subscriptions/", "azureml:")) else value

    return check


def location(value: Any) -> Any:
    """An Azure region: `eastus`, or as people read it, `East US`; the service's own word is canonical."""
    found = value.replace(" ", "").lower()
    if not re.fullmatch("[a-z0-9]+", found):
        raise ValueError("must be the name of an Azure region, such as eastus or East US")
    return found


def file_name(value: Any) -> Any:
    """The name of one file, which goes at the end of a blob's path and of a datastore uri."""
    if not value.strip() or value in (".", "..") or re.search(r"[/\\?#%]", value):
        raise ValueError("must be the name of one file, such as predictions.csv")
    return value


def job_input(value: Any) -> Any:
    """What a batch job reads: the uri of a place in storage, or the ARM id of a data asset's version."""
    if value.startswith("/"):
        return version_of("data")(value)
    if not re.fullmatch(r"(azureml|https|wasbs|abfss|adl)://\S(.*\S)?", value, re.IGNORECASE):
        raise ValueError(
            "must be like azureml://datastores/<datastore>/paths/<path>, an https url, or the ARM id of a version of "
            "one of a workspace's data assets"
        )
    return value


def scoring_script(value: Any) -> Any:
    """The scoring script's path below the code folder, with forward slashes."""
    unfit = value.startswith("/") or ".." in value.split("/") or "\\" in value
    if unfit or not re.search("[a-zA-Z0-9_]", value):  # the specification's pattern
        raise ValueError("must be a path below the code folder, such as score.py")
    return value


def api_version(value: Any) -> Any:
    """ARM's `YYYY-MM-DD`, with `-preview` for previews."""
    if not _API_VERSION.fullmatch(value):
        raise ValueError("must be like 2025-12-01")
    return value


def columns(value: Any) -> Any:
    """A number of columns, or their names."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return at_least(1)(value)
    named = isinstance(value, list) and value and all(isinstance(each, str) and each for each in value)
    if not named or len(set(value)) != len(value):
        raise ValueError("must be a whole number, or a list of names, each once")
    return value


def tags(value: Any) -> Any:
    """Tag values are text and not empty: the service refuses empty ones (azure-sdk-for-python#41586)."""
    for key, each in _members(value):
        if not each:
            raise ValueError(f"tag {key!r} must have a value: the service refuses empty ones")
    return value


def duration(value: Any) -> Any:
    """A duration in ISO 8601 (`PT30S`) or short (`30s`, `5m`, `1h`); canonical is ISO 8601, `PT1M30S`."""
    return iso8601(seconds(value))


def wait(value: Any) -> Any:
    """As `duration`, of some length: with a deadline of nothing whatever is begun has failed already."""
    if seconds(value) <= 0:
        raise ValueError("must be longer than nothing, such as PT30S or 30s")
    return duration(value)


def whole_duration(value: Any) -> Any:
    """As `duration`, of whole seconds: what goes to the service, which is not known to keep fractions."""
    if not seconds(value).is_integer():
        raise ValueError("must be whole seconds, such as PT30S or 30s")
    return duration(value)


def seconds(value: str) -> float:
    """The length of a duration, in seconds."""
    short = _SHORT.fullmatch(value.strip())
    if short:
        return float(short[1]) * _UNITS[short[2]]
    iso = _ISO.fullmatch(value.strip())
    if not iso or not any(iso.groups()):
        raise ValueError("must be a duration such as PT30S or 30s")
    days, hours, minutes, rest = (float(part) if part else 0.0 for part in iso.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=rest).total_seconds()


def iso8601(length: float) -> str:
    """`90.0` seconds -> `PT1M30S`; days are left as hours, as the service writes them."""
    whole, fraction = divmod(length, 1)
    minutes, rest = divmod(int(whole), 60)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest + fraction:g}S" if rest or fraction else ""
    text = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + tail
    return f"PT{text or '0S'}"


def _members(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(value.items())
