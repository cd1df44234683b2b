"""The parts of what must hold: tables and their bounds, networks, rosters, the log."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import cast

from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.simulation.disk import Disk
from p2pchat.simulation.invariants import (
    BOUNDS,
    SERVER_BOUNDS,
    FailureObserver,
    Peaks,
    missing_in_rosters,
    parts,
)
from p2pchat.simulation.keys import Locker
from p2pchat.simulation.residents import Resident, name_of
from tests.simulation.towns import TownTestCase

A, B, C, D = (PeerId(f"{name}@UnB") for name in "abcd")

#: What a node counts: events, which may go on for as long as it lives. All else are tables.
EVENTS = {
    "sent",
    "resent",
    "rerouted",
    "confirmed",
    "failed",
    "postponed",
    "cast",
    "received",
    "duplicates",
    "not_for_us",
    "forged",
    "confirmations_refused",
    "errors_received",
    "relayed",
    "relayed_back",
    "flooded",
    "relay_refused",
    "no_way_back",
    "over_quota",
    "expired",
    "questions_asked",
    "questions_answered",
    "questions_passed_on",
    "hits_unasked",
    "hits_distrusted",
    "routes_evicted",
    "questions_not_asked",
    "complaints_not_shown",
    "connections_from_other_machines",
    "connections_turned_away",
    "bad_lines_of_neighbours",
    "lines_refused_queue_full",
    "roster_not_dialled",
    "keys_pinned",
    "keys_refused",
    "keys_missing",
    "keys_forgotten",
    "keys_refused_not_told",
    "cards_refused",
    "plain_refused",
    "peers_not_allowed",
    "strangers_refused",
    "replays_refused",
    "casts_unreadable",
    "messages_early_dropped",
    "casts_past_refused",
    "courier_handed_over",
    "courier_refused",
    "courier_expired",
    "store_commits",
    "store_written",
    "store_dropped",
    "store_forgotten_early",
}


def peer(own: PeerId, neighbours: list[PeerId], roster: list[PeerId] | None = None) -> Resident:
    """Return somebody with links and a roster."""
    node = SimpleNamespace(neighbours=dict.fromkeys(neighbours), roster=dict.fromkeys(roster or []))
    return cast(Resident, SimpleNamespace(own=own, node=node))


def away(own: PeerId) -> Resident:
    """Return somebody who is not up."""
    return cast(Resident, SimpleNamespace(own=own, node=None))


class BoundsTests(TownTestCase):
    def test_no_table_is_forgotten(self) -> None:
        """Everything that a node counts is an event, or a table whose bound is watched, and never both."""
        resident = self.resident(locker=Locker.new(name_of(0), Random(1).randbytes), disk=Disk())
        resident.start()
        names = set(self.node(resident).counters())
        self.assertEqual(names - EVENTS, set(BOUNDS))
        self.assertEqual(names - set(BOUNDS), EVENTS)

    def test_bounds_are_numbers(self) -> None:
        """Each bound is a number that can be passed; nothing unexpected may happen at all."""
        zero = {name for name, bound in {**BOUNDS, **SERVER_BOUNDS}.items() if bound <= 0}
        self.assertEqual(zero, {"unexpected_errors"})


class PeaksTests(SynchronousTestCase):
    def test_largest(self) -> None:
        """The largest that a table ever was is kept; what has no bound is of no matter."""
        peaks = Peaks()
        for sizes in ({"a": 1, "x": 99}, {"a": 3, "b": 0}, {"a": 2}):
            self.assertEqual(peaks.take(sizes.items(), {"a": 3, "b": 3}), [])
        self.assertEqual(peaks.found, {"a": 3})

    def test_beyond(self) -> None:
        """A table beyond its bound is told, each time that it is, whatever it was before."""
        peaks = Peaks()
        for _ in range(2):
            wrong = peaks.take([("a", 4), ("b", 3)], {"a": 3, "b": 3})
            self.assertEqual(wrong, ["a is 4, at most 3"])


class PartsTests(SynchronousTestCase):
    def test_one(self) -> None:
        """Those who are linked, over others too, are one network; so are none, or nobody but one."""
        self.assertEqual(parts([peer(A, [B]), peer(B, [A, C]), peer(C, [B])]), [{A, B, C}])
        self.assertEqual(parts([peer(A, [])]), [{A}])
        self.assertEqual(parts([away(A)]), [])

    def test_several(self) -> None:
        """Those who are not linked are networks of their own."""
        found = parts([peer(A, [B]), peer(B, [A]), peer(C, [D]), peer(D, [C])])
        self.assertEqual(sorted(found, key=min), [{A, B}, {C, D}])

    def test_half_a_link(self) -> None:
        """A link that only one end knows is none."""
        for pair in ([peer(A, [B]), peer(B, [])], [peer(A, []), peer(B, [A])]):
            self.assertEqual(len(parts(pair)), 2)

    def test_one_name(self) -> None:
        """Those who use one name are one: who is linked with either of them is linked with that name."""
        self.assertEqual(parts([peer(A, [B]), peer(B, [A]), peer(B, [C]), peer(C, [B])]), [{A, B, C}])

    def test_away(self) -> None:
        """A link with who is away, or is not asked about, connects nobody."""
        self.assertEqual(len(parts([peer(A, [B, D]), away(B), peer(C, [B, D])])), 2)


class RosterTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """Who knows all that are up misses nobody; who is away need not be known, and may be."""
        all_but = {A: [B, C], B: [A], C: [A, B]}
        self.assertEqual(missing_in_rosters([peer(A, [], all_but[A]), peer(B, [], all_but[B]), away(C)]), [])

    def test_missing(self) -> None:
        """Who does not know somebody is named, with at most three of those."""
        everybody = [peer(A, [], [B, C, D]), peer(B, []), peer(C, [], [A, B]), peer(D, [], [A, B, C])]
        self.assertEqual(
            missing_in_rosters([*everybody, peer(PeerId("e@UnB"), [], [A, B, C, D])]),
            [
                f"{A} does not know e@UnB",
                f"{B} does not know {A}, {C}, {D}",
                f"{C} does not know {D}, e@UnB",
                f"{D} does not know e@UnB",
            ],
        )


class FailureObserverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.found: list[str] = []
        publisher = LogPublisher(FailureObserver(self.found.append))
        self.log = Logger(observer=publisher)

    def test_failure(self) -> None:
        """An exception that is logged is found, with what was logged and where it happened."""
        try:
            raise RuntimeError("defect")
        except RuntimeError:
            self.log.failure("in {what}", what="a tick")
        self.assertEqual(len(self.found), 1)
        self.assertTrue(self.found[0].startswith("in a tick\n"), self.found)
        self.assertIn("<class 'RuntimeError'>: defect", self.found[0])

    def test_errors(self) -> None:
        """What is logged as an error, or worse, is found without an exception too; anything less is not."""
        for say in (self.log.debug, self.log.info, self.log.warn, self.log.error, self.log.critical):
            say("{what} happened", what=say.__name__)
        self.assertEqual(self.found, ["error happened", "critical happened"])

    def test_failure_at_any_level(self) -> None:
        """An exception is found at whatever level it was logged."""
        try:
            raise RuntimeError("defect")
        except RuntimeError:
            self.log.failure("small", level=LogLevel.info)
        self.assertEqual(len(self.found), 1)
