"""Carry out one step: announce it, call the provider, record the outcome.

Source: pulumi 3.260.0, pkg/resource/deploy/step.go and step_executor.go.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.engine import values
from lab.engine.errors import EngineError, PartialFailure
from lab.engine.generator import Generator
from lab.engine.journal import Journal
from lab.engine.plugin import Plugin
from lab.engine.registry import Registry
from lab.engine.state import State, now
from lab.engine.step import Step
from lab.engine.values import Secret


class Protected(EngineError):
    """A protected resource is not deleted; other deletions may go on."""


class Worker:
    """Used by several threads at once. In a preview providers are asked for what they would do, no more."""

    def __init__(
        self,
        registry: Registry,
        journal: Journal,
        generator: Generator,
        report: Callable[[str, str, str], None],
        *,
        preview: bool,
    ) -> None:
        self._registry, self._journal, self._generator = registry, journal, generator
        self._report, self._preview = report, preview

    def carry_out(self, step: Step) -> None:
        """Raises EngineError when it failed; the journal then has what is known all the same."""
        match step.op:
            case "same":
                self._same(step)
            case "create" | "create-replacement":
                self._create(step)
            case "update":
                self._update(step)
            case "delete" | "delete-replaced":
                self._delete(step)
            case "refresh":
                self._refresh(step)
            case "remove-pending-replace":
                self._journal.drop(step.state)
            case "replace":
                pass  # NO-OP: it stands for the creation and the deletion around it

    def _same(self, step: Step) -> None:
        old, new = _both(step)
        new.id, new.outputs = old.id, old.outputs
        if new.is_provider:
            unchanged = new.copy()
            unchanged.inputs = old.inputs
            self._registry.same(unchanged, checked=True)
        _mark_outputs(new)
        self._journal.put(new, replaces=old, quiet=not _worth_writing(old, new))

    def _create(self, step: Step) -> None:
        old, new = step.old, step.state
        end = self._journal.begin(new, "creating")
        failure = None
        try:
            if new.is_provider:
                new.id, new.outputs = self._registry.create(new.urn, new.inputs, self._preview)
            elif new.custom:
                new.id, new.outputs = self._plugin(new).create(new, self._preview)
        except PartialFailure as partial:
            new.id, new.outputs, new.init_errors = partial.id, partial.outputs, partial.reasons
            failure = partial
        except BaseException:
            end()
            self._journal.failed()
            raise
        new.created = new.modified = now()
        _mark_outputs(new)
        end()
        if old is not None and step.pending_delete:
            old.delete = True
            self._journal.mark(old)
        self._journal.put(new, replaces=old if old is not None and old.pending_replacement else None)
        if failure is not None:
            raise failure

    def _update(self, step: Step) -> None:
        old, new = _both(step)
        new.id = old.id
        end = self._journal.begin(new, "updating")
        failure = None
        try:
            if new.is_provider:
                new.outputs = self._registry.update(new.urn, new.id, new.inputs)
            elif new.custom:
                new.outputs = self._plugin(new).update(old, new, self._preview)
        except PartialFailure as partial:
            new.outputs, new.inputs, new.init_errors = partial.outputs, dict(old.inputs), partial.reasons
            failure = partial
        except BaseException:
            end()
            self._journal.failed()
            raise
        if new.custom:
            new.modified = now()
        _mark_outputs(new)
        end()
        self._journal.put(new, replaces=old)
        if failure is not None:
            raise failure

    def _delete(self, step: Step) -> None:
        old = step.state
        if old.protect and step.op == "delete":
            raise Protected(
                f'resource "{old.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, either '
                "remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`, or use the "
                f"command:\n`pulumi state unprotect '{old.urn}'`"
            )
        end = self._journal.begin(old, "deleting")
        try:
            self._delete_outside(old)
        except BaseException:
            end()
            self._journal.failed()
            raise
        end()
        if step.pending_replacement:
            old.pending_replacement = True
            self._journal.rewrite(old)
        else:
            self._journal.drop(old)

    def _delete_outside(self, old: State) -> None:
        if self._preview or not old.custom or old.retain_on_delete or old.deleted_with in self._generator.deletes:
            return
        if old.is_provider:
            self._registry.delete(old.urn, old.id)
        else:
            self._plugin(old).delete(old)

    def _refresh(self, step: Step) -> None:
        """Afterwards `step.new` is None when the object is gone, and `step.old` where there is nothing to read."""
        old = step.state
        step.new, step.result_op = old, "same"
        if not old.custom or old.is_provider or old.pending_replacement:
            self._journal.refresh(old, old)
            return
        init_errors: list[str] = []
        try:
            ident, outputs, inputs = self._plugin(old).read(old)
        except PartialFailure as partial:
            ident, outputs, inputs, init_errors = partial.id, partial.outputs, partial.inputs, partial.reasons
            reasons = "".join(f"\n* {reason}" for reason in init_errors)
            self._report(old.urn, "warning", f"Refreshed resource is in an unhealthy state:{reasons}")
        if not ident:
            step.new, step.result_op = None, "delete"
            self._journal.refresh(old, None)
            return
        new = old.copy()
        new.id, new.outputs, new.init_errors = ident, outputs, init_errors
        new.inputs = old.inputs if inputs is None else inputs
        _mark_outputs(new)
        if not (values.same(new.inputs, old.inputs) and values.same(new.outputs, old.outputs)):
            new.modified = now()
        diff = self._generator.compare(new, old.inputs, old.ignore_changes, old.provider, preview=self._preview)
        step.new, step.changed_keys = new, diff.keys
        step.detailed_diff = diff.detailed and {path: _inverted(item) for path, item in diff.detailed.items()}
        step.result_op = "update" if diff.changes else "same"
        self._journal.refresh(old, new)

    def _plugin(self, state: State) -> Plugin:
        plugin = self._registry.get(state.provider)
        if plugin is None:
            raise EngineError(f"unknown provider '{state.provider}' for resource '{state.urn}'")
        return plugin


def _both(step: Step) -> tuple[State, State]:
    if step.old is None or step.new is None:
        raise EngineError(f"step {step.op} needs an old and a new state")
    return step.old, step.new


def _inverted(change: tuple[str, bool]) -> tuple[str, bool]:
    kind, of_inputs = change
    swapped = {"add": "delete", "delete": "add"}
    first, dash, rest = kind.partition("-")
    return swapped.get(first, first) + dash + rest, of_inputs


def _mark_outputs(state: State) -> None:
    """Secret are the outputs that the program names, and those named like a secret input."""
    for key in state.outputs:
        named = key in state.additional_secret_outputs and key != "id"
        if (named or isinstance(state.inputs.get(key), Secret)) and not isinstance(state.outputs[key], Secret):
            state.outputs[key] = Secret(state.outputs[key])


def _worth_writing(old: State, new: State) -> bool:
    plain = ("urn", "type", "custom", "retain_on_delete", "provider", "parent", "deleted_with", "protect")
    if any(getattr(old, name) != getattr(new, name) for name in (*plain, "custom_timeouts")):
        return True
    if sorted(old.dependencies) != sorted(new.dependencies):
        return True
    needs = [{k: sorted(v) for k, v in state.property_dependencies.items()} for state in (old, new)]
    return needs[0] != needs[1] or not (values.same(old.inputs, new.inputs) and values.same(old.outputs, new.outputs))
