"""The page of errors says what the table says."""

from pathlib import Path

from providers.explanations import entries
from stacks.errors import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_the_page_is_what_the_table_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m stacks.errors > docs/errors.md"


def test_every_entry_has_its_anchor() -> None:
    headings = {line.removeprefix("### ") for line in page().splitlines() if line.startswith("### ")}

    assert headings == {entry.name for entry in entries()}
