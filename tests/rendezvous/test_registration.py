"""Registered, remembered, and taken back (docs/protocol.md, 6 and 9.17 to 9.20)."""

from __future__ import annotations

import json
from functools import partial

from twisted.internet.defer import Deferred

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.pace import REFRESH_S, RETURN_S
from p2pchat.rendezvous.registration import BAN_S, LONGEST_WAIT_S, Registration
from p2pchat.rendezvous.roster import Changes
from tests.rendezvous.registrations import GARBAGE, HERE, RegistrationTestCase, gaps_of
from tests.rendezvous.scripted import Reset, Silence


class RoundTests(RegistrationTestCase):
    def test_register_first(self) -> None:
        """Section 9.17: REGISTER, and at once DISCOVER behind it."""
        self.start(0.1, ttl_s=600)
        self.assertEqual(self.server.kinds, ["REGISTER", "DISCOVER"])
        self.assertEqual(self.server.requests[0].fields["ttl"], 600)
        self.assertEqual(self.witness.told, ["found"])

    def test_port_of_the_moment(self) -> None:
        """The port is asked for when it is needed, since it is not known before we listen."""
        ports = [0]
        registration = self.make_registration(port=lambda: ports[0])
        ports[0] = 7071
        registration.startService()
        self.pass_time(1)
        self.assertEqual(self.server.requests[0].fields["port"], 7071)

    def test_refresh(self) -> None:
        """Section 6: the roster is refreshed every 30 s, with jitter."""
        self.start(600)
        looks = self.server.times("DISCOVER")
        gaps = gaps_of(looks)
        self.assertTrue(all(27 <= gap <= REFRESH_S + 0.1 for gap in gaps), gaps)
        self.assertGreater(max(gaps) - min(gaps), 1)

    def test_who_comes_and_goes(self) -> None:
        """Section 6: who came, who moved, who left is told."""
        registration = self.start()
        self.list_peer("bob")
        self.pass_time(30)
        self.server.registry.unregister("192.0.2.1")
        self.list_peer("bob", "192.0.2.2")
        self.pass_time(30)
        self.server.registry.unregister("192.0.2.2")
        self.pass_time(30)
        bob = PeerId("bob@UnB")
        self.assertEqual(
            self.witness.changes, [Changes(came=(bob,)), Changes(moved=(bob,)), Changes(left=(bob,))]
        )
        self.assertEqual(registration.roster.addresses, {})

    def test_always_registered(self) -> None:
        """Section 6: the registration is renewed well before it ends, for every ttl of use."""
        for ttl_s in (45, 60, 100, 300, 1000):
            self.server.requests.clear()
            registration = self.start(1, ttl_s=ttl_s)
            for _ in range(1200):
                self.pass_time(1)
                self.assertEqual(self.server.names, {"alice"}, ttl_s)
            self.assert_within_budget()
            self.stop(registration)

    def test_ttl_of_the_reply_counts(self) -> None:
        """Section 6: the ttl that the server grants counts, not the one that was asked for."""
        self.server.say = lambda request: (
            b'{"status":"OK","ttl":120}\n' if request.kind == "REGISTER" else None
        )
        self.start(600, ttl_s=7200)
        registers = self.server.times("REGISTER")
        gaps = gaps_of(registers)
        self.assertTrue(gaps and all(30 <= gap <= 95 for gap in gaps), gaps)

    def test_no_renewal_before_its_time(self) -> None:
        """An hour needs one renewal of a registration of two hours."""
        self.start(3700)
        self.assertEqual(self.server.kinds.count("REGISTER"), 2)

    def test_unexpected_error(self) -> None:
        """A defect of ours inside a round is logged and told once, and the rounds go on."""
        self.witness.on["roster"] = lambda: 1 / 0
        registration = self.start(10)
        self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.witness.told, ["lost"])
        self.assertIn("inside p2pchat", registration.trouble)
        del self.witness.on["roster"]
        self.pass_time(120)
        self.assertEqual((self.witness.told, registration.trouble), (["lost", "found"], ""))


class MemoryTests(RegistrationTestCase):
    def test_forgotten(self) -> None:
        """A server that lost its memory has us again within a refresh; the user has nothing to hear."""
        self.start(100)
        self.server.lose_memory()
        self.pass_time(REFRESH_S + 0.1)
        self.assertEqual((self.server.names, self.witness.told), ({"alice"}, ["found"]))

    def test_nobody_left(self) -> None:
        """Whoever comes back in time to a server that was started again has never left."""
        self.list_peer("bob")
        registration = self.start(100)
        self.server.lose_memory()
        self.pass_time(RETURN_S - 1)
        self.list_peer("bob")
        self.pass_time(RETURN_S)
        self.assertEqual((self.witness.gone, list(registration.roster.addresses)), ([], ["bob@UnB"]))

    def test_who_does_not_return_left(self) -> None:
        """Whoever does not come back in time has left."""
        self.list_peer("bob")
        self.start(100)
        self.server.lose_memory()
        self.pass_time(RETURN_S + 2 * REFRESH_S + 1)
        self.assertEqual(self.witness.gone, ["bob@UnB"])

    def test_down_and_up_again(self) -> None:
        """The same where the server refused connections in between."""
        self.list_peer("bob")
        self.start(100)
        self.server.close()
        self.pass_time(100)
        self.server.lose_memory()
        self.server.open()
        self.pass_time(LONGEST_WAIT_S + 10)
        self.list_peer("bob")
        self.pass_time(300)
        self.assertEqual((self.server.names, self.witness.gone), ({"alice", "bob"}, []))
        self.assertEqual(self.witness.told, ["found", "lost", "found"])

    def test_leaving_is_told_soon_after_the_start(self) -> None:
        """Nobody is waited for who was not there before."""
        self.list_peer("bob")
        self.start(1)
        self.server.registry.unregister("192.0.2.1")
        self.pass_time(REFRESH_S)
        self.assertEqual(self.witness.gone, ["bob@UnB"])

    def test_forgotten_before_it_answered(self) -> None:
        """A server that loses its memory between our REGISTER and the first DISCOVER that it answers has us
        again with that one."""
        self.server.say = lambda request: Reset() if request.kind == "DISCOVER" else None
        self.start(1)
        self.server.lose_memory()
        self.server.say = lambda request: None
        self.pass_time(BAN_S + 10)
        self.assertEqual(self.server.names, {"alice"})

    def test_server_that_never_lists_us(self) -> None:
        """A server that leaves out who asks is not one that has forgotten us."""
        self.server.say = lambda request: (
            b'{"status":"OK","peers":[]}' if request.kind == "DISCOVER" else None
        )
        self.start(600)
        self.assertEqual(self.server.kinds.count("REGISTER"), 1)

    def test_forgetful_server(self) -> None:
        """Section 9.19: a server that forgets us all the time gets no more requests for it."""
        self.start(1)
        for _ in range(60):
            self.server.lose_memory()
            self.pass_time(20)
        self.assert_within_budget()


class NamesakeTests(RegistrationTestCase):
    def test_told_once(self) -> None:
        """Who else has our name is told once, each of them, and again when they come again."""
        self.list_peer("alice", "192.0.2.1")
        self.list_peer("alice", "192.0.2.2")
        self.start(300)
        expected = [Address("192.0.2.1", 7070), Address("192.0.2.2", 7070)]
        self.assertEqual(self.witness.namesakes, expected)
        self.server.registry.unregister("192.0.2.2")
        self.pass_time(40)
        self.list_peer("alice", "192.0.2.2")
        self.pass_time(40)
        self.assertEqual(self.witness.namesakes, [*expected, expected[1]])

    def test_not_ourselves(self) -> None:
        """Our own entry is none, though the server does not tell our address."""
        self.server.say = lambda request: b'{"status":"OK"}' if request.kind == "REGISTER" else None
        self.list_peer("alice", "192.0.2.1", 7070)
        self.start(100)
        self.assertEqual(self.witness.namesakes, [])

    def test_in_our_place(self) -> None:
        """A namesake behind our IP address takes our place in the server; there is no quarrel about it."""
        self.list_peer("bob")
        self.start(40)
        self.list_peer("alice", HERE, 7777)
        self.pass_time(600)
        self.assertEqual(self.witness.namesakes, [Address(HERE, 7777)])
        self.assertEqual(self.server.kinds.count("REGISTER"), 1)
        self.server.registry.unregister("192.0.2.1")
        self.pass_time(40)
        self.assertEqual(self.witness.gone, ["bob@UnB"])

    def test_place_taken_back(self) -> None:
        """When that namesake leaves we register again."""
        self.start(40)
        self.list_peer("alice", HERE, 7777)
        self.pass_time(100)
        self.server.registry.unregister(HERE)
        self.pass_time(40)
        self.assertEqual([record.port for record in self.server.registry.discover()], [7070])


class StopTests(RegistrationTestCase):
    def assert_all_gone(self, registration: Registration) -> None:
        """Assert that a stop ends in time, leaves no timer, and nothing in the server."""
        stopped = registration.stopService()
        self.pass_time(2.1)
        self.successResultOf(stopped)
        self.assertEqual((self.network.clock.getDelayedCalls(), list(self.network.transports)), ([], []))
        self.assertEqual(self.server.names, set())

    def test_unregister(self) -> None:
        """At the end the registration is taken back."""
        registration = self.start()
        self.assert_all_gone(registration)
        self.assertEqual(self.server.kinds[-1], "UNREGISTER")

    def test_in_every_moment(self) -> None:
        """A stop at any moment of the first round takes back what may have been registered."""
        for half_milliseconds in range(40):
            self.assert_all_gone(self.start(half_milliseconds / 2000))

    def test_while_waiting(self) -> None:
        """A stop while we wait: for the next look, the budget, a reply, a ban, the next try, a knock."""
        for reply in (None, Silence(), b"blocked", GARBAGE):
            self.server.always(reply) if reply else setattr(self.server, "say", lambda request: None)
            for seconds in (0.5, 5.0, 12.0, 25.0, 50.0, 70.0):
                for shared in (False, True):
                    registration = self.start(seconds, shared=shared)
                    registration.look_now()
                    registration.hint_lost()
                    self.server.say = lambda request: None
                    self.assert_all_gone(registration)
                    if reply is not None:
                        self.server.always(reply)

    def test_nobody_there(self) -> None:
        """Where nobody is there, there is nothing to take back."""
        self.server.close()
        registration = self.start(20)
        self.successResultOf(registration.stopService())

    def test_silent_server(self) -> None:
        """A server that does not answer the farewell keeps us no longer than 2 s."""
        registration = self.start()
        self.server.always(Silence())
        self.assertNoResult(stopped := registration.stopService())
        self.pass_time(2.1)
        self.successResultOf(stopped)

    def test_answers_to_the_farewell(self) -> None:
        """Section 9.18: whatever a server answers to UNREGISTER is harmless."""
        for error in ("peer_not_registered", "peer_credentials_do_not_match", "namespace_required"):
            registration = self.start()
            self.server.always(json.dumps({"status": "ERROR", "error": error}).encode())
            self.stop(registration)
            self.server.say = lambda request: None
        self.assertEqual(self.witness.told, ["found"] * 3)

    def test_server_of_our_own(self) -> None:
        """What goes away with us is not asked any more."""
        registration = self.start()
        registration.forget_server()
        self.successResultOf(registration.stopService())
        self.assertNotIn("UNREGISTER", self.server.kinds)

    def stop_into(self, stops: list[Deferred[None]], registration: Registration) -> None:
        stops.append(registration.stopService())

    def test_stopped_by_what_is_told(self) -> None:
        """A listener may stop us whatever it is told; nothing goes on after that."""
        for word in ("roster", "found", "namesake", "lost", "asked to host"):
            if word == "lost":
                self.server.close()
            self.server.lose_memory()
            self.list_peer("alice")
            registration = self.make_registration(shared=True)
            stops: list[Deferred[None]] = []
            self.witness.on = {word: partial(self.stop_into, stops, registration)}
            registration.startService()
            self.pass_time(100)
            self.assertEqual([self.successResultOf(stop) for stop in stops], [None], word)
            self.assertNotIn(HERE, [record.ip for record in self.server.registry.discover()])
            self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_stopped_when_forgotten(self) -> None:
        """Who is stopped while it hears that the server lost its memory does not register again."""
        registration = self.start()
        self.server.lose_memory()
        self.witness.on["roster"] = lambda: registration.running and registration.stopService()
        self.pass_time(40)
        self.assertEqual(self.server.names, set())
