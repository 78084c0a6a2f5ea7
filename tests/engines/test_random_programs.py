"""A handful of random programs on every engine that there is; `python -m tests.engines` plays as many as you like."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.engine import engines
from tests.engine.project_under_test import group, thing
from tests.engines.drawing import draw
from tests.engines.playing import play
from tests.engines.programs import Program, Step, from_json, to_json
from tests.engines.racing import determined
from tests.engines.shrinking import shrink

_SEEDS = [7, 11]


@pytest.mark.parametrize("seed", _SEEDS)
def test_engines_agree_on_random_programs_and_keep_their_promises(seed: int) -> None:
    played = play(draw(seed), compare=engines.pulumi_path() is not None)
    assert played.findings == [], f"python -m tests.engines --programs 1 --seed {seed}\n{played.outputs}"


def test_an_engine_killed_in_the_midst_is_healed_by_the_next_run() -> None:
    steps = [Step("up", [thing("a", size=1)], plans={"create-a": "hold last"}), Step("up", [thing("a", size=1)])]
    played = play(Program(0, True, steps), compare=engines.pulumi_path() is not None)
    assert (played.findings, played.kills) == ([], 1)


def test_an_object_that_destroy_leaves_is_told() -> None:
    """The check itself: what may be kept is known by its resource's name, which this object does not bear."""
    kept = Step("up", [thing("a", {"retain_on_delete": True}, called="stray")])
    played = play(Program(0, True, [kept]), compare=False)
    assert played.broken == ["the end: left in the cloud: ['stray-1']"]


def _record(name: str, *needs: str) -> dict[str, object]:
    return {"urn": _urn(name), "type": "t", "dependencies": [_urn(need) for need in needs]}


def _urn(name: str) -> str:
    return f"urn:pulumi:lab::trial::t::{name}"


def test_deletions_that_race_with_others_are_not_made_to_fail() -> None:
    plans = {"delete-b": "fail", "create-b": "fail"}
    assert determined(plans, [_record("a"), _record("b", "a"), _record("c", "a", "b")]) == plans
    assert determined(plans, [_record("a"), _record("b", "a"), _record("c", "a")]) == {"create-b": "fail"}
    assert determined(plans, [_record("b"), _record("b")]) == {"create-b": "fail"}


def test_the_same_seed_draws_the_same_program() -> None:
    assert draw(5) == draw(5) != draw(6)


@pytest.mark.parametrize("seed", range(40))
def test_a_program_survives_its_file(seed: int) -> None:
    program = draw(seed)
    assert from_json(to_json(program)) == program


def test_programs_that_register_at_once_have_no_faults() -> None:
    programs = [draw(seed) for seed in range(200)]
    assert {program.ordered for program in programs} == {True, False}
    free = [step for program in programs if not program.ordered for step in program.steps]
    assert not any(step.plans or step.raises for step in free)


def test_every_kind_of_event_and_option_is_drawn() -> None:
    steps = [step for seed in range(200) for step in draw(seed).steps]
    text = json.dumps([dataclasses.asdict(step) for step in steps])
    words = ["parent", "depends_on", "protect", "retain_on_delete", "deleted_with", "delete_before_replace"]
    words += ["ignore_changes", "additional_secret_outputs", "provider", "custom_timeouts", "secret", "unready"]
    words += ["hold first", "hold last", "fail", "refresh", "destroy", "preview", "bad", "undecided"]
    assert [word for word in words if f'"{word}"' not in text and f'"--{word}"' not in text] == []
    assert any(step.raises for step in steps)
    assert any(step.drift for step in steps)
    assert any(step.swap for step in steps)


def test_shrinking_drops_steps_resources_and_options_that_do_not_matter() -> None:
    wish = [group("g"), thing("a", {"parent": "g"}, size=1), thing("b", {"protect": True}, x={"of": "a.made"}, fixed=2)]
    program = Program(0, True, [Step("up", wish), Step("refresh", wish, drift={"a": None}), Step("destroy", wish)])

    def fails(candidate: Program) -> bool:
        items = [item for step in candidate.steps if step.verb == "up" for item in step.resources]
        return any("fixed" in item.get("props", {}) for item in items)

    small = shrink(program, fails, tries=100)
    assert small.steps == [Step("up", [thing("b", fixed=2)])]


def test_a_replayed_file_says_in_one_line_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.engines.__main__ import main

    path = tmp_path / "small.json"
    path.write_text(to_json(Program(3, True, [Step("up", [thing("a", size=1)])])))
    assert main(["--replay", str(path), "--jobs", "1"]) == 0
    assert (
        capsys.readouterr().out.splitlines()[-1].startswith("1 programs (seeds 3 to 3), 1 steps (0 failing, 0 killed)")
    )
