"""Whether a smoke job runs: decided from what state says and what is wanted. A preview and an `up` ask the same.

- The *key* of a job stands for all that it runs: deployment, settings, input, nodes. Another key is another job.
- *Expectations* (rows, columns, check script) are held against what it wrote. When they change, the predictions that
  are there are looked at again, and nothing runs.
- The *subject* is a deployment with its content, by its name. State remembers the subjects that passed, with key and
  expectations, as long as the stack has them. The default going back to one of them is a rollback: with the same key
  nothing runs, with another one it does, and with `on_rollback: skip` it moves at once, whatever has changed since.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from providers.amounts import counted, length
from providers.blob.size import size

PASSED, FAILED, PENDING, SKIPPED = "passed", "failed", "pending", "skipped"
"""Verdicts. A default moves after the first and the last."""
RUN, SKIP = "run", "skip"
"""Of `on_rollback`."""
Act = Literal["run", "look", "skip", "nothing"]


@dataclass(frozen=True)
class Decision:
    """`look`: the predictions of a job that ran already. `why` is a half sentence, for people."""

    act: Act
    why: str = ""


def decide(olds: Mapping[str, Any], news: Mapping[str, Any], expectations: str, before: str = "") -> Decision:
    """What an `up` does. `olds` is the state, empty where there is none; `expectations` the wanted ones' digest.

    `before`: the digest of those in `olds`.
    """
    if not olds:
        return Decision("run", "nothing was tested yet")
    here = subject(olds) == subject(news)
    if here and olds.get("key") == news["key"]:
        found = _same_job(olds, news, before == expectations)
        if found is not None:
            return found
    passed = (olds.get("passed") or {}).get(subject(news))
    if passed and not here and news.get("on_rollback") == SKIP:
        return Decision("skip", "it passed one before, and `on_rollback` is skip")
    if passed and passed["key"] == news["key"]:
        if passed["expectations"] == expectations:
            return Decision("look", "it passed before")
        return Decision("look", "it ran before, and other predictions are expected now")
    if here and olds.get("verdict") == SKIPPED:
        return Decision("run", "the default went back to it untested")
    if here:
        return Decision("run", "what it tests has changed")
    return Decision("run", "it passed another one before" if passed else "none has passed on it")


def _same_job(olds: Mapping[str, Any], news: Mapping[str, Any], expected_the_same: bool) -> Decision | None:
    """Where state has this very job on this very deployment; None where that says nothing."""
    verdict = olds.get("verdict")
    if verdict == PASSED:
        return Decision("nothing") if expected_the_same else Decision("look", "other predictions are expected now")
    if verdict == PENDING:
        return Decision("run", "the last one has not ended")
    if verdict == FAILED:
        if expected_the_same or olds.get("status") != "Completed":
            return Decision("run", "the last one did not pass")
        return Decision("look", "other predictions are expected than those that were refused")
    return Decision("nothing") if verdict == SKIPPED and news.get("on_rollback") == SKIP else None


def remembered(olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """The subjects that passed and may be gone back to: those that the stack has, and the one that served last."""
    kept = {*(news.get("subjects") or ()), subject(olds)}
    return {name: each for name, each in (olds.get("passed") or {}).items() if name in kept}


def without(passed: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """What passed, but for this very job, which now did not."""
    job = (subject(news), news["key"])
    return {name: each for name, each in passed.items() if (name, each["key"]) != job}


def subject(bag: Mapping[str, Any]) -> str:
    """The deployment with its content that a bag of inputs is about."""
    return str(bag.get("subject") or bag.get("deployment_name"))


def announcement(decision: Decision, news: Mapping[str, Any]) -> str:
    """What a preview says: whether a job will run, why, and on how much."""
    name = news["deployment_name"]
    if decision.act == "run":
        return f"smoke job on {name}: {_extent(news)}; {decision.why}"
    if decision.act == "look":
        return f"no smoke job on {name}: {decision.why}; its predictions are looked at again"
    return f"no smoke job on {name}: {decision.why}" if decision.act == "skip" else ""


def _extent(news: Mapping[str, Any]) -> str:
    if news.get("files") is not None:
        files = f"{counted(news['files'], 'file')}, {size(news.get('bytes') or 0)}"
    elif news.get("max_files") is not None:
        files = f"at most {counted(news['max_files'], 'file')}, counted before it starts"
    else:
        files = "as many files as there are"
    nodes = f", {counted(news['instance_count'], 'node')}" if news.get("instance_count") is not None else ""
    return f"{files}{nodes}, at most {length(str(news['deadline']))}"
