"""The comment under a pull request: a preview in, Markdown out, and nothing else happens here."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.resource import Violation
from providers.arm.redact import redact
from reviews import costs
from reviews.content import Content, Contents, NotKnown
from reviews.costs import count, size
from reviews.markdown import code, fenced, folded, table
from reviews.preview import CREATE, DELETE, REPLACE, SAME, UPDATE, Change, Preview
from reviews.reasons import gate_words, reason, what_changes

LIMIT = 65_536
"""Characters that GitHub takes in one comment (issues, pull requests and their reviews)."""
_OPEN = 12
"""Rows of a table that are shown without a click."""
_MARKS = {DELETE: "− delete", REPLACE: "± replace", CREATE: "+ create", UPDATE: "~ update"}
_ORDER = (
    *("ResourceGroup", "StorageAccount", "Vault", "Workspace", "Compute"),
    *("BlobFolder", "CodeVersion", "ModelVersion", "DataVersion", "EnvironmentVersion"),
    *("BatchEndpoint", "BatchDeployment", "ScoringJob", "DefaultDeployment"),
)
"""Kinds from the ground up."""
_FELT = ("Workspace", "StorageAccount", "BatchEndpoint", "DefaultDeployment", "BatchDeployment", "Compute")
"""Kinds whose deletion is felt most, which come first."""
_ROWS = (500, 200, 100, 50, 20, 8, 3)
"""Rows of each table, tried one after the other until the comment is short enough."""


@dataclass(frozen=True)
class Review:
    """All that a comment is made of."""

    preview: Preview
    contents: Contents
    violations: Sequence[Violation] = ()
    drift: bool = False
    """Whether the preview looked at what there really is first: it then tells what would be repaired."""
    said: str = ""
    """What the engine said where there is no preview to show."""
    exit_code: int = 0
    """The engine's."""

    @property
    def failed(self) -> bool:
        return bool(self.said) or self.exit_code != 0


def marker(stack: str) -> str:
    """The comment's first line, by which the next run finds it: one comment for a stack, however often it is pushed."""
    return f"<!-- aml-batch-scoring: preview of {re.sub('[^A-Za-z0-9_.-]|--', '_', stack)} -->"


def comment(review: Review) -> str:
    """The whole comment, never longer than LIMIT."""
    for rows in _ROWS:
        text = redact(_written(review, rows))
        if len(text) <= LIMIT:
            return text
    closing = "\n```\n\n</details>\n\n*cut: the whole preview is in the log of the run*\n"
    return text[: LIMIT - len(closing)] + closing


def _written(review: Review, rows: int) -> str:
    preview = review.preview
    parts = [marker(preview.stack), _headline(review)]
    if review.failed:
        parts.append(_failure(review))
    if not review.said:
        parts += [_glance(review), *(section(review, rows) for section in _SECTIONS)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(review: Review) -> str:
    stack = code(review.preview.stack)
    if review.failed:
        return f"### Preview of stack {stack} failed"
    numbers = counts(review.preview)
    total = ", ".join(f"{number} to {word}" for word, number in numbers.items() if number and word != SAME)
    what = "Drift of" if review.drift else "Preview of"
    return f"### {what} stack {stack}: {total or ('none' if review.drift else 'no changes')}"


def counts(preview: Preview) -> dict[str, int]:
    """Operation -> how many resources, deletions first."""
    return {op: sum(each.op == op for each in preview.changes) for op in (DELETE, REPLACE, CREATE, UPDATE, SAME)}


def _failure(review: Review) -> str:
    errors = [each for each in review.preview.diagnostics if each.severity == "error"]
    text = "\n\n".join(f"{each.name}: {each.text}" if each.name else each.text for each in errors)
    text = text or review.said or f"the engine ended with {review.exit_code} and gave no reason"
    return f"{fenced(text)}\n\nNothing was changed."


def _glance(review: Review) -> str:
    """The few lines that most reviewers need."""
    preview = review.preview
    lines = [f"default deployment of {each}" for each in _defaults(preview)]
    uploads = preview.of("BlobFolder", CREATE, REPLACE)
    if uploads:
        lines.append(f"uploads: {_to_send(uploads, review.contents)}")
    lines += [f"smoke job {each}" for each in costs.jobs(preview)]
    if review.violations:
        lines.append(f"**{count(len(review.violations), 'policy violation')}**, see below")
    return "\n".join(f"- {line}" for line in lines)


def _defaults(preview: Preview) -> list[str]:
    """`endpoint: old → new, after job has passed`, of each endpoint whose default changes."""
    return [
        f"{endpoint}: {before} → **{after}**" + (f", {gate}" if gate else "")
        for endpoint, before, after, gate in _moves(preview)
        if before != after
    ]


def _moves(preview: Preview) -> list[tuple[str, str, str, str]]:
    """(endpoint, default before, default after, what stands before the move) of every endpoint."""
    found = []
    for each in preview.of("DefaultDeployment"):
        old = each.inputs if each.op == SAME else each.old
        new = each.inputs if each.op == SAME else each.new
        elsewhere = old is not None and new is not None and old.get("endpoint_id") != new.get("endpoint_id")
        if old is not None and (elsewhere or new is None):
            found.append((_endpoint(old), code(old.get("deployment_name")), "none", ""))
        if new is not None:
            before = code(old.get("deployment_name")) if old is not None and not elsewhere else "none"
            found.append((_endpoint(new), before, code(new.get("deployment_name")), gate_words(each, preview)))
    return found


def _endpoint(inputs: Mapping[str, Any]) -> str:
    return code(str(inputs.get("endpoint_id")).rsplit("/", 1)[-1])


def _to_send(uploads: Sequence[Change], contents: Contents) -> str:
    """Bytes that will be sent: exact where all contents are known, else the most that it can be."""
    files = sum(int(each.inputs["files"]) for each in uploads if isinstance(each.inputs.get("files"), int))
    whole = sum(int(each.inputs["bytes"]) for each in uploads if isinstance(each.inputs.get("bytes"), int))
    known = [contents.get(each.urn) for each in uploads]
    sent = sum(each.to_send for each in known if isinstance(each, Content))
    if all(isinstance(each, Content) for each in known):
        rest = f" of {size(whole)}; the rest is in the storage account" if sent < whole else ""
        return f"{size(sent)} to send{rest} ({count(files, 'file')})"
    return f"at most {size(whole)} to send ({count(files, 'file')})"


def _deletions(review: Review, rows: int) -> str:
    gone = [each for each in review.preview.changes if each.op in (DELETE, REPLACE)]
    lines = [
        (_MARKS[each.op], _name(each) + (", **protected**" if each.protect else ""), reason(each, review.preview))
        for each in sorted(gone, key=lambda each: (_place(each, _FELT), each.name))
    ]
    return _section("Deleted", ("", "resource", "why"), lines, rows)


def _place(change: Change, order: Sequence[str]) -> int:
    """Where a kind stands in an order; what is not in it comes last."""
    noun = change.kind.rsplit(":", 1)[-1]
    return order.index(noun) if noun in order else len(order)


def _changes(review: Review, rows: int) -> str:
    lines = [
        (_MARKS[each.op], _name(each), what_changes(each), reason(each, review.preview))
        for each in sorted(review.preview.changes, key=lambda each: (_place(each, _ORDER), each.name))
        if each.op in (CREATE, UPDATE, REPLACE)
    ]
    return _section("Created and changed", ("", "resource", "what changes", "why"), lines, rows)


def _name(change: Change) -> str:
    return f"{change.kind.rsplit(':', 1)[-1]} {code(change.name)}"


def _files(review: Review, rows: int) -> str:
    """What is in each new upload, beside the one before."""
    uploads = sorted(review.preview.of("BlobFolder", CREATE, REPLACE), key=lambda each: each.name)
    parts = [_upload(each, review.contents.get(each.urn), rows) for each in uploads]
    return "\n\n".join([f"#### Files in {count(len(uploads), 'new upload')}", *parts]) if uploads else ""


def _upload(change: Change, content: Content | NotKnown | None, rows: int) -> str:
    source = code(change.inputs.get("source"))
    total = f"{count(int(change.inputs['files']), 'file')}, {size(change.inputs.get('bytes'))}"
    if not isinstance(content, Content):
        why = content.reason if content else "nobody looked"
        return f"{source} ({total}): which files differ is not known: {why}"
    lines = [
        *(("− removed", code(path), size(was)) for path, was in content.removed.items()),
        *(("~ changed", code(path), f"{was:,} → {now:,} bytes") for path, (was, now) in content.changed.items()),
        *(("+ added", code(path), size(now)) for path, now in content.added.items()),
        *(("~ renamed", f"{code(path)} → {code(now)}", "") for path, now in content.renamed.items()),
    ]
    same = f", {count(content.unchanged, 'file')} unchanged" if content.unchanged else ""
    return f"{source} ({total}{same}): {size(content.to_send)} to send\n\n{_rows(('', 'file', 'size'), lines, rows)}"


def _money(review: Review, rows: int) -> str:
    lines = costs.costs(review.preview)
    return _section("What it costs", ("resource", "what", "before → after"), lines, rows)


def _default_table(review: Review, rows: int) -> str:
    """The default of every endpoint, changed or not."""
    lines = [
        (endpoint, before, "unchanged" if before == after else f"**{after}**", gate)
        for endpoint, before, after, gate in _moves(review.preview)
    ]
    return _section("Default deployment", ("endpoint", "before", "after", "smoke job"), lines, rows)


def _policies(review: Review, rows: int) -> str:
    lines = [(code(each.policy), code(each.resource), each.message) for each in review.violations]
    return _section("Policies", ("policy", "resource", "what is wrong, and how to mend it"), lines, rows)


def _messages(review: Review, rows: int) -> str:
    said = [each for each in review.preview.diagnostics if each.severity != "error" or not review.failed]
    if not said:
        return ""
    text = "\n".join(f"{each.severity}: {f'{each.name}: ' if each.name else ''}{each.text}" for each in said[:rows])
    return folded(count(len(said), "message"), fenced(text))


def _section(title: str, titles: Sequence[str], lines: Sequence[Sequence[str]], rows: int) -> str:
    return f"#### {title}\n\n{_rows(titles, lines, rows)}" if lines else ""


def _rows(titles: Sequence[str], lines: Sequence[Sequence[str]], rows: int) -> str:
    """A table, folded where it is long, cut where it is longer than `rows`."""
    if not lines:
        return "no file differs"
    shown = table(titles, lines[:rows])
    if len(lines) > rows:
        shown += f"\n\nand {count(len(lines) - rows, 'more row')}: the whole preview is in the log of the run"
    return folded(count(len(lines), "row"), shown) if len(lines) > _OPEN else shown


_SECTIONS: tuple[Callable[[Review, int], str], ...] = (
    _deletions,
    _policies,
    _changes,
    _default_table,
    _money,
    _files,
    _messages,
)
