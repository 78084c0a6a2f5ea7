"""A preview as values: the digest that `pulumi preview --json` prints, of either engine.

The two engines print the same keys (steps with `op`, `urn`, `oldState`, `newState`; diagnostics; a change summary), and
both say less than a reviewer wants: which properties change is worked out here, from the inputs of both states.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

DELETE, REPLACE, CREATE, UPDATE, SAME = "delete", "replace", "create", "update", "same"
OWN = "pulumi-python:dynamic/azureml:"
_NATIVE_VERSION = re.compile(r"^(azure-native:\w+)/v\w+:")
_PHYSICAL = ("create-replacement", "delete-replaced")
"""The halves of a replacement, which the CLI shows with `--show-replacement-steps`: `replace` says it already."""
_WORDS = {"import": CREATE, "import-replacement": REPLACE, "read": SAME, "refresh": SAME, "discard": DELETE}
_SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"  # noqa: S105  # the key of a special value, not a secret
_CLOSING = re.compile(r"(preview|update) failed|an unhandled error occurred: program exited with non-zero exit code")
_STAND_IN = re.compile(
    r"using pulumi-resource-azure-native from \$PATH"
    r"|Detected that \S*/bin/pulumi-resource-azure-native exited prematurely"
)
"""What the CLI tells of a plug-in that is on PATH, in every preview, as the lab's stand-in is; and of one that it had
started for a refresh and not used again."""
_UNKNOWN = re.compile(
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7|3eeb2bf0-c639-47a8-9e75-3b44932eb421|04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    "|6a19a0b0-7e62-4c92-b797-7f8e31da9cc2|dd056dcd-154b-4c76-9bd3-c8f88648b5ff"
)
"""What engines write for a value that is not known yet (sdk/go/common/resource/plugin/rpc.go)."""


class Word(str):
    """Stands for a value that cannot be shown."""

    __slots__ = ()


SECRET = Word("secret")
LATER = Word("known after up")
ABSENT = Word("not set")


class NotAPreview(Exception):
    """What was given is not a preview's digest; the text says what it is."""


@dataclass(frozen=True)
class PropertyChange:
    """`path` as in `properties.scaleSettings.maxNodeCount`; ABSENT for a side that has no such property."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """One resource in a preview, unchanged ones too where the preview tells of them."""

    op: str
    """DELETE, REPLACE (the old one goes, a new one comes), CREATE, UPDATE or SAME."""
    urn: str
    old: Mapping[str, Any] | None = None
    """Inputs in the state; None for a new resource."""
    new: Mapping[str, Any] | None = None
    """Inputs that the program wants; None for a deleted one."""
    outputs: Mapping[str, Any] | None = None
    """Outputs in the state."""
    replaces: tuple[str, ...] = ()
    """Properties whose change asks for the replacement."""
    dependencies: tuple[str, ...] = ()
    protect: bool = False
    init_errors: tuple[str, ...] = ()
    """Why its last create or update did not end well."""
    vanished: bool = False
    """Whether a refresh found it gone from the cloud, so that it is made again."""

    @property
    def type(self) -> str:
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def kind(self) -> str:
        """`BatchEndpoint` for kinds of ours, the token without its API version for others."""
        return _NATIVE_VERSION.sub(r"\1:", self.type).removeprefix(OWN)

    @property
    def name(self) -> str:
        return self.urn.split("::")[-1]

    @property
    def stem(self) -> str:
        """The name without the hash of its content: `digits-code` of `digits-code-203d5abd`."""
        return re.sub(r"-[0-9a-f]{8}$", "", self.name)

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What there will be, or, of a deleted resource, what there was."""
        return self.new if self.new is not None else self.old or {}

    @property
    def properties(self) -> tuple[PropertyChange, ...]:
        return tuple(difference(self.old or {}, self.new or {}))


@dataclass(frozen=True)
class Diagnostic:
    """`name` is a resource's, empty for the stack as a whole."""

    severity: str
    name: str
    text: str


@dataclass(frozen=True)
class Preview:
    stack: str
    changes: tuple[Change, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    def of(self, kind: str, *ops: str) -> list[Change]:
        """Resources of a kind, in the preview's order; of all operations unless some are named."""
        return [each for each in self._by_kind.get(kind, ()) if not ops or each.op in ops]

    def predecessor(self, change: Change) -> Change | None:
        """What goes where a new resource comes: of the same kind, with the same name but for the hash."""
        return self._ends.get((DELETE, change.kind, change.stem)) if change.op == CREATE else None

    def successor(self, change: Change) -> Change | None:
        """What comes where a deleted resource goes."""
        return self._ends.get((CREATE, change.kind, change.stem)) if change.op == DELETE else None

    @cached_property
    def _ends(self) -> Mapping[tuple[str, str, str], Change]:
        """(operation, kind, name without hash) -> what comes or goes; the first where there are several."""
        found: dict[tuple[str, str, str], Change] = {}
        for each in self.changes:
            if each.op in (CREATE, DELETE):
                found.setdefault((each.op, each.kind, each.stem), each)
        return found

    @cached_property
    def _by_kind(self) -> Mapping[str, list[Change]]:
        found: dict[str, list[Change]] = {}
        for each in self.changes:
            found.setdefault(each.kind, []).append(each)
        return found


def read(text: str, stack: str) -> Preview:
    """The preview in an engine's output; lines before the document are passed over. Raises NotAPreview."""
    begin = 0 if text.startswith("{") else text.find("\n{") + 1
    if not text[begin:].startswith("{"):
        raise NotAPreview("there is no JSON document in it; was the preview run with --json?")
    try:
        document, _ = json.JSONDecoder().raw_decode(text, begin)
    except ValueError as error:
        raise NotAPreview(f"its JSON is broken: {error}") from error
    known = ("steps", "diagnostics", "changeSummary", "duration", "config")
    if document and not any(key in document for key in known):
        raise NotAPreview(f"it has none of {', '.join(known)}")
    given = [each for each in document.get("steps") or [] if _is_something(each)]
    # A refresh tells of each resource, and what follows tells of it again: the last word on a URN counts.
    steps = {each["urn"]: each for each in given if each["op"] not in _PHYSICAL}
    for each in given:
        steps.setdefault(each["urn"], each)
    vanished = {each["urn"] for each in given if each["op"] == DELETE and steps[each["urn"]]["op"] == CREATE}
    return Preview(
        stack,
        tuple(_change(each, urn in vanished) for urn, each in steps.items()),
        _diagnostics(document.get("diagnostics") or []),
    )


def difference(old: Any, new: Any, path: str = "") -> Iterator[PropertyChange]:
    """Every property that is not the same, by its path; a list is one value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path else key
            yield from difference(old.get(key, ABSENT), new.get(key, ABSENT), below)
    elif isinstance(old, Mapping) and new is ABSENT:
        yield from difference(old, {}, path)
    elif isinstance(new, Mapping) and old is ABSENT:
        yield from difference({}, new, path)
    elif old != new or new is LATER:
        yield PropertyChange(path, old, new)


def _is_something(step: Mapping[str, Any]) -> bool:
    """Whether a step is about something in the cloud: not a component, the stack itself or a provider's process."""
    state = step.get("newState") or step.get("oldState") or {}
    return bool(state.get("custom", True)) and ":providers:" not in str(step["urn"]).split("::")[2].rsplit("$", 1)[-1]


def _change(step: Mapping[str, Any], vanished: bool) -> Change:
    old, new = step.get("oldState"), step.get("newState")
    state = new or old or {}
    return Change(
        op=REPLACE if step["op"] in _PHYSICAL else _WORDS.get(step["op"], step["op"]),
        urn=step["urn"],
        old=None if old is None else _inputs(old.get("inputs")),
        new=None if new is None else _inputs(new.get("inputs")),
        outputs=None if old is None else _inputs(old.get("outputs")),
        replaces=tuple(step.get("replaceReasons") or ()),
        dependencies=tuple(state.get("dependencies") or ()),
        protect=bool(state.get("protect")),
        init_errors=tuple((old or {}).get("initErrors") or ()),
        vanished=vanished,
    )


def _inputs(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: _plain(value) for key, value in (given or {}).items() if not key.startswith("__")}


def _plain(value: Any) -> Any:
    """A value as it is in the program: numbers whole again, secrets and unknowns as words."""
    if isinstance(value, Mapping):
        if _SECRET_SIGNATURE in value:
            return SECRET
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return SECRET if value == "[secret]" else LATER if _UNKNOWN.search(value) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _diagnostics(given: Sequence[Mapping[str, Any]]) -> tuple[Diagnostic, ...]:
    """Each once, in order; what only says that there was an error goes where the error is there, too."""
    found = [each for each in dict.fromkeys(map(_diagnostic, given)) if not _STAND_IN.match(each.text)]
    told = [each for each in found if not _CLOSING.match(each.text)]
    return tuple(told if any(each.severity == "error" for each in told) else found)


def _diagnostic(given: Mapping[str, Any]) -> Diagnostic:
    urn = given.get("urn") or ""
    name = "" if "::pulumi:pulumi:Stack::" in urn else urn.split("::")[-1]
    severity = str(given.get("severity") or "info")
    return Diagnostic(severity, name, str(given.get("message") or "").removeprefix(f"{severity}: ").strip())
