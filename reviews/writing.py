"""`python -m reviews.writing STACK FILE`: the comment on a preview that was run before, from what it printed."""

import argparse
import sys
from pathlib import Path

from reviews.comment import Review, comment, counts
from reviews.policies import DEFAULT_SETTINGS, Enforcement, enforcement
from reviews.preview import SAME, NotAPreview, Preview, read
from reviews.uploads import contents, not_looked_at

_FAILED, _USAGE, _DRIFT, _VIOLATED = 1, 2, 3, 4


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m reviews.writing", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("preview", type=Path, help="what `python -m stacks preview STACK --json --show-sames` printed")
    parser.add_argument("--exit-code", type=int, default=0, help="of that run")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--drift", action="store_true")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--policy-pack-config", type=Path, default=DEFAULT_SETTINGS)
    asked = parser.parse_args(arguments)
    try:
        policies = enforcement(asked.policy_pack_config)
        review = _review(asked, policies)
        _write(comment(review), asked.output)
    except (OSError, ValueError) as reason:
        sys.stderr.write(f"error: {reason}\n")
        return _USAGE
    return _code(review, policies)


def _review(asked: argparse.Namespace, policies: Enforcement) -> Review:
    said = asked.preview.read_text(encoding="utf-8", errors="replace")
    try:
        preview, words = read(said, asked.stack), ""
    except NotAPreview as reason:
        preview, words = Preview(asked.stack, ()), said.strip() or str(reason)
    found = not_looked_at(preview, "storage was not asked") if asked.offline else contents(preview)
    return Review(preview, found, policies.violations(preview), asked.drift, words, asked.exit_code)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")


def _code(review: Review, policies: Enforcement) -> int:
    if review.failed:
        return _FAILED
    if any(policies.mandatory(each.policy) for each in review.violations):
        return _VIOLATED
    todo = any(number for op, number in counts(review.preview).items() if op != SAME)
    return _DRIFT if review.drift and todo else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
