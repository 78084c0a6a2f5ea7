"""A property is declared once; check, changes, request body and read-back all derive from that declaration.

A kind's inputs are a frozen dataclass whose fields are made by `prop`:

    mini_batch_size: Input[int] = prop("Files per run() call.", default=10, check=at_least(1))

The annotation gives the type, `prop` the rest. Everything here is a pure function of values; nothing talks.
Values are the plain ones of a property bag (dict, list, str, int, bool, None) plus `pulumi.output.Unknown`, which
preview sends for what is not known yet and which passes every function untouched.
"""

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pulumi
from pulumi.output import Unknown

from providers.checks import Check

Bag = dict[str, Any]
"""Property name -> plain value, as Pulumi keeps it in state."""

REQUIRED: Any = object()
UPDATE, REPLACE, LOCAL = "update", "replace", "local"
_METADATA = "property"
T = TypeVar("T")


@dataclass(frozen=True)
class Property:
    """What is known of one property: the argument of `prop` plus its name and type."""

    name: str
    doc: str
    default: Any
    check: Check | None
    change: str
    """UPDATE in place by a PUT, REPLACE the resource (old one first), or LOCAL: kept in state, nothing is sent."""
    wire: str | None
    """Dotted path in ARM's body; None is never sent."""
    equal: Callable[[Any, Any], bool]
    grows: bool
    """Of a mapping: the service takes members that are added, and lets none be taken out."""
    quoted: bool
    """Whether a refusal may quote its value; not where people put secrets."""
    type: Any
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True)
class Failure:
    """Why a value is refused: the property's full path (`retry_settings.max_retries`) and a sentence."""

    property: str
    reason: str

    def __str__(self) -> str:
        return f"{self.property}: {self.reason}"


class InvalidSettings(Exception):
    """Some settings are wrong; `failures` has all of them, not only the first."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        super().__init__("\n".join(f"  {failure}" for failure in failures))
        self.failures = tuple(failures)


def prop(
    doc: str,
    *,
    default: Any = REQUIRED,
    check: Check | None = None,
    change: str = UPDATE,
    wire: str | None = "",
    equal: Callable[[Any, Any], bool] | None = None,
    grows: bool = False,
    quoted: bool = True,
) -> Any:
    """Declare one property. `wire` defaults to `properties.<camelCase name>`."""
    metadata = {_METADATA: (doc, default, check, change, wire, equal or (lambda a, b: a == b), grows, quoted)}
    if default is REQUIRED:
        return field(metadata=metadata)
    if isinstance(default, dict | list):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def properties(kind: type) -> Mapping[str, Property]:
    """Property name -> declaration, in the order of declaration."""
    return _declared(typing.cast(Any, kind))


@functools.cache
def _declared(kind: type) -> Mapping[str, Property]:
    # pulumi.Input holds the forward reference "Output[T]", whose names are its module's and not the kind's.
    hints = typing.get_type_hints(kind, localns={"Output": pulumi.Output, "T": T})
    found = {}
    for each in dataclasses.fields(kind):
        doc, default, check, change, wire, equal, grows, quoted = each.metadata[_METADATA]
        path = f"properties.{camel(each.name)}" if wire == "" else wire
        choices = getattr(check, "choices", ())
        kind_of_value = _value_type(hints[each.name])
        found[each.name] = Property(
            each.name, doc, default, check, change, path, equal, grows, quoted, kind_of_value, choices
        )
    return found


def camel(name: str) -> str:
    """`mini_batch_size` -> `miniBatchSize`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def is_unknown(value: Any) -> bool:
    """Whether the value, or anything in it, is not known yet (preview)."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return any(is_unknown(each) for each in value.values())
    if isinstance(value, list | tuple):
        return any(is_unknown(each) for each in value)
    return False


# ---------------------------------------------------------------- check


def check(kind: type, news: Mapping[str, Any], path: str = "") -> tuple[Bag, list[Failure]]:
    """Fill defaults, canonicalise, and refuse what can be known to be wrong, all failures at once."""
    declared = properties(kind)
    failures = [Failure(path + name, _unknown_name(name, declared)) for name in news if name not in declared]
    bag: Bag = {}
    for name, declaration in declared.items():
        value = news.get(name)
        if value is None:
            if declaration.required:
                failures.append(Failure(path + name, f"is required: {declaration.doc}"))
            elif declaration.default is not None:
                bag[name] = _plain(declaration.default)
            continue
        bag[name], found = _checked(declaration, value, path + name)
        failures += found
    return bag, failures


def load(kind: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """An instance of `kind` from plain values, such as a stack file's; raises InvalidSettings with all failures."""
    bag, failures = check(kind, values, path)
    if failures:
        raise InvalidSettings(failures)
    return build(kind, bag)


def build(kind: type[T], bag: Mapping[str, Any]) -> T:
    """An instance of `kind` from a checked bag: nested bags become instances of their own classes again."""
    declared = properties(kind)
    return kind(**{name: _built(declared[name].type, value) for name, value in bag.items()})


def _built(expected: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(expected) and isinstance(value, Mapping):
        return build(typing.cast(type, expected), value)
    element = _element(expected)
    if isinstance(value, Mapping):
        return {key: _built(element, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_built(element, each) for each in value]
    return value


def _checked(declaration: Property, value: Any, path: str) -> tuple[Any, list[Failure]]:
    shown = _quoted if declaration.quoted else _kind_of
    try:
        typed, failures = _typed(declaration.type, value, path, shown)
        if failures or declaration.check is None or is_unknown(typed):
            return typed, failures
        return declaration.check(typed), []
    except ValueError as error:
        return value, [Failure(path, f"{error}, got {shown(value)}")]


def _typed(expected: Any, value: Any, path: str, shown: Callable[[Any], str]) -> tuple[Any, list[Failure]]:
    """The value as `expected` (Pulumi sends every number as a float), or ValueError saying what it should be."""
    if isinstance(value, Unknown) or expected is Any:
        return value, []
    if dataclasses.is_dataclass(expected):
        return check(typing.cast(type, expected), _mapping(value), f"{path}.")
    origin = typing.get_origin(expected) or expected
    element = _element(expected)
    if origin in (dict, Mapping) or _is(origin, Mapping):
        pairs = {
            str(key): _typed_member(element, each, f"{path}.{key}", shown) for key, each in _mapping(value).items()
        }
        return {key: each for key, (each, _) in pairs.items()}, [f for _, found in pairs.values() for f in found]
    if origin in (list, Sequence) or (_is(origin, Sequence) and origin is not str):
        if not isinstance(value, list | tuple):
            raise ValueError("must be a list")
        members = [_typed_member(element, each, f"{path}[{index}]", shown) for index, each in enumerate(value)]
        return [each for each, _ in members], [f for _, found in members for f in found]
    return _scalar(expected, value), []


def _typed_member(element: Any, value: Any, path: str, shown: Callable[[Any], str]) -> tuple[Any, list[Failure]]:
    try:
        return _typed(element, value, path, shown)
    except ValueError as error:
        return value, [Failure(path, f"{error}, got {shown(value)}")]


def _scalar(expected: Any, value: Any) -> Any:
    if expected is bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    if expected is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise ValueError("must be a whole number")
        return int(value)
    if expected is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        return float(value)
    if expected is str:
        if not isinstance(value, str):
            raise ValueError("must be text (quote it in YAML)")
        return value
    raise TypeError(f"schema does not know the type {expected!r}")


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping of names to values")
    return value


def _unknown_name(name: str, declared: Mapping[str, Property]) -> str:
    near = difflib.get_close_matches(name, declared, n=1)
    return f"is not a setting; did you mean {near[0]!r}?" if near else f"is not a setting; known: {', '.join(declared)}"


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _kind_of(value: Any) -> str:
    """What a value is, without the value."""
    if value is None or isinstance(value, bool):
        return "true or false" if isinstance(value, bool) else "nothing"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a mapping" if isinstance(value, Mapping) else "a list"


def canonical(declaration: Property, value: Any) -> Any:
    """The live value in the form that `check` gives; a value that check would refuse is drift, shown as it is."""
    checked, failures = _checked(declaration, value, declaration.name)
    return value if failures else checked


# ---------------------------------------------------------------- changes


def changes(kind: type, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, str]:
    """Property name -> what its change asks for (UPDATE, REPLACE, LOCAL), only for those that changed."""
    return {
        name: declaration.change
        for name, declaration in properties(kind).items()
        if not same(declaration, olds.get(name), news.get(name))
    }


def filled(kind: type, olds: Mapping[str, Any]) -> Bag:
    """A state with defaults for what it does not have, since a release made it that did not know the property."""
    defaults = {
        name: _plain(declaration.default) for name, declaration in properties(kind).items() if not declaration.required
    }
    return {**{name: value for name, value in defaults.items() if value is not None}, **olds}


def same(declaration: Property, old: Any, new: Any) -> bool:
    """Whether two canonical values of a property are equal; an unknown one never is."""
    if is_unknown(old) or is_unknown(new):
        return False
    old, new = _without_nulls(old), _without_nulls(new)
    if old is None or new is None:
        return old is new
    return _equal(declaration, old, new)


def _equal(declaration: Property, old: Any, new: Any) -> bool:
    """By the declaration; a nested bag member by member, each by its own."""
    if dataclasses.is_dataclass(declaration.type) and isinstance(old, Mapping) and isinstance(new, Mapping):
        declared = properties(typing.cast(type, declaration.type))
        names = old.keys() | new.keys()
        if not names <= declared.keys():
            return dict(old) == dict(new)
        return all(same(declared[name], old.get(name), new.get(name)) for name in names)
    if declaration.type is str and not (isinstance(old, str) and isinstance(new, str)):
        return bool(old == new)  # what check refused: `equal` is of texts
    return declaration.equal(old, new)


def _without_nulls(value: Any) -> Any:
    """Pulumi drops null members of mappings, and keeps empty ones: neither says anything."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None} or None
    if isinstance(value, list):
        return [_without_nulls(each) for each in value] or None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


# ---------------------------------------------------------------- types


def _value_type(hint: Any) -> Any:
    """`Input[int]`, `Input[int] | None`, `Optional[...]` -> int."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kept = [
            each
            for each in typing.get_args(hint)
            if each is not type(None)
            and not _is(typing.get_origin(each) or each, pulumi.Output)
            and not _is(typing.get_origin(each) or each, Awaitable)
        ]
        if len(kept) != 1:
            raise TypeError(f"a property has one type, not {hint!r}")
        return _value_type(kept[0])
    return hint


def _element(expected: Any) -> Any:
    arguments = typing.get_args(expected)
    return _value_type(arguments[-1]) if arguments else Any


def is_free(expected: Any) -> bool:
    """Whether a type is a mapping whose names people choose."""
    return _is(typing.get_origin(expected) or expected, Mapping)


def _is(candidate: Any, parent: type) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, parent)


def _plain(value: Any) -> Any:
    """A default as a bag holds it: instances become bags."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return bag_of(value)
    return value


def bag_of(args: Any) -> Bag:
    """The property bag of an instance: nested instances become bags, what is not set is left out."""
    bag: Bag = {}
    for name in properties(type(args)):
        value = getattr(args, name)
        if value is not None:
            bag[name] = _bagged(value)
    return bag


def replaced(args: T, **values: Any) -> T:
    """The same inputs with some set anew."""
    return dataclasses.replace(args, **values)  # type: ignore[type-var]


def _bagged(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return bag_of(value)
    if isinstance(value, Mapping):
        return {key: _bagged(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_bagged(each) for each in value]
    return value
