"""What tests/reviews/record.py recorded, and the files that its changes were about."""

from pathlib import Path

from providers.blob import FileEntry
from reviews.comment import Review, comment
from reviews.content import Content, NotKnown, compare
from reviews.preview import Preview, read

FOLDER = Path(__file__).resolve().parent
ENGINES = ("embedded", "pulumi")
KINDS = ("first-up", "new-code", "settings", "compute", "endpoint")
"""Five kinds of change, which docs/pull-requests.md shows."""
OTHERS = ("nothing", "refused")


def previewed(engine: str, kind: str) -> Preview:
    return read((FOLDER / "previews" / f"{engine}-{kind}.json").read_text(encoding="utf-8"), "lab")


def review(engine: str, kind: str) -> Review:
    preview = previewed(engine, kind)
    contents = {each.urn: _content(each.stem) for each in preview.of("BlobFolder", "create")}
    return Review(preview, contents, exit_code=int(kind == "refused"))


def commented(kind: str) -> str:
    return comment(review("pulumi", kind))


def golden(kind: str) -> Path:
    return FOLDER / "comments" / f"{kind}.md"


def _content(stem: str) -> Content | NotKnown:
    """Of the code as `new_code` in record.py left it; of the other folders nobody knows."""
    if stem != "digits-code":
        return NotKnown("storage was not asked")
    script = FileEntry("score.py", 3825, "a" * 64)
    return compare([script], [FileEntry("labels.txt", 13, "b" * 64), FileEntry("score.py", 3837, "c" * 64)])
