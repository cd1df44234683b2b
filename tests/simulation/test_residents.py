"""Peers that come, go, and come back."""

from __future__ import annotations

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.simulation.residents import PORT, RENDEZVOUS, ip_of, name_of
from tests.simulation.towns import TownTestCase


class ResidentTests(TownTestCase):
    def test_start(self) -> None:
        """Residents find each other at the rendezvous, and what their programs tell is passed on."""
        one, other = self.inhabit(2)
        self.assertEqual((self.linked(one), self.linked(other)), ({other.own}, {one.own}))
        self.assertEqual(self.node(one).settings.rendezvous, RENDEZVOUS)
        self.assertEqual(self.node(one).switchboard.port, PORT)
        self.node(one).send(other.own, "hello")
        self.clock.advance(1.0)
        self.assertEqual([event.payload for event in self.events_of(other, events.MessageArrived)], ["hello"])
        self.assertEqual({person for person, _ in self.told}, {one.person, other.person})

    def test_end_in_each_way(self) -> None:
        """Who leaves, is killed or loses power is down, and has told its last."""
        one, *others = self.inhabit(4)
        for resident, end in zip(others, ("leave", "kill", "crash"), strict=True):
            self.node(one).send(resident.own, "hello")
            self.clock.advance(1.0)
            getattr(resident, end)()
            self.assertEqual((resident.is_up, resident.node, resident.person), (False, None, None))
            self.clock.advance(5.0)
        self.assertEqual(self.gone, [resident.own for resident in others])

    def test_how_the_ends_differ(self) -> None:
        """Who leaves says so, who is killed is noticed at once, who loses power only after a while."""
        one, leaves, killed, crashed = self.inhabit(4)
        leaves.leave()
        killed.kill()
        crashed.crash()
        self.clock.advance(1.0)
        self.assertEqual(self.linked(one), {crashed.own})
        why = {event.peer_id: event.why for event in self.events_of(one, events.NeighbourDown)}
        self.assertIn("leaving", why[leaves.own])
        self.assertNotIn("leaving", why[killed.own])
        self.clock.advance(150.0)
        self.assertEqual(self.linked(one), set())

    def test_leaves_when_done(self) -> None:
        """Who leaves is gone once its farewells are said, not before: till then its program may tell."""
        _, resident = self.inhabit(2)
        left = resident.leave()
        self.assertEqual(self.gone, [])
        self.clock.advance(3.0)
        self.successResultOf(left)
        self.assertEqual(self.gone, [resident.own])

    def test_back(self) -> None:
        """Who comes back is another person with a program that remembers nothing."""
        one, other = self.inhabit(2)
        before, node = other.person, other.node
        for _ in range(2):
            self.node(one).send(other.own, "hello")
            self.clock.advance(1.0)
            other.kill()
            other.start()
            self.clock.advance(40.0)
        self.assertTrue(other.is_up)
        self.assertIsNot(other.person, before)
        self.assertIsNot(other.node, node)
        self.assertEqual(self.linked(one), {other.own})

    def test_liars_tell_nothing(self) -> None:
        """What the program of a liar tells is of no matter."""
        self.rendezvous.start()
        honest, liar = self.resident(), self.resident(is_honest=False)
        for resident in (honest, liar):
            resident.start()
        self.clock.advance(5.0)
        self.assertEqual({person.own for person, _ in self.told}, {honest.own})

    def test_few_dialled(self) -> None:
        """In a large network each dials only so many, and whom it was told."""
        self.around.max_dialled = 0
        self.rendezvous.start()
        one, other, lonely = self.resident(), self.resident(), self.resident()
        other.peers = (Address(one.ip, PORT),)
        for resident in (one, other, lonely):
            resident.start()
        self.clock.advance(60.0)
        self.assertEqual((self.linked(one), self.linked(lonely)), ({other.own}, set()))

    def test_new_id(self) -> None:
        """A msg_id has 128 bits, and all are different."""
        ids = {self.around.new_id() for _ in range(100)}
        self.assertEqual((len(ids), {len(msg_id) for msg_id in ids}), (100, {32}))

    def test_names_and_places(self) -> None:
        """Up to the largest network each has a name that is allowed, and an address, of its own."""
        numbers = range(5000)
        names, ips = {name_of(number) for number in numbers}, {ip_of(number) for number in numbers}
        self.assertEqual((len(names), len(ips)), (5000, 5000))
        self.assertNotIn(RENDEZVOUS.host, ips)
        self.assertTrue(all(PeerId.parse(name) == name for name in names))
        self.assertTrue(all(0 <= int(part) <= 255 for ip in ips for part in ip.split(".")))
        self.assertEqual({name.namespace for name in names}, {"UnB", "Giga", "Física"})


class RendezvousTests(TownTestCase):
    def records(self) -> int:
        """Return how many records there are."""
        assert self.rendezvous.server is not None
        return len(self.rendezvous.server.factory.registry)

    def test_stopped(self) -> None:
        """Who stops listens no more, keeps its records, and has them when it listens again."""
        self.assertFalse(self.rendezvous.is_up)
        one, other = self.inhabit(2)
        self.assertEqual((self.rendezvous.is_up, self.records()), (True, 2))
        self.rendezvous.stop()
        self.assertFalse(self.rendezvous.is_up)
        self.rendezvous.start()
        self.assertEqual((self.rendezvous.is_up, self.records()), (True, 2))
        self.assertEqual(self.linked(one), {other.own})

    def test_crashed(self) -> None:
        """A rendezvous that loses power knows nothing when it is back; the peers register again."""
        self.inhabit(2)
        self.rendezvous.crash()
        self.assertFalse(self.rendezvous.is_up)
        self.rendezvous.start()
        self.assertEqual((self.rendezvous.is_up, self.records()), (True, 0))
        self.clock.advance(130.0)
        self.assertEqual(self.records(), 2)
