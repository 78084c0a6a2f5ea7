"""What the documentation names exists: files, headings, make targets, commands and their verbs."""

import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, Page, pages

PAGES = pages()
_MODULES = (
    r"(?:\.venv/bin/)?python3? -m (?P<module>stacks|lab|jobs|bench|tests\.\w+)(?: (?P<verb>[a-z][a-z-]*))?(?=[ `]|$)"
)


def named_modules() -> set[tuple[str, str]]:
    """(module, verb) of every `python -m MODULE VERB` of this project that any page names."""
    return {
        (match["module"], match["verb"] or "")
        for page in PAGES
        for text in [*page.inline(), *page.commands()]
        for match in re.finditer(_MODULES, text)
    }


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Page) -> None:
    known = {each.path: each for each in PAGES}
    broken = []
    for link in page.links():
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page.path.parent / path).resolve() if path else ROOT / page.path
        leads = target.exists()
        if leads and anchor and target.suffix == ".md":
            leads = anchor in known[target.relative_to(ROOT)].anchors()
        if not leads:
            broken.append(link)

    assert broken == []


def test_every_make_target_that_a_page_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z -]*?):(?!=)", makefile, re.MULTILINE))
    known = {name for line in targets for name in line.split()}

    named = {
        (str(page), word)
        for page in PAGES
        for text in [*page.inline(), *page.commands()]
        for match in re.finditer(r"(?:^|&& |; )(?:[A-Z_]+=\S+ )*make ((?:[a-z-]+ ?)+)", text)
        for word in match[1].split()
    }

    assert named
    assert {(page, word) for page, word in named if word not in known} == set()


@pytest.mark.parametrize(("module", "verb"), sorted(named_modules()), ids=str)
def test_every_command_that_a_page_names_exists(module: str, verb: str) -> None:
    """Asked for help, it gives help: the module is there, and so is the verb."""
    done = subprocess.run(
        [sys.executable, "-m", module, *([verb] if verb else []), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert verb in done.stdout
