"""Small networks for the tests of the simulation: residents that the test starts, and whole runs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.command import main
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId
from p2pchat.simulation.internet import Internet
from p2pchat.simulation.ledger import Person
from p2pchat.simulation.plan import Plan
from p2pchat.simulation.report import Report, report_on
from p2pchat.simulation.residents import Rendezvous, Resident, Surroundings, ip_of, name_of
from p2pchat.simulation.simulation import Simulation
from p2pchat.simulation.topology import Reach, Topology

FULL = Topology("full")

#: Everybody can dial everybody.
ALL = Reach()

#: The shortest run there is, with few peers, all of whom can dial each other.
SMALL = Plan(peers=4, minutes=2.0, topology=FULL, messages=60.5, casts=5.5)

_T = TypeVar("_T")
_E = TypeVar("_E", bound=events.Event)


class Chance(Random):
    """Chance that picks what a test wants, where it is among what there is."""

    def __init__(self, *wanted: object, seed: int = 1) -> None:
        super().__init__(seed)
        self.wanted: list[object] = list(wanted)

    def choice(self, seq: Sequence[_T]) -> _T:  # type: ignore[override]
        """Return the first that is wanted, or any."""
        return next((found for found in seq if found in self.wanted), None) or super().choice(seq)


class TownTestCase(SynchronousTestCase):
    """Residents and a rendezvous, which leave nothing behind when they are gone."""

    def setUp(self) -> None:
        self.settle(ALL)
        self.addCleanup(self.end)

    def settle(self, reach: Reach) -> None:
        """Begin with nobody there."""
        self.internet = Internet(Random(7), reach)
        self.clock = self.internet.clock
        self.rendezvous = Rendezvous(self.internet)
        self.told: list[tuple[Person, events.Event]] = []
        self.gone: list[PeerId] = []
        self.residents: list[Resident] = []
        self.around = Surroundings(
            self.internet,
            Random(8),
            lambda person, event: self.told.append((person, event)),
            lambda person: self.gone.append(person.own),
        )

    def end(self) -> None:
        """End everybody. Then no timer and no connection may be left."""
        self.internet.part(frozenset())
        for resident in self.residents:
            if resident.is_up:
                resident.leave()
        if self.rendezvous.is_up:
            self.rendezvous.stop()
        self.clock.advance(5.0)
        self.assertEqual((self.clock.pending(), list(self.internet.transports)), ([], []))

    def resident(self, make: Callable[..., Node] = Node, **given: Any) -> Resident:
        """Return one more resident, who is not up."""
        number = len(self.residents)
        self.internet.settle(ip_of(number), number)
        resident = Resident(number, name_of(number), ip_of(number), self.around, make=make, **given)
        self.residents.append(resident)
        return resident

    def inhabit(self, count: int, reach: Reach = ALL) -> list[Resident]:
        """Start the rendezvous and residents, and wait until they have found each other."""
        self.settle(reach)
        self.rendezvous.start()
        for _ in range(count):
            self.resident().start()
        self.clock.advance(40.0)
        return self.residents

    def node(self, resident: Resident) -> Node:
        """Return the node of somebody who is up."""
        assert resident.node is not None
        return resident.node

    def linked(self, resident: Resident) -> set[PeerId]:
        """Return who has a link with somebody."""
        return set(self.node(resident).neighbours)

    def events_of(self, resident: Resident, kind: type[_E]) -> list[_E]:
        """Return what somebody's programs told, of one kind."""
        return [event for who, event in self.told if who.own == resident.own and isinstance(event, kind)]

    def outcomes(self, resident: Resident) -> list[str]:
        """Return what came of what somebody sent to others."""
        kinds = (events.MessageConfirmed, events.MessageFailed)
        found = [event for who, event in self.told if who.own == resident.own and isinstance(event, kinds)]
        return [event.code if isinstance(event, events.MessageFailed) else "confirmed" for event in found]


@contextmanager
def unmeasured() -> Iterator[None]:
    """Let something run whose lines other tests measure: under coverage it takes five times as long."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def simulate(plan: Plan) -> tuple[Simulation, Report]:
    """Let a simulation run; return it, and what came of it."""
    simulation = Simulation(plan)
    simulation.run()
    return simulation, report_on(simulation)


class Terminal(io.StringIO):
    """A text file that says that somebody looks at it."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def run(*words: str, err: io.StringIO | None = None) -> tuple[int, str, str]:
    """Carry out ``p2pchat`` with some words; return its exit status, and what it wrote to out and err."""
    out, err = io.StringIO(), io.StringIO() if err is None else err
    status = main(words, out, err)
    return status, out.getvalue(), err.getvalue()
