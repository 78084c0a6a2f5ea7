"""What differs between two sets of inputs, and what a refresh makes of a changed response. Pure."""

from collections.abc import Iterator
from typing import Any

from lab.azure_native.table import Kind
from lab.azure_native.values import JSON

ADD, DELETE, UPDATE = 0, 2, 4
"""Values of PropertyDiff.Kind; one more means that the change replaces."""


def property_changes(kind: Kind, old: JSON, new: JSON) -> dict[str, Any]:
    """Dotted path of each changed input -> PropertyDiff.Kind.

    As azure-native: resource group names and locations compare without case (and spaces); a changed path parameter or
    create-only input replaces, and so does an updated value below it.
    """
    replacing, found = (*kind.parameters, *kind.create_only), {}
    for path, change in _differences(old, new):
        if path in ("location", "resourceGroupName") and _spelled(old.get(path)) == _spelled(new.get(path)):
            continue
        below = change == UPDATE and path.startswith(tuple(f"{name}." for name in replacing))
        found[path] = change + (path in replacing or below)
    return found


def inputs_after_refresh(inputs: Any, old: Any, new: Any) -> Any:
    """The inputs with what changed of them between two responses.

    The service's normalisation (upper-cased sizes, YAML turned into JSON) is in both responses, so it never shows; an
    input that the service does not return (a secret, a path parameter) stays. azure-native also reports other writable
    properties that appear later; the stand-in does not, because it has no schema that says which are writable.
    """
    if isinstance(inputs, dict) and isinstance(old, dict) and isinstance(new, dict):
        owned = {name: value for name, value in inputs.items() if name in new or name not in old}
        return {name: inputs_after_refresh(value, old.get(name), new.get(name)) for name, value in owned.items()}
    return inputs if old == new else new


def _spelled(text: Any) -> str:
    return str(text).replace(" ", "").lower()


def _differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(old, dict) and isinstance(new, dict):
        dot = "." if path else ""
        old, new = ({f"{dot}{name}": item for name, item in each.items()} for each in (old, new))
    elif isinstance(old, list) and isinstance(new, list):
        old, new = ({f"[{index}]": item for index, item in enumerate(each)} for each in (old, new))
    else:
        if old != new:
            yield path, UPDATE
        return
    for step in {**old, **new}:
        if step in old and step in new:
            yield from _differences(old[step], new[step], path + step)
        else:
            yield path + step, DELETE if step in old else ADD
