"""Feeds mutations to a target. Which input comes when depends on the seed and its number alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from random import Random

import attrs

from tests.fuzz import mutations, recording
from tests.fuzz.programs import Options, RendezvousOptions
from tests.fuzz.targets import ConsoleLine, Framing, PeerLine, RendezvousReply, RendezvousRequest, Target
from tests.fuzz.trusted import TrustedLine
from tests.fuzz.whole import WholeNode

#: All that is fed, by the name on the command line.
TARGETS: dict[str, type[Target]] = {
    "peer-line": PeerLine,
    "trusted-line": TrustedLine,
    "framing": Framing,
    "rendezvous-request": RendezvousRequest,
    "rendezvous-reply": RendezvousReply,
    "console-line": ConsoleLine,
    "options": Options,
    "rendezvous-options": RendezvousOptions,
    "node": WholeNode,
}


#: Feeds one input to a target; whether it was accepted.
Take = Callable[[Target, list[bytes]], bool]


@attrs.frozen
class Found:
    """An input that a target did not survive.

    :param number: of the input, from 0.
    :param trouble: the traceback.
    """

    target: str
    seed: int
    number: int
    data: bytes
    trouble: str

    @property
    def command(self) -> str:
        """What replays exactly that input."""
        return f"python -m tests.fuzz --target {self.target} --seed {self.seed} --only {self.number}"


@attrs.define
class Tally:
    """What became of some inputs of one target."""

    accepted: int = 0
    refused: int = 0
    found: Found | None = None

    @property
    def inputs(self) -> int:
        """How many there were."""
        return self.accepted + self.refused + (self.found is not None)


def make_input(name: str, seed: int, number: int) -> list[bytes]:
    """Return one input of a target, in pieces."""
    random = Random(f"{seed} {name} {number}")
    target = TARGETS[name]
    lines = _LINES[target.corpus]
    make = mutations.stream if target.is_stream else mutations.mutate
    return mutations.cut(make(lines, random), random)


def take(target: Target, pieces: list[bytes]) -> bool:
    """Feed one input, and nothing else."""
    return target.take(pieces)


def feed(name: str, seed: int, first: int, last: int, take: Take = take) -> Tally:
    """Feed inputs *first* to *last*, the end not included, until a target does not survive one.

    A target is made anew at each multiple of what it lasts, so *first* should be one.

    :param take: feeds one input; it may watch how that goes.
    """
    tally = Tally()
    for start, end in _lives(name, first, last):
        number, pieces = start, []
        try:
            target = TARGETS[name]()
            try:
                for number in range(start, end):
                    pieces = make_input(name, seed, number)
                    accepted = take(target, pieces)
                    tally.accepted += accepted
                    tally.refused += not accepted
            finally:
                target.close()
        except BaseException as problem:
            if isinstance(problem, KeyboardInterrupt):
                raise
            tally.found = Found(name, seed, number, b"".join(pieces), traceback.format_exc())
            return tally
    return tally


def replay(name: str, seed: int, number: int, take: Take = take) -> Tally:
    """Feed one input to a target that was fed what it was fed before in the same life."""
    lasts = TARGETS[name].lasts
    return feed(name, seed, number // lasts * lasts, number + 1, take)


def _lives(name: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    lasts = TARGETS[name].lasts
    for start in range(first, last, lasts):
        yield start, min(start + lasts, last)


_LINES = {target.corpus: recording.read(target.corpus) for target in TARGETS.values()}
