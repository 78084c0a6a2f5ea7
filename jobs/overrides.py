"""What a single job does otherwise than its deployment, and what else a request says of it."""

import argparse
from collections.abc import Callable
from typing import Any

from providers import checks
from providers.aml.endpoint import Deployment
from providers.aml.refusal import Refusal

_WHOLE = {
    # Option -> (the request's member, its check); whole numbers.
    "mini_batch_size": ("miniBatchSize", checks.at_least(1, checks.INT64)),
    "instance_count": ("compute.instanceCount", checks.at_least(1, checks.INT32)),
    "max_concurrency": ("maxConcurrencyPerInstance", checks.at_least(1, checks.INT32)),
    "max_retries": ("retrySettings.maxRetries", checks.at_least(0, checks.INT32)),
    "error_threshold": ("errorThreshold", checks.at_least(-1, checks.INT32)),
}
_TEXTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "timeout": ("retrySettings.timeout", checks.whole_duration),
    "logging_level": ("loggingLevel", checks.one_of("Info", "Warning", "Debug")),
}
_output_action = checks.one_of("AppendRow", "SummaryOnly")


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("overrides of the deployment's settings, for this job")
    group.add_argument("--mini-batch-size", metavar="N", help="files per run() call")
    group.add_argument("--instance-count", metavar="N", help="nodes")
    group.add_argument("--max-concurrency", metavar="N", help="processes on each node")
    group.add_argument("--max-retries", metavar="N", help="tries of a mini-batch")
    group.add_argument("--timeout", metavar="DURATION", help="of one run() call: PT30S, 30s, 5m")
    group.add_argument("--error-threshold", metavar="N", help="failed items that are borne; -1 for any number")
    group.add_argument("--logging-level", metavar="LEVEL", help="info, warning or debug")
    group.add_argument("--output-action", metavar="ACTION", help="append_row or summary_only; see docs/jobs.md")
    about = parser.add_argument_group("about the job")
    about.add_argument("--experiment", metavar="NAME", help="the experiment that it is listed under")
    about.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")


def read(asked: argparse.Namespace) -> dict[str, Any]:
    """The members of the request that were asked for. Raises Refusal with everything that is wrong, at once."""
    settings: dict[str, Any] = {}
    wrong: list[str] = []
    for option, (member, check) in {**_WHOLE, **_TEXTS}.items():
        given = getattr(asked, option)
        if given is None:
            continue
        try:
            _put(settings, member, check(_whole(given) if option in _WHOLE else given))
        except ValueError as error:
            wrong.append(f"--{option.replace('_', '-')}: {error}, got {given!r}")
    tags = {}
    for each in asked.tag:
        name, separator, value = each.partition("=")
        if not (name and separator and value):
            wrong.append(f"--tag: must be NAME=VALUE, with a value, got {each!r}")
        tags[name] = value
    if tags:
        settings["tags"] = tags
    if asked.experiment:
        settings["properties"] = {"experimentName": asked.experiment}
    if asked.output_action is not None:
        try:
            _output_action(asked.output_action)
        except ValueError as error:
            wrong.append(f"--output-action: {error}, got {asked.output_action!r}")
    if wrong:
        raise Refusal("; ".join(wrong), name="usage")
    return settings


def refuse_other_output_action(asked: str | None, deployment: Deployment) -> None:
    """A job cannot have another output action than its deployment: no request of the service's has a member for it."""
    if asked is None or _output_action(asked) == deployment.output_action:
        return
    raise Refusal(
        f"--output-action {asked}: the deployment {deployment.name} has {deployment.output_action}, and the service "
        "lets no job override it; set `output_action` of a deployment (deployments.<name>.output_action) and name that "
        "one with --deployment",
        name="output-action-of-the-deployment",
    )


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _put(settings: dict[str, Any], member: str, value: Any) -> None:
    outer, _, inner = member.partition(".")
    if inner:
        settings.setdefault(outer, {})[inner] = value
    else:
        settings[outer] = value
