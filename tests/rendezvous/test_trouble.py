"""When the rendezvous fails us, and how often it is asked (docs/protocol.md, 6 and 9.19)."""

from __future__ import annotations

from typing import Any

from p2pchat.rendezvous.client import RendezvousClient
from p2pchat.rendezvous.pace import REFRESH_S
from p2pchat.rendezvous.registration import BAN_S, LONGEST_WAIT_S
from p2pchat.testing import MemoryHost
from tests.rendezvous.registrations import GARBAGE, HERE, RegistrationTestCase, gaps_of
from tests.rendezvous.scripted import Reply, Reset, Silence
from tests.village import RENDEZVOUS


class TroubleTests(RegistrationTestCase):
    def connects(self) -> list[float]:
        """When we tried to connect, from now on."""
        times: list[float] = []
        connect = MemoryHost.connectTCP

        def counting(host: MemoryHost, *args: Any, **kw: Any) -> Any:
            times.append(self.network.clock.seconds())
            return connect(host, *args, **kw)

        self.patch(MemoryHost, "connectTCP", counting)
        return times

    def test_back_off(self) -> None:
        """Section 6: who is refused waits 1 s, doubling to 60 s."""
        self.server.close()
        times = self.connects()
        self.start(300, random=lambda: 1.0)
        gaps = [round(gap) for gap in gaps_of(times)]
        self.assertEqual(gaps, [1, 2, 4, 8, 16, 32, 60, 60, 60])

    def test_back_off_where_only_discover_fails(self) -> None:
        """The same where REGISTER is answered each time, and DISCOVER never is."""
        self.server.say = lambda request: GARBAGE if request.kind == "DISCOVER" else None
        self.start(600)
        self.assertLess(len(self.server.times("DISCOVER")), 25)

    def test_back_off_with_jitter(self) -> None:
        """Section 6: the waits are spread over the upper half of their range."""
        self.server.close()
        times = self.connects()
        self.start(300, random=lambda: 0.0)
        gaps = [round(gap, 1) for gap in gaps_of(times)]
        self.assertEqual(gaps[:8], [0.5, 1, 2, 4, 8, 16, 30, 30])

    def test_told_once(self) -> None:
        """Section 6: the user is told once when the rendezvous goes and once when it returns."""
        for reply in (GARBAGE, b"", Reset(), Silence(), b"blocked", b'{"status":"ERROR","error":"bad_name"}'):
            self.witness.told.clear()
            self.server.requests.clear()
            self.server.say = lambda request: None
            registration = self.start(10)
            self.server.always(reply)
            self.pass_time(400)
            self.assertEqual(self.witness.told, ["found", "lost"], reply)
            self.assertTrue(registration.trouble)
            self.server.say = lambda request: None
            self.pass_time(LONGEST_WAIT_S + 65)
            self.assertEqual(self.witness.told, ["found", "lost", "found"], reply)
            self.assertEqual(registration.trouble, "")
            self.assert_within_budget()
            self.stop(registration)

    def test_down_from_the_start(self) -> None:
        """Section 6: a rendezvous that is down when we start is told of, and found when it comes."""
        self.server.close()
        self.start(20)
        self.assertEqual((self.witness.told, self.witness.reasons), (["lost"], ["connection refused"]))
        self.server.open()
        self.pass_time(LONGEST_WAIT_S)
        self.assertEqual((self.witness.told, self.server.names), (["lost", "found"], {"alice"}))

    def test_ban(self) -> None:
        """Section 9.19: after an empty reply, a reset or "blocked" a server is left alone for a minute."""
        for reply in (b"", Reset(), b"You are blocked", b'{"status":"ERROR","message":"Blocked"}\n'):
            self.server.requests.clear()
            self.server.always(reply)
            registration = self.start(0.1)
            for _ in range(600):
                registration.look_now()
                registration.hint_lost()
                self.pass_time(0.1)
            self.assertEqual(self.server.kinds, ["REGISTER"], reply)
            self.pass_time(BAN_S - 60)
            self.assertEqual(self.server.kinds, ["REGISTER"] * 2, reply)
            self.stop(registration)

    def test_ended_while_it_answered(self) -> None:
        """A reset by a server that is not there any more is no ban: it is asked again soon."""
        self.server.say = lambda request: Reset()
        self.start(0)
        self.server.close()
        self.pass_time(5)
        self.server.say = lambda request: None
        self.server.open()
        self.pass_time(10)
        self.assertEqual(self.server.names, {"alice"})

    def test_ban_in_a_shared_rendezvous(self) -> None:
        """Where the rendezvous is in a peer, only a text says for sure that we are banned."""
        self.server.always(b"You are blocked")
        registration = self.start(0.1, shared=True)
        for _ in range(600):
            registration.hint_lost()
            self.pass_time(0.1)
        self.assertEqual(self.server.kinds, ["REGISTER"])
        self.stop(registration)
        self.server.always(Reset())
        self.start(2.5, shared=True)
        self.assertGreater(self.server.kinds.count("REGISTER"), 2)

    def test_registration_ran_out(self) -> None:
        """A registration whose time is over when the server returns is made again, and nobody left."""
        self.list_peer("bob", ttl_s=50)
        self.start(20, ttl_s=60)
        self.server.always(Silence())
        self.pass_time(200)
        self.server.say = lambda request: None
        self.pass_time(70)
        self.assertEqual((self.server.names, self.witness.gone), ({"alice"}, []))

    def test_budget(self) -> None:
        """Section 9.19: never six requests in a minute, whatever is sought and whatever the server says."""
        replies: list[Reply | None] = [GARBAGE, Silence(), None, None, b'{"status":"ERROR"}\n']
        self.server.say = lambda request: self.random.choice(replies)
        registration = self.start(ttl_s=100)
        for _ in range(1200):
            registration.look_now()
            self.pass_time(self.random.random() * 6)
        self.assert_within_budget()

    def test_budget_with_short_registrations(self) -> None:
        """Section 9.19: a registration too short to be kept up within the budget does not break it."""
        for ttl_s in (1, 10, 20, 30):
            for shared in (False, True):
                self.server.requests.clear()
                registration = self.start(600, ttl_s=ttl_s, shared=shared)
                self.assert_within_budget()
                self.stop(registration)


class SeekTests(RegistrationTestCase):
    def test_look_now(self) -> None:
        """Who is sought and not in the roster is looked for at once."""
        registration = self.start(10)
        registration.look_now()
        self.pass_time(0.1)
        self.assertEqual(self.server.kinds.count("DISCOVER"), 2)

    def test_not_beyond_the_budget(self) -> None:
        """Section 9.19: however much is sought, it is five requests a minute."""
        registration = self.start()
        for _ in range(290):
            registration.look_now()
            self.pass_time(0.2)
        self.assertEqual(len(self.server.requests), 5)

    def test_looks_stay_in_turn(self) -> None:
        """Section 6: however much is sought, the roster is as fresh as ever."""
        registration = self.start(0)
        for _ in range(3600):
            registration.look_now()
            self.pass_time(1)
        self.assertLessEqual(max(gaps_of(self.server.times("DISCOVER"))), REFRESH_S + 0.1)
        self.assert_within_budget()

    def test_not_while_a_look_is_under_way(self) -> None:
        """A look that is under way is not asked for twice."""
        registration = self.start(0.001)
        registration.look_now()
        self.pass_time(1)
        self.assertEqual(self.server.kinds, ["REGISTER", "DISCOVER"])

    def test_not_in_trouble(self) -> None:
        """Section 6: requests to a rendezvous in trouble back off, whatever is sought."""
        self.server.always(GARBAGE)
        registration = self.start(20)
        before = len(self.server.requests)
        registration.look_now()
        self.pass_time(0.1)
        self.assertEqual(len(self.server.requests), before)

    def test_shared_looks_stay_in_turn(self) -> None:
        """Where a peer must take over in time, what is sought never delays the looks in turn."""
        registration = self.start(0, shared=True)
        for _ in range(3600):
            registration.look_now()
            self.pass_time(1)
        self.assertLess(max(gaps_of(self.server.times())), 15.1)
        self.assert_within_budget()


class HintTests(RegistrationTestCase):
    def test_knock(self) -> None:
        """A hint makes us knock, which is no request, and then look, where a look can be spared."""
        registration = self.start(136, shared=True, random=lambda: 0.0)
        self.server.visits, requests = 0, len(self.server.requests)
        registration.hint_lost()
        registration.hint_lost()
        self.pass_time(3)
        self.assertEqual((self.server.visits, len(self.server.requests) - requests), (2, 1))
        for _ in range(3):
            registration.hint_lost()
            self.pass_time(3)
        self.assertEqual((self.server.visits, len(self.server.requests) - requests), (5, 1))

    def test_not_where_it_is_a_server_of_its_own(self) -> None:
        """A rendezvous that is no peer does not go with one."""
        registration = self.start(20)
        registration.hint_lost()
        self.pass_time(5)
        self.assertEqual(self.server.visits, 2)

    def test_nobody_there(self) -> None:
        """Where a knock finds nobody, we offer to be the rendezvous."""
        registration = self.start(4, shared=True)
        self.server.close()
        registration.hint_lost()
        self.pass_time(2.6)
        self.assertEqual(self.witness.told[:3], ["found", "asked to host", "lost"])

    def test_no_telling(self) -> None:
        """A knock that comes to nothing changes nothing."""
        registration = self.start(4, shared=True)
        self.network.cut(HERE, RENDEZVOUS.host)
        registration.hint_lost()
        self.pass_time(13)
        self.assertEqual((self.witness.told, registration.trouble), (["found"], ""))
        self.network.heal()

    def test_nobody_there_during_a_round(self) -> None:
        """A knock beside a round that is under way leaves the rest to that round."""
        registration = self.start(14, shared=True)
        registration.hint_lost()
        self.server.always(Silence())
        self.pass_time(2)
        self.server.close()
        self.pass_time(20)
        self.assertIn("asked to host", self.witness.told)

    def test_defect(self) -> None:
        """A defect of ours in a knock is logged, and the next hint is followed."""
        registration = self.start(4, shared=True)
        self.patch(RendezvousClient, "knock", lambda client: 1 / 0)
        for _ in range(2):
            registration.hint_lost()
            self.pass_time(3)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_hints_cost_no_budget(self) -> None:
        """Section 9.19: an hour of hints and seeking: never six requests in a minute, looks in time."""
        registration = self.start(0, shared=True, ttl_s=300)
        for _ in range(1000):
            self.random.choice([registration.hint_lost, registration.look_now])()
            self.pass_time(self.random.random() * 8)
        self.assertLess(max(gaps_of(self.server.times())), 15.1)
        self.assert_within_budget()
