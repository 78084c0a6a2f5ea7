"""The configuration page says what the declarations say."""

from pathlib import Path

from providers import schema
from stacks.reference import reference
from stacks.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_declarations_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: python -m stacks.reference > docs/configuration.md"


def test_every_setting_is_on_the_page() -> None:
    page = reference()

    assert [name for name in schema.properties(Settings) if f"| `{name}` |" not in page] == []
    assert "| `deployments.<name>.retry_settings.timeout` | text | `PT30S` | updated in place |" in page
    assert "| `deployments.<name>.resources.instance_count` | whole number | `1` | a new deployment" in page
