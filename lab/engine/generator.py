"""Decide what has to be done: from registrations and old states to steps.

Runs on the main loop alone; asks providers (check, diff) but changes nothing outside.
Source of every rule: pulumi 3.260.0, pkg/resource/deploy/step_generator.go.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from lab.engine import graph, property_path, values
from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.goal import Alias, Goal, Registration
from lab.engine.plugin import Checked, Diff, DiffUnavailable, Plugin
from lab.engine.registry import Registry
from lab.engine.state import State
from lab.engine.step import Step
from lab.engine.values import UNKNOWN, Properties

Report = Callable[[str, str, str], None]
"""(urn, severity, message)"""


class Invalid(EngineError):
    """The program's wish cannot be met; the reasons have been reported."""


class Generator:
    """`olds` may be read while workers mark old states as deleted; registered resources are in `seen`."""

    def __init__(
        self, stack: str, project: str, base: Sequence[State], registry: Registry, report: Report, *, preview: bool
    ) -> None:
        self._stack, self._project, self._preview = stack, project, preview
        self._base, self._registry, self._report = base, registry, report
        self._olds = {state.urn: state for state in base if not state.delete}
        self._providers: dict[str, State] = {}
        self._seen: set[str] = set()
        self._operated: set[str] = set()
        self._created: set[str] = set()
        self._replaced: set[str] = set()
        self._pending_deletes: set[State] = set()
        self._replaced_because: dict[str, list[str]] = {}
        self._renamed: dict[str, str] = {}
        self._former: dict[str, str] = {}
        self.deletes: set[str] = set()
        """URNs deleted in this run: what is `deleted_with` one of them needs no call of its own."""
        self.failed = False

    def register(self, registration: Registration) -> list[Step]:
        """The steps of one registration, in order. Raises Invalid (reported) or EngineError (not reported)."""
        goal = registration.goal
        urn = urns.make(self._stack, self._project, goal.parent, goal.type, goal.name)
        if goal.parent and goal.parent not in self._seen:
            raise EngineError(f"could not find parent resource {goal.parent}")
        if urn in self._seen:
            self._report(urn, "error", f"Duplicate resource URN '{urn}'; try giving it a unique name")
            raise Invalid
        self._seen.add(urn)
        old = self._find_old(urn, goal)
        new = self._new_state(urn, goal, old)
        if new.is_provider:
            self._providers[urn] = new
        inputs = new.inputs
        if old is not None and goal.ignore_changes:
            inputs = self._with_ignored(urn, inputs, old.inputs, goal.ignore_changes)
        seed = os.urandom(32)
        recreating = urn in self.deletes and old is not None
        if goal.custom:
            fresh = recreating or old is None
            olds, news = ({}, goal.properties) if fresh or old is None else (old.inputs, inputs)
            new.inputs = self._check(new, olds, news, seed)
        else:
            new.inputs = inputs
        if old is None:
            self._created.add(urn)
            return [Step("create", None, new, registration)]
        if recreating:
            return self._recreate(registration, old, new)
        return self._from_diff(registration, old, new, seed)

    def deletions(self) -> list[Step]:
        """What the program did not register any more, and what earlier replacements left."""
        steps = []
        for state in self._base:
            if state.delete:
                if state not in self._pending_deletes:
                    self.deletes.add(state.urn)
                    steps.append(Step("delete-replaced", state, None))
            elif not self._is_operated(state.urn):
                self.deletes.add(state.urn)
                steps.append(Step("remove-pending-replace" if state.pending_replacement else "delete", state, None))
        for step in steps:
            self.ensure_provider(step.state.provider)
        return steps

    def ensure_provider(self, reference: str) -> Plugin | None:
        """Load the plugin of a provider that only the old state knows."""
        if not reference:
            return None
        plugin = self._registry.get(reference)
        if plugin is not None:
            return plugin
        urn, ident = urns.provider_urn(reference), urns.provider_id(reference)
        for state in self._base:
            if state.urn == urn and state.id == ident:
                self._registry.same(state, checked=False)
                return self._registry.get(reference)
        raise EngineError(f"unknown provider '{reference}'")

    def _new_state(self, urn: str, goal: Goal, old: State | None) -> State:
        new = State(urn, goal.type, goal.custom, inputs=goal.properties, parent=goal.parent, provider=goal.provider)
        new.protect, new.retain_on_delete = bool(goal.protect), bool(goal.retain_on_delete)
        new.dependencies, new.property_dependencies = goal.dependencies, goal.property_dependencies
        new.additional_secret_outputs, new.custom_timeouts = goal.additional_secret_outputs, goal.custom_timeouts
        new.deleted_with, new.ignore_changes = goal.deleted_with, goal.ignore_changes
        new.replace_on_changes = goal.replace_on_changes
        if urn in self._former:
            new.aliases = [self._former[urn]]
        if old is not None:
            new.created, new.modified = old.created, old.modified
        return new

    def _check(self, new: State, olds: Properties, news: Properties, seed: bytes) -> Properties:
        if new.is_provider:
            checked = self._registry.check(new.urn, olds, news)
        else:
            checked = self._plugin(new.provider).check(new, olds, news, seed, self._preview)
        self._report_failures(new, checked)
        return checked.inputs

    def _report_failures(self, new: State, checked: Checked) -> None:
        for name, reason in checked.failures:
            if name:
                value = values.plain(new.inputs.get(name), lambda _: "[secret]")
                text = f"property {name} value {{{_shown(value)}}} has a problem: {reason}"
                self._report(new.urn, "error", f"{new.type} resource '{new.name}': {text}")
            else:
                self._report(new.urn, "error", f"{new.type} resource '{new.name}' has a problem: {reason}")
        if checked.failures:
            raise Invalid

    def _plugin(self, reference: str) -> Plugin:
        plugin = self.ensure_provider(reference)
        if plugin is None:
            raise EngineError("a custom resource has no provider")
        return plugin

    def _recreate(self, registration: Registration, old: State, new: State) -> list[Step]:
        """It has been deleted in this run, because something that it needs is deleted before it is replaced."""
        self.deletes.discard(new.urn)
        self._replaced.add(new.urn)
        self._operated.add(new.urn)
        keys = self._replaced_because.get(new.urn, [])
        return [
            Step("replace", old, new),
            Step("create-replacement", old, new, registration, replace_keys=keys),
        ]

    def _from_diff(self, registration: Registration, old: State, new: State, seed: bytes) -> list[Step]:
        goal = registration.goal
        self._operated.add(new.urn)
        try:
            diff = self._diff(old, new, goal)
        except DiffUnavailable as unavailable:
            self._report(new.urn, "warning", str(unavailable))
            diff = Diff(changes=True)
        diff = with_replace_on_changes(diff, goal.replace_on_changes, bool(old.init_errors))
        if old.pending_replacement or (diff.changes and diff.replace):
            return self._replace(registration, old, new, diff, seed)
        if diff.changes or old.init_errors:
            step = Step("update", old, new, registration)
            step.changed_keys, step.detailed_diff = diff.keys, diff.detailed
            return [step]
        return [Step("same", old, new, registration)]

    def _diff(self, old: State, new: State, goal: Goal) -> Diff:
        if new.deleted_with and new.deleted_with in self._replaced:
            return Diff(replaces=["deletedWith"])
        if self._provider_changed(old, new):
            return Diff(replaces=["provider"])
        if not new.custom:
            return Diff(changes=not values.same(old.inputs, new.inputs))
        return self.compare(old, new.inputs, goal.ignore_changes, new.provider, preview=self._preview)

    def compare(
        self, old: State, inputs: Properties, ignore_changes: Sequence[str], provider: str, *, preview: bool
    ) -> Diff:
        """The provider's diff, or the engine's own comparison of inputs where the provider has no opinion."""
        if old.is_provider:
            diff = self._registry.diff(old.urn, old.id, old.inputs, old.outputs, inputs)
        else:
            plugin = self._plugin(provider)
            diff = plugin.diff(old, inputs, ignore_changes, preview)
        if diff.changes is None:
            compared = self._with_ignored(old.urn, inputs, old.inputs, ignore_changes)
            changed = values.changed_keys(old.inputs, compared)
            diff.changes = bool(changed)
            if changed:
                diff.keys = list(changed)
                diff.detailed = {key: (kind, True) for key, kind in changed.items()}
        return diff

    def _provider_changed(self, old: State, new: State) -> bool:
        if old.provider == new.provider:
            return False
        if not old.provider or not new.provider:
            return True
        old_urn, new_urn = urns.provider_urn(old.provider), urns.provider_urn(new.provider)
        if self._renamed.get(old_urn) == new_urn:
            return False
        plugin = self._registry.get(new.provider)
        before, after = self._olds.get(old_urn), self._providers.get(new_urn)
        if plugin is None or before is None or after is None:
            raise EngineError(f"failed to resolve provider reference: {new.provider!r}")
        public = [{key: value for key, value in item.inputs.items() if key != "__internal"} for item in (before, after)]
        return plugin.diff_config(new_urn, public[0], before.outputs, public[1]).replace

    def _replace(self, registration: Registration, old: State, new: State, diff: Diff, seed: bytes) -> list[Step]:
        goal = registration.goal
        if new.protect and old.protect:
            self._report(
                new.urn,
                "error",
                f'unable to replace resource "{new.urn}"\nas it is currently marked for protection. To unprotect the '
                "resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`",
            )
            self.failed = True
            if not self._preview:
                raise Invalid
        self._replaced.add(new.urn)
        if goal.custom:
            new.inputs = self._check(new, {}, goal.properties, seed)
        create = Step("create-replacement", old, new, registration)
        replace = Step("replace", old, new)
        for step in (create, replace):
            step.replace_keys, step.changed_keys, step.detailed_diff = diff.replaces, diff.keys, diff.detailed
        first = diff.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        if first:
            return [*self._deletions_before(old), replace, create]
        create.pending_delete = replace.pending_delete = True
        return [create, replace]

    def _deletions_before(self, old: State) -> list[Step]:
        """Delete `old`, and before it everything that would be replaced when `old` is."""
        steps = []
        for dependent, keys in reversed([*self._dependent_replacements(old), *self._deleted_with(old.urn)]):
            if dependent in self._pending_deletes:
                continue
            self._replaced_because[dependent.urn] = keys
            if dependent.delete:
                steps.append(Step("delete", dependent, None))
            elif dependent.protect:
                self._report(
                    old.urn,
                    "error",
                    f'unable to replace resource "{dependent.urn}" as part of replacing "{old.urn}" as it is currently '
                    "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in "
                    f"your Pulumi program and run `pulumi up`, or use the command:\n`pulumi state unprotect "
                    f"'{dependent.urn}'`",
                )
                self.failed = True
                raise Invalid
            else:
                steps.append(Step("delete-replaced", dependent, None, pending_replacement=True))
            self.deletes.add(dependent.urn)
            self._pending_deletes.add(dependent)
        self.ensure_provider(old.provider)
        if not old.pending_replacement:
            self.deletes.add(old.urn)
            steps.append(Step("delete-replaced", old, None, pending_replacement=True))
        return steps

    def _dependent_replacements(self, root: State) -> list[tuple[State, list[str]]]:
        """Dependents that their providers would replace if the properties they take from `root` changed."""
        if root not in self._base:
            return []
        chosen: list[tuple[State, list[str]]] = []
        replaced = {root.urn}
        settled = self._operated | self._created | self.deletes | self._replaced
        for state in graph.dependents(self._base, root, settled):
            keys = self._replacement_keys(state, replaced)
            if keys is not None:
                chosen.append((state, keys))
                replaced.add(state.urn)
        return chosen

    def _replacement_keys(self, state: State, replaced: set[str]) -> list[str] | None:
        """Why `state` is replaced along with `replaced`; None when it is not."""
        if not state.custom:
            return None
        if state.provider and urns.provider_urn(state.provider) in replaced:
            self.ensure_provider(state.provider)
            return []
        if state.deleted_with in replaced:
            return []
        touched = {key for key, needed in state.property_dependencies.items() if replaced.intersection(needed)}
        if not touched & state.inputs.keys():
            return None
        inputs = {key: UNKNOWN if key in touched else value for key, value in state.inputs.items()}
        if state.is_provider:
            self._registry.same(state, checked=False)
        else:
            self.ensure_provider(state.provider)
        diff = self.compare(state, inputs, state.ignore_changes, state.provider, preview=True)
        diff = with_replace_on_changes(diff, state.replace_on_changes, False)
        return diff.replaces if diff.replace else None

    def _deleted_with(self, urn: str) -> list[tuple[State, list[str]]]:
        return [(state, []) for state in self._olds.values() if state.deleted_with == urn]

    def _with_ignored(
        self, urn: str, inputs: Properties, olds: Properties, ignore_changes: Sequence[str]
    ) -> Properties:
        kept, impossible = property_path.with_old_values(inputs, olds, ignore_changes)
        if impossible:
            paths = ", ".join(impossible)
            self._report(urn, "info", f'cannot ignore changes in added or removed elements of the path: "{paths}"')
        return kept

    def _is_operated(self, urn: str) -> bool:
        return self._renamed.get(urn, urn) in self._operated

    def _find_old(self, urn: str, goal: Goal) -> State | None:
        if urn in self._renamed:
            self._report(
                urn,
                "error",
                f"Duplicate resource URN '{urn}' conflicting with alias on resource with URN '{self._renamed[urn]}'",
            )
            raise Invalid
        for candidate in [urn, *self._former_urns(goal)]:
            old = self._olds.get(candidate)
            if old is None:
                continue
            if candidate != urn:
                if candidate in self._seen or candidate in self._renamed:
                    self._report(
                        urn, "error", f"Duplicate resource alias '{candidate}' applied to resource with URN '{urn}'"
                    )
                    raise Invalid
                self._renamed[candidate] = urn
                self._former[urn] = candidate
                self._registry.alias(urn, candidate)
            return old
        return None

    def _former_urns(self, goal: Goal) -> list[str]:
        own = [self._alias_urn(goal, alias) for alias in goal.aliases]
        former_parent = self._former.get(goal.parent)
        if former_parent is None:
            return own
        parent_name = urns.name_of(goal.parent)
        inherited = [_child_urn(goal.type, goal.name, parent_name, former_parent)]
        for urn in own:
            child = (urns.type_of(urn), urns.name_of(urn))
            inherited.append(_child_urn(*child, parent_name, former_parent))
        return [*own, *inherited]

    def _alias_urn(self, goal: Goal, alias: Alias) -> str:
        if alias.urn:
            return alias.urn
        parent = self._former.get(alias.parent, alias.parent) if alias.parent else goal.parent
        if alias.no_parent:
            parent = ""
        stack, project = alias.stack or self._stack, alias.project or self._project
        return urns.make(stack, project, parent, alias.type or goal.type, alias.name or goal.name)


def _child_urn(kind: str, name: str, parent_name: str, former_parent: str) -> str:
    """A child's URN under its parent's former one; a name that starts with the parent's name follows it."""
    if name.startswith(parent_name):
        name = urns.name_of(former_parent) + name[len(parent_name) :]
    stack, project = former_parent.split("::")[:2]
    return urns.make(stack.removeprefix("urn:pulumi:"), project, former_parent, kind, name)


def with_replace_on_changes(diff: Diff, paths: Sequence[str], init_errors: bool) -> Diff:
    """Turn changes under `paths` into replacements; `#initerror` and `*` stand for init errors too."""
    if not paths or not (diff.changes or init_errors):
        return diff
    detailed = diff.detailed
    if detailed is not None:
        detailed = {
            path: (
                kind if kind.endswith("-replace") or not property_path.any_contains(paths, path) else f"{kind}-replace",
                of,
            )
            for path, (kind, of) in detailed.items()
        }
    replaces = [*diff.replaces, *(key for key in diff.keys if property_path.any_contains(paths, key))]
    changes = diff.changes
    if init_errors and property_path.any_contains(paths, "#initerror"):
        replaces.append("#initerror")
        changes = True
    return Diff(changes, list(dict.fromkeys(replaces)), diff.keys, detailed, diff.delete_before_replace)


def _shown(value: object) -> str:
    return "<nil>" if value is None else str(value)
