"""Networks in which peers of other kinds take part: at the ends, never between (docs/protocol.md, 9)."""

from __future__ import annotations

from p2pchat.protocol.names import PeerId
from tests.scenarios.stories import Conversation, ScenarioTestCase


class PlainDestinationTests(ScenarioTestCase):
    def test_confirms(self) -> None:
        """Section 9: it gets ttl 1 and ASCII, one line at a time; its bare ACK finds its way back."""
        alice, _, relay = self.build("alice-r1-r2")
        peter = self.plain("peter", relay)
        talk = Conversation(alice, peter.own)
        for number in range(5):
            talk.say(f"é{number}")
        self.settle()
        self.assertEqual([delivery.code for delivery in talk.deliveries], [""] * 5)
        self.assertEqual((talk.most_tries, peter.told), (1, talk.said))
        self.assertEqual({fields["ttl"] for fields in peter.heard}, {1})
        self.assertEqual([segment.count(b"\n") for segment in peter.segments], [1] * len(peter.segments))
        self.assertTrue(b"".join(peter.segments).isascii())

    def test_many_messages_over_one_link(self) -> None:
        """Its lines leave 50 ms apart; what waits for that is not overdue, and nothing is told twice."""
        alice, _ = self.build("alice-bob")
        peter = self.plain("peter", alice)
        talk = self.talk(alice, peter.own, 500)
        self.settle()
        self.assertEqual((talk.failed, talk.most_tries, peter.told), ([], 1, talk.said))

    def test_link_ends_under_many_messages(self) -> None:
        """Section 9.15: what may be why the link ended is not sent again; what had not left yet is."""
        alice, _ = self.build("alice-bob")
        first = self.plain("peter", alice)
        del first.answers["SEND"]
        talk = self.talk(alice, first.own, 50)
        self.pass_time(0.52)
        first.wire.abortConnection()
        self.pass_time(1)
        again = self.plain("peter", alice)
        self.settle()
        self.assertEqual([delivery.payload for delivery in talk.failed], first.told)
        self.assertEqual({delivery.code for delivery in talk.failed}, {"not confirmed"})
        self.assertEqual(first.told + again.told, talk.said)

    def test_does_not_confirm(self) -> None:
        """What nobody confirms is sent three times, and named."""
        alice, relay = self.build("alice-relay")
        peter = self.plain("peter", relay, features=[])
        talk = self.talk(alice, peter.own)
        self.settle()
        self.assertEqual((talk.failed[0].code, peter.told), ("not confirmed", talk.said * 3))
        self.assertIn("relay@UnB passed it on", talk.failed[0].why)

    def test_refuses(self) -> None:
        """What it does not take ends at once, in its own words, and it is said whose they are."""
        alice, relay = self.build("alice-relay")
        peter = self.plain("peter", relay)
        peter.answers["SEND"] = lambda message: [
            {
                "status": "ERROR",
                "error": "bad_format",
                "type": "ERROR",
                "ref": message["msg_id"],
                "detail": "no!",
            }
        ]
        talk = self.talk(alice, peter.own)
        self.settle()
        self.assertEqual([(delivery.code, delivery.tries) for delivery in talk.failed], [("bad_format", 1)])
        self.assertIn("peter@UnB says: no!", talk.failed[0].why)

    def test_cast(self) -> None:
        """It gets what is cast once, though there are several ways to it."""
        alice, *relays = self.build("alice-r1-r2-alice")
        plain = [self.plain("peter", relays[0]), self.plain("quinn", relays[1])]
        self.cast(alice, "é!")
        self.pass_time(1)
        self.assertEqual([peer.told for peer in plain], [["é!"]] * 2)
        self.assertTrue(b"".join(plain[0].segments).isascii())

    def test_many_messages(self) -> None:
        """Its lines leave 50 ms apart; what cannot wait is refused and tried again, never told twice."""
        alice, relay = self.build("alice-relay")
        peter = self.plain("peter", relay)
        talk = self.talk(alice, peter.own, 150)
        self.settle()
        self.assertLessEqual({delivery.code for delivery in talk.deliveries}, {"", "busy"})
        confirmed = [delivery.payload for delivery in talk.deliveries if not delivery.code]
        self.assertGreater(len(confirmed), 100)
        self.assertEqual(sorted(peter.told), sorted(confirmed))


class PlainSourceTests(ScenarioTestCase):
    def test_confirmed(self) -> None:
        """Its message has one forward; the ACK that comes back has ttl 1 and says from whom it is."""
        alice, relay = self.build("alice-relay")
        peter = self.plain("peter", relay)
        peter.tell(alice.own, "hé", "m1")
        self.pass_time(1)
        (ack,) = peter.of("ACK")
        self.assertEqual(alice.heard, ["hé"])
        self.assertEqual((ack["msg_id"], ack["from"], ack["ttl"]), ("m1", alice.own, 1))

    def test_sends_again(self) -> None:
        """A copy is confirmed again and not shown again; another text of the same msg_id is shown (9.13)."""
        alice, relay = self.build("alice-relay")
        peter = self.plain("peter", relay)
        for text in ("one", "one", "two", "one", "two"):
            peter.tell(alice.own, text, "m1")
            self.pass_time(1)
        self.assertEqual((alice.heard, len(peter.of("ACK"))), (["one", "two"], 5))

    def test_one_relay_only(self) -> None:
        """Its ttl of 1 is enough for one relay; at the second it is told by name that it was not."""
        alice, _, relay = self.build("alice-r1-r2")
        peter = self.plain("peter", relay)
        peter.tell(alice.own, "hi", "m1")
        self.pass_time(1)
        (error,) = peter.of("ERROR")
        self.assertEqual((error["code"], error["ref"], error["ttl"]), ("ttl_expired", "m1", 1))
        self.assertIn("r1@UnB", error["detail"])
        self.assertEqual((alice.heard, peter.of("RELAY_FAIL") + peter.of("TTL_EXPIRED")), ([], []))

    def test_nobody_of_that_name(self) -> None:
        """It is told no_route, within the time that others wait for their ACK."""
        _, relay = self.build("alice-relay")
        peter = self.plain("peter", relay)
        peter.tell(PeerId("nobody@UnB"), "hi", "m1")
        self.pass_time(4)
        (error,) = peter.of("ERROR")
        self.assertEqual((error["error"], error["code"], error["ref"]), ("no_route", "no_route", "m1"))

    def test_to_another_plain_peer(self) -> None:
        """Two that know nothing of relays talk through one, with bare ACKs, and with colliding msg_ids."""
        (relay, _) = self.build("relay-other")
        peter, quinn, ruth = (self.plain(name, relay) for name in ("peter", "quinn", "ruth"))
        peter.tell(quinn.own, "from peter", "m1")
        ruth.tell(quinn.own, "from ruth", "m2")
        self.pass_time(1)
        peter.tell(quinn.own, "again", "m1")
        self.pass_time(1)
        self.assertEqual(quinn.told, ["from peter", "from ruth", "again"])
        self.assertEqual([ack["msg_id"] for ack in peter.of("ACK")], ["m1", "m1"])
        self.assertEqual([ack["msg_id"] for ack in ruth.of("ACK")], ["m2"])
        self.assert_nothing_broke()

    def test_casts(self) -> None:
        """What it casts is passed on as often as its ttl says; its msg_ids may collide."""
        alice, _, relay = self.build("alice-r1-r2")
        peter = self.plain("peter", relay)
        for text in ("one", "two", "two"):
            peter.cast(text, "m1")
        self.pass_time(1)
        self.assertEqual(
            [villager.heard for villager in self.villagers], [[], ["one", "two"], ["one", "two"]]
        )
        self.assertEqual(alice.heard, [])
