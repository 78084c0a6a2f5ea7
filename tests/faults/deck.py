"""Which kills are to be: every victim in every phase on every engine before any comes again, at moments all over."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

VICTIMS = ("engine", "provider", "lab")
POWER = "machine"
"""All of them at once, as when the power goes."""
PHASES = ("up", "update", "destroy")
VERBS = {"up": ("create",), "update": ("settings", "content"), "destroy": ("destroy",)}
"""Phase -> what is under way then: an `up` from nothing, of other settings, of other content, or a destroy."""
STARTING = 0.15
"""The part of the moments that lie before a run's first request; the others lie between that and its end."""


_AMID = 0.6
"""The part of the kills that wait for an operation: most of a run in the lab is the start of processes, which in Azure
is hidden by minutes of operations."""


@dataclass(frozen=True)
class Blow:
    """One kill, as planned."""

    victim: str
    phase: str
    verb: str
    engine: str
    fraction: float
    """The moment, from 0 to 1: below STARTING of the time before the first request, above it of the time after."""
    amid: bool = False
    """Whether it waits, from that moment on, for an operation that is under way."""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.victim, self.phase, self.engine


def places(engines: Sequence[str]) -> list[tuple[str, str, str]]:
    """Victim, phase and engine in an order of which every beginning is balanced; first those with one victim."""
    number = len(PHASES)
    alone = [
        (victim, PHASES[(at + row) % number], engines[(at + row) % len(engines)])
        for row in range(number * len(engines))
        for at, victim in enumerate(VICTIMS)
    ]
    power = [(POWER, PHASES[row % number], engines[row % len(engines)]) for row in range(number * len(engines))]
    return list(dict.fromkeys([*alone, *power]))


def deal(count: int, engines: Sequence[str], chance: random.Random) -> list[Blow]:
    """`count` kills in random order."""
    every = places(engines)
    chosen = [every[number % len(every)] for number in range(count)]
    moments = {}
    for phase in PHASES:
        total = sum(1 for each in chosen if each[1] == phase)
        # One in each of as many equal parts of the time: random, and nowhere left out.
        moments[phase] = [(part + chance.random()) / total for part in range(total)]
        chance.shuffle(moments[phase])
    verbs = {phase: [VERBS[phase][number % len(VERBS[phase])] for number in range(count)] for phase in PHASES}
    blows = [
        Blow(victim, phase, verbs[phase].pop(), engine, moments[phase].pop(), chance.random() < _AMID)
        for victim, phase, engine in chosen
    ]
    chance.shuffle(blows)
    return blows
