"""Pictures of the comments in tests/reviews/comments: `python -m tests.reviews.picture`. Needs Chromium on PATH.

The Markdown is rendered by markdown-it with GitHub's extensions, the page drawn by headless Chromium.
"""

import io
import re
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image

from tests.page.test_page_browser import browse
from tests.reviews.recordings import KINDS, golden

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
_WIDTH = 1040
_STYLE = """
body { font: 14px/1.5 -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; margin: 16px; color: #1f2328; }
main { border: 1px solid #d1d9e0; border-radius: 6px; padding: 4px 16px 12px; }
h3 { font-size: 17px; margin: 12px 0 8px; } h4 { font-size: 14px; margin: 14px 0 6px; }
table { border-collapse: collapse; font-size: 12px; } th, td { border: 1px solid #d1d9e0; padding: 3px 8px; }
th { text-align: left; background: #f6f8fa; } code { background: #eff1f3; border-radius: 4px; padding: 1px 4px;
font: 11.5px "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; } ul { padding-left: 20px; margin: 6px 0; }
pre { background: #f6f8fa; padding: 10px; border-radius: 6px; }
"""


def page(markdown: str) -> str:
    """A whole document, whose title becomes its height."""
    body = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)
    measure = "document.title = Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)"
    return (
        f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><main>{body}</main>"
        f"<script>addEventListener('load', () => {{ {measure} }})</script>"
    )


def draw(kind: str, folder: Path) -> Path:
    """The picture of the comment on one kind of change, written."""
    source = folder / f"{kind}.html"
    source.write_text(page(golden(kind).read_text(encoding="utf-8")), encoding="utf-8")
    found = re.search(
        r"<title>(\d+)</title>", browse(folder, source.as_uri(), "--dump-dom", f"--window-size={_WIDTH},900")
    )
    assert found, "Chromium gave no height"
    shot = folder / f"{kind}.png"
    browse(folder, source.as_uri(), f"--screenshot={shot}", f"--window-size={_WIDTH},{int(found[1]) + 16}")
    written = FOLDER / f"pr-comment-{kind}.png"
    with Image.open(io.BytesIO(shot.read_bytes())) as image:
        # 64 colours are enough for text, and a third of the bytes.
        image.convert("RGB").quantize(64).save(written, optimize=True)
    return written


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for each in KINDS:
            print(draw(each, Path(place)))
