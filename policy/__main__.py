"""The pack as Pulumi runs it: the rules of rules.py in the words of pulumi-policy. See PulumiPolicy.yaml."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Pulumi runs the folder by its path, so its rules are a package only to who knows where that lies.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy.resource import LATER, Resource, token
from policy.rules import RULES, Rule


def main() -> None:
    PolicyPack(
        name="aml-batch-scoring",
        enforcement_level=EnforcementLevel.MANDATORY,
        policies=[_policy(rule) for rule in RULES],
    )


def _policy(rule: Rule) -> Policy:
    schema = PolicyConfigSchema(properties={name: dict(each) for name, each in rule.settings.items()})
    if rule.whole:
        return StackValidationPolicy(
            name=rule.name, description=rule.description, validate=_of_stack(rule), config_schema=schema
        )
    return ResourceValidationPolicy(
        name=rule.name, description=rule.description, validate=_of_resource(rule), config_schema=schema
    )


def _of_resource(rule: Rule) -> Any:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for found in rule.violations([_resource(args, ())], args.get_config()):
            report(f"{found.resource} {found.message}", None)

    return validate


def _of_stack(rule: Rule) -> Any:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [_resource(each, [needed.urn for needed in each.dependencies]) for each in args.resources]
        for found in rule.violations(resources, args.get_config()):
            report(f"{found.resource} {found.message}", found.urn)

    return validate


def _resource(given: ResourceValidationArgs | PolicyResource, dependencies: Iterable[str]) -> Resource:
    type_, props = token(given.resource_type), _plain(given.props)
    return Resource(type_, given.name, given.urn, props, given.opts.protect, frozenset(dependencies))


def _plain(value: Any) -> Any:
    """A value out of pulumi-policy's proxies, which raise for what is not known yet."""
    if isinstance(value, Mapping):
        return {key: _member(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_member(value, index) for index in range(len(value))]
    return value


def _member(value: Any, key: Any) -> Any:
    try:
        return _plain(value[key])
    except UnknownValueError:
        return LATER


main()
