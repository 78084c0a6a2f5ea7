"""What came of the kills: counted, shown as a table, and held against having missed what they were for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.deck import PHASES, POWER, VICTIMS, Blow

ALL = (*VICTIMS, POWER)


@dataclass(frozen=True)
class Hit:
    """A kill that met a run which had not ended."""

    blow: Blow
    writes: int
    """What the run had sent by then: PUT, DELETE, and the POST that starts a job."""
    going: Sequence[str]
    """What had an operation under way in the lab at that moment, jobs among them."""
    failed: bool = True
    """Whether the run failed by it: one whose lab comes back, or whose provider had nothing left to do, may not."""

    def __str__(self) -> str:
        busy = f", amid {', '.join(each[:24] for each in self.going)}" if self.going else ""
        return f"after {self.writes} writes{busy}" + ("" if self.failed else ", the run ended well all the same")


@dataclass
class Tally:
    """What came of it."""

    hits: list[Hit] = field(default_factory=list)
    healed: int = 0
    by_hand: list[str] = field(default_factory=list)
    """What a plain `up` did not heal of our kinds."""
    foreign_repairs: list[str] = field(default_factory=list)
    """azure-native resources that had to be taken into the stack, because its create refuses what exists."""
    created_twice: list[str] = field(default_factory=list)
    started_twice: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    not_empty: list[str] = field(default_factory=list)
    """Previews after an `up` that were not empty."""
    left_running: list[str] = field(default_factory=list)
    """Processes that a killed run left behind."""
    vacuous: list[str] = field(default_factory=list)
    """What the kills were to show and did not."""

    @property
    def problems(self) -> dict[str, list[str]]:
        return {
            "repair by hand": self.by_hand,
            "orphan": self.orphans,
            "created twice": self.created_twice,
            "started twice": self.started_twice,
            "preview not empty": self.not_empty,
            "process left running": self.left_running,
            "not shown": self.vacuous,
        }

    @property
    def failed(self) -> bool:
        return any(self.problems.values()) or self.healed != len(self.hits)

    def __str__(self) -> str:
        count = len(self.hits)
        where = ", ".join(f"{victim} {sum(each.blow.victim == victim for each in self.hits)}" for victim in ALL)
        return (
            f"{count} kills ({where}; {sum(each.writes > 0 for each in self.hits)} after the first write, "
            f"{sum(bool(each.going) for each in self.hits)} amid a running operation): {self.healed} healed by one "
            f"plain up, {len(self.by_hand)} repairs by hand, {len(self.orphans)} orphans, {len(self.created_twice)} "
            f"resources created twice, {len(self.started_twice)} jobs started twice, {len(self.not_empty)} previews "
            f"not empty, {len(self.left_running)} processes left running; azure-native's repairs apart: "
            f"{len(self.foreign_repairs)}"
        )

    def table(self) -> str:
        """A row per victim and engine, a column per phase."""
        rows = dict.fromkeys((each.blow.victim, each.blow.engine) for each in self.hits)
        order = sorted(rows, key=lambda row: (ALL.index(row[0]), row[1]))
        lines = [
            f"{'kills: all / after the first write / amid an operation':<56}" + "".join(f"{p:>16}" for p in PHASES)
        ]
        for victim, engine in order:
            found = [each for each in self.hits if (each.blow.victim, each.blow.engine) == (victim, engine)]
            lines.append(f"  {f'{victim}, {engine}':<54}" + "".join(_cell(found, phase) for phase in PHASES))
        lines.append(f"  {'all':<54}" + "".join(_cell(self.hits, phase) for phase in PHASES))
        return "\n".join(lines)


def _cell(hits: Sequence[Hit], phase: str) -> str:
    there = [each for each in hits if each.blow.phase == phase]
    counts = f"{len(there)} / {sum(each.writes > 0 for each in there)} / {sum(bool(each.going) for each in there)}"
    return f"{counts if there else '-':>16}"


def vacuous(tally: Tally, planned: Sequence[Blow]) -> list[str]:
    """What a passed run would not have shown: places without a kill, phases in which none met work under way."""
    met = {each.blow.place for each in tally.hits}
    missing = dict.fromkeys(each.place for each in planned if each.place not in met)
    found = [f"no kill of the {victim} in {phase} ({engine})" for victim, phase, engine in missing]
    if len(planned) < len(PHASES) * len(VICTIMS):
        return found
    for phase in PHASES:
        there = [each for each in tally.hits if each.blow.phase == phase]
        if not any(each.going for each in there):
            found.append(f"no kill met a running operation of {phase}")
    if 2 * sum(each.writes > 0 for each in tally.hits) < len(tally.hits):
        found.append("most kills came before the first write")
    return found
