"""A destroy that was cut short is remembered, and the next run looks at what is left before it plans."""

from pathlib import Path

import pytest

from stacks.cut_short import begin, end, note_of, options
from stacks.engine import home_of


def test_a_destroy_that_fails_makes_the_next_up_and_preview_refresh(tmp_path: Path) -> None:
    note = note_of("lab", tmp_path)

    begin("destroy", note)
    end("destroy", note, 255)

    assert options("preview", note) == ("--refresh",)
    assert options("up", note) == ("--refresh",)
    assert options("destroy", note) == options("refresh", note) == ()
    assert options("up", note_of("other", tmp_path)) == ()


@pytest.mark.parametrize("verb", ["destroy", "up", "refresh"])
def test_a_run_that_ends_well_has_made_the_state_true_again(tmp_path: Path, verb: str) -> None:
    note = note_of("lab", home_of({"LAB_HOME": str(tmp_path / "home")}))
    begin("destroy", note)

    end("preview", note, 0)
    end(verb, note, 1)
    assert options("up", note)
    end(verb, note, 0)

    assert options("up", note) == ()
    assert note.parent == tmp_path / "home" / "cut-short"


def test_nothing_but_a_destroy_is_noted(tmp_path: Path) -> None:
    begin("up", note_of("lab", tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_a_checkout_that_cannot_be_written_to_keeps_nobody_from_destroying(tmp_path: Path) -> None:
    (tmp_path / "cut-short").write_text("in the way")

    assert "run `make refresh`" in begin("destroy", note_of("lab", tmp_path))
