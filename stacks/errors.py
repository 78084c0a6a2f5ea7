"""docs/errors.md, written from the table of explanations: `python -m stacks.errors > docs/errors.md`."""

import sys
from collections.abc import Iterator

from providers.explanations import OWN, SERVICE, Explanation

_INTRODUCTION = """# Errors

Written by `python -m stacks.errors` from the table in `providers/explanations.py`; a test keeps it equal to that.

An error is two lines: what was said, with code, status, ARM id, operation and correlation id; then its cause, what to
do, and its name on this page. `AML_BATCH_DEBUG=1 make up` adds the Python traceback. Microsoft's support asks for the
correlation id.

An answer is looked up from the top of this page down: by its codes, the inner ones too (Azure Machine Learning says
`UserError` on top), by its words where the service has no code of its own, and at last by its kind.
"""


def page() -> str:
    """The whole page."""
    parts = [
        _INTRODUCTION,
        "## What Azure says\n",
        *("\n".join(_entry(each)) + "\n" for each in SERVICE),
        "## What this project says\n",
        *("\n".join(_entry(each)) + "\n" for each in OWN),
    ]
    return "\n".join(parts)


def _entry(entry: Explanation) -> Iterator[str]:
    yield f"### {entry.name}\n"
    yield f"- cause: {entry.cause}"
    yield f"- about: {_quoted(entry.setting)}"
    yield f"- do: {entry.remedy}"
    if entry.codes:
        yield "- code: " + ", ".join(f"`{code}`" for code in entry.codes)
    if entry.words:
        yield f"- words: `{entry.words}`"
    if entry.kinds:
        yield "- kind: " + ", ".join(f"`{kind.__name__}`" for kind in entry.kinds)


def _quoted(setting: str) -> str:
    """Settings have angle brackets, which Markdown takes for tags."""
    return setting.replace("<name>", "`<name>`")


if __name__ == "__main__":
    sys.stdout.write(page())
