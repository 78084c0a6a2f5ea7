"""Every stack file, checked on this machine alone: what `up` would refuse at its start, for all stacks at once."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from providers.blob import Folder, scan
from providers.schema import Failure, InvalidSettings
from stacks import normal_form
from stacks import settings as stack_settings
from stacks.engine import PROJECT
from stacks.settings import Settings
from stacks.stack_file import configuration, document


def check(files: Mapping[str, Path]) -> dict[str, list[Failure]]:
    """Stack name -> everything that is wrong with it, empty where nothing is."""
    look = cache(scan)
    found: dict[str, list[Failure]] = {}
    good: dict[str, Settings] = {}
    for stack, path in files.items():
        try:
            good[stack] = _settings(path, look)
            found[stack] = []
        except InvalidSettings as invalid:
            found[stack] = list(invalid.failures)
    for stack, failure in _shared_names(good):
        found[stack].append(failure)
    return found


def settings_of(path: Path) -> Settings:
    """The settings of a stack file; raises InvalidSettings. The local files that they name are not looked at."""
    return stack_settings.from_config(PROJECT, configuration(document(path)))


def _settings(path: Path, look: Callable[[str], Folder]) -> Settings:
    found = settings_of(path)
    stack_settings.gather(found, look)
    return found


def _shared_names(settings: Mapping[str, Settings]) -> Iterator[tuple[str, Failure]]:
    """Two stacks that claim one name in one workspace: the second would be refused as a stranger."""
    claimed: dict[tuple[str, ...], str] = {}
    for stack, each in settings.items():
        workspace = (each.subscription_id, each.resource_group.lower(), each.workspace.lower())
        for kind, setting, name in _names(each):
            earlier = claimed.setdefault((*workspace, kind, name.lower()), stack)
            if earlier != stack:
                yield stack, Failure(setting, f"is {name!r}, as in stack {earlier}, which uses the same workspace")


def _names(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """(kind, setting, name in Azure) of all that the file itself gives a name."""
    for where, compute in normal_form.compute_places(settings):
        if compute.name and not compute.id:
            yield "compute", f"{where}.name", compute.name
    for prefix, group in normal_form.endpoint_places(settings):
        if group.endpoint.name:
            yield "endpoint", f"{prefix}endpoint.name", group.endpoint.name
