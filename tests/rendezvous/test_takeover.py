"""A rendezvous that lives in one of the peers, and goes away with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.protocol import Protocol, ServerFactory

from p2pchat import events
from p2pchat.rendezvous.pace import CLOSE_REFRESH_S, SHARED_RETURN_S
from tests.rendezvous.registrations import RegistrationTestCase
from tests.village import MACHINE, Villager, VillageTestCase


class SharedTests(RegistrationTestCase):
    def test_offer_to_host(self) -> None:
        """Where nobody is there, we become the rendezvous and register at once; nothing was lost."""
        self.server.close()
        self.witness.may_host = True
        self.witness.on["asked to host"] = self.server.open
        self.start(0.1, shared=True)
        self.assertEqual((self.witness.told, self.server.names), (["asked to host", "found"], {"alice"}))

    def test_another_was_quicker(self) -> None:
        """Where another becomes the rendezvous first, we are registered there within a second."""
        self.server.close()
        self.witness.on["asked to host"] = self.server.open
        self.start(1.1, shared=True)
        self.assertEqual(
            (self.witness.told, self.server.names), (["asked to host", "lost", "found"], {"alice"})
        )

    def test_new_server_found_in_time(self) -> None:
        """A new server without our entry has it within 15 s, though our budget was used up on the old one."""
        registration = self.start(0, shared=True)
        for _ in range(60):
            self.server.lose_memory()
            self.pass_time(15.1)
            self.assertEqual(self.server.names, {"alice"})
            registration.look_now()

    def test_who_does_not_return_left(self) -> None:
        """Whoever is not back at the new server in time has left."""
        self.list_peer("bob")
        self.start(100, shared=True)
        self.server.lose_memory()
        self.pass_time(SHARED_RETURN_S)
        self.assertEqual(self.witness.gone, [])
        self.pass_time(2 * CLOSE_REFRESH_S)
        self.assertEqual(self.witness.gone, ["bob@UnB"])


class TakeoverTests(VillageTestCase):
    """Peers of one machine, the first of which brings the rendezvous."""

    def who_hosts(self) -> Villager:
        """The one peer with the rendezvous."""
        (host,) = (villager for villager in self.villagers if villager.hosts)
        return host

    def registered(self) -> set[str]:
        """Who is registered at the rendezvous of the moment, if there is one."""
        servers = (villager.node.rendezvous for villager in self.villagers)
        records = [record for server in servers if server for record in server.factory.registry.discover()]
        return {record.name for record in records}

    def seconds_until_all_registered(self) -> float:
        began_s = self.network.clock.seconds()
        while self.registered() != {villager.own.name for villager in self.villagers}:
            self.pass_time(0.1)
        return self.network.clock.seconds() - began_s

    def depart(self, villager: Villager) -> None:
        """Let a peer leave in good order, without waiting for it."""
        villager.node.stopService()
        self.villagers.remove(villager)

    def scenes(
        self, count: int, step: int = 230
    ) -> Iterator[tuple[list[Villager], Callable[[Villager], None], float]]:
        """Yield peers that have lived together for this and that long, and how one of them goes."""
        for go in (self.depart, self.kill):
            for tenths in range(20, 900, step):
                peers = self.join_shared(*"abcde"[:count])
                self.pass_time(tenths / 10)
                yield peers, go, tenths / 10
                self.end()
                self.villagers.clear()

    def test_first_one_hosts(self) -> None:
        """Where nobody answers, the first peer becomes the rendezvous, and only the first."""
        alice, bob, carol = self.join_shared("alice", "bob", "carol")
        self.pass_time(5)
        self.assertEqual([villager.hosts for villager in (alice, bob, carol)], [True, False, False])
        self.assert_linked(alice, bob, carol)

    def test_told_to_the_user(self) -> None:
        """The user hears that this peer is the rendezvous, and that it is registered there."""
        (alice,) = self.join_shared("alice")
        self.pass_time(1)
        (hosted,) = alice.told(events.RendezvousHosted)
        (found,) = alice.told(events.RendezvousFound)
        self.assertEqual((hosted.address, found.address, found.hosted), (found.address, hosted.address, True))
        self.assertEqual(alice.told(events.RendezvousLost), [])

    def test_another_takes_over(self) -> None:
        """When the host leaves or dies, at any time, all are registered at another within 15 s."""
        for count in (3, 5):
            for peers, go, after_s in self.scenes(count, 170):
                go(self.who_hosts())
                took_s = self.seconds_until_all_registered()
                self.assertLess(took_s, 15, f"{count} peers, {go.__name__} after {after_s} s")
                self.assertEqual(len(peers), len(self.villagers) + 1)

    def test_two_die_shortly_after_one_another(self) -> None:
        """The same when the one that took over goes as well, however soon."""
        for _, go, after_s in self.scenes(4):
            for pause_s in (0.0, 0.5, 2.4, 2.6, 3.5, 8.0):
                if len(self.villagers) > 2:
                    go(self.who_hosts())
                    self.pass_time(pause_s)
                    while not any(villager.hosts for villager in self.villagers):
                        self.pass_time(0.1)
            took_s = self.seconds_until_all_registered()
            self.assertLess(took_s, 15, f"{go.__name__} after {after_s} s")

    def test_two_die_at_once(self) -> None:
        """The same when the host and another go together, and no link is left to tell of it."""
        for _, go, after_s in self.scenes(5):
            go(self.who_hosts())
            go(self.villagers[0])
            self.assertLess(self.seconds_until_all_registered(), 15, f"{go.__name__} after {after_s} s")

    def test_nobody_is_reported_as_left(self) -> None:
        """Peers that stay are never said to have left, and their links stand."""
        for _, go, after_s in self.scenes(4):
            gone = self.who_hosts()
            links = [
                len(villager.told(events.NeighbourUp)) for villager in self.villagers if villager is not gone
            ]
            go(gone)
            self.pass_time(100)
            for villager in self.villagers:
                left = {
                    peer_id for changes in villager.told(events.RosterChanged) for peer_id in changes.left
                }
                self.assertEqual(left, {gone.own}, f"{villager.own}, {go.__name__} after {after_s} s")
                self.assertEqual({event.peer_id for event in villager.told(events.NeighbourDown)}, {gone.own})
            self.assertEqual([len(each.told(events.NeighbourUp)) for each in self.villagers], links)

    def test_without_links(self) -> None:
        """Where no link tells of the end of the host, the next look finds it: within 15 s as well."""
        for tenths in range(10, 800, 67):
            peers = self.join_shared("a", "b", "c")
            self.pass_time(tenths / 10)
            host = self.who_hosts()
            for villager in peers:
                self.patch(villager.node.registration, "hint_lost", lambda: None)
            self.kill(host)
            self.assertLess(self.seconds_until_all_registered(), 15.1, tenths)
            self.end()
            self.villagers.clear()

    def test_newcomer_while_nobody_hosts(self) -> None:
        """Who starts right after the host died is the rendezvous at once."""
        self.join_shared("a", "b")
        self.pass_time(40)
        self.kill(self.who_hosts())
        (carol,) = self.join_shared("carol")
        self.pass_time(0.1)
        self.assertTrue(carol.hosts)
        self.assertLess(self.seconds_until_all_registered(), 15)

    def test_host_returns(self) -> None:
        """A host that was killed and started again is one of the others."""
        self.join_shared("a", "b", "c")
        self.pass_time(40)
        host = self.who_hosts()
        self.kill(host)
        self.pass_time(5)
        (again,) = self.join_shared(host.own.name)
        self.pass_time(5)
        self.assertFalse(again.hosts)
        self.assert_linked(*self.villagers)
        self.assertEqual(self.registered(), {"a", "b", "c"})

    def test_port_of_somebody_else(self) -> None:
        """A program that is no rendezvous at that port is trouble, told once, and no reason to host."""
        self.host(MACHINE).listenTCP(5000, _Web())
        (alice,) = self.join_shared("alice")
        self.pass_time(100)
        self.assertFalse(alice.hosts)
        self.assertEqual(len(alice.told(events.RendezvousLost)), 1)


class _Web(ServerFactory):
    """Any other server."""

    noisy = False

    def buildProtocol(self, addr: object) -> Protocol:
        return _WebPage()


class _WebPage(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n")
        self.transport.loseConnection()
