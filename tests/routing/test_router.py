"""What happens to a message that arrived (docs/protocol.md, sections 4, 5, 8 and 9)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from p2pchat.protocol.errors import ErrorCode
from p2pchat.protocol.messages import Error
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.routing.router import COMPLAINTS_PER_S
from tests.routing.neighbours import ALICE, BOB, CAROL, RouterTestCase


class ReceivingTests(RouterTestCase):
    def test_shown_and_acknowledged(self) -> None:
        """Section 4: a SEND for us is shown, and acknowledged by us, urgently."""
        bob = self.link()
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi", require_ack=True, ttl=3)
        self.assertEqual([message.payload for message in self.house.shown], ["hi"])
        ack = {"type": "ACK", "msg_id": "m1", "from": ALICE, "src": ALICE, "dst": BOB, "ttl": 8}
        self.assertEqual((bob.heard, len(bob.urgent)), ([ack], 1))

    def test_ack_to_a_plain_peer(self) -> None:
        """9.1: an ACK to a plain peer has ttl 1."""
        bob = self.link(plain=True)
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.assertEqual([(fields["type"], fields["ttl"]) for fields in bob.heard], [("ACK", 1)])

    def test_require_ack(self) -> None:
        """Section 4: false asks for none; missing or null counts as true (9.10)."""
        cases: list[tuple[dict[str, Any], int]] = [
            ({"require_ack": False}, 0),
            ({"require_ack": True}, 1),
            ({"require_ack": None}, 1),
            ({}, 1),
        ]
        for number, (fields, acks) in enumerate(cases):
            bob = self.link()
            self.receive(bob, "SEND", msg_id=f"m{number}", src=BOB, dst=ALICE, payload="hi", **fields)
            self.assertEqual(len(bob.lines), acks, fields)
        self.assertEqual(len(self.house.shown), 4)

    def test_duplicates(self) -> None:
        """Section 4: a message is shown once, and acknowledged every time."""
        bob, carol = self.link(), self.link(CAROL)
        for neighbour in (bob, bob, carol):
            self.receive(neighbour, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi", attempt=2)
        self.assertEqual((len(self.house.shown), len(bob.lines), len(carol.lines)), (1, 2, 1))
        self.assertEqual((self.router.tally.received, self.router.tally.duplicates), (1, 2))

    def test_same_id_of_another_source(self) -> None:
        """Section 4: duplicates are recognised by source and msg_id, for counters collide."""
        bob = self.link()
        for src in (BOB, CAROL):
            self.receive(bob, "SEND", msg_id="m1", src=src, dst=ALICE, payload="hi")
        self.assertEqual(len(self.house.shown), 2)

    def test_plain_ids_collide(self) -> None:
        """9.13: for plain sources the payload is part of the key; every duplicate is acknowledged."""
        bob = self.link(plain=True)
        for payload in ("one", "two", "one"):
            self.receive(bob, "SEND", msg_id="17", src=BOB, dst=ALICE, payload=payload)
        self.assertEqual([message.payload for message in self.house.shown], ["one", "two"])
        self.assertEqual([fields["type"] for fields in bob.heard], ["ACK"] * 3)

    def test_other_words_under_a_msg_id(self) -> None:
        """Whatever a relay brought under the msg_id of somebody, that one's own words are shown, once."""
        bob, carol = self.link(), self.link(CAROL)
        for neighbour, payload in ((carol, "forged"), (bob, "said"), (bob, "said"), (carol, "said")):
            self.receive(neighbour, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload=payload)
        self.assertEqual([message.payload for message in self.house.shown], ["forged", "said"])
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="its own msg_id once more")
        self.assertEqual(len(self.house.shown), 2)

    def test_for_somebody_else(self) -> None:
        """Section 5: what is for somebody else is answered no_route towards its source, not shown."""
        bob = self.link()
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=CAROL, payload="hi")
        error, report = bob.heard
        self.assertEqual((error["code"], error["ref"], error["dst"]), ("no_route", "m1", BOB))
        self.assertIn("carol@Giga", error["detail"])
        self.assertEqual(
            (report["type"], report["msg_id"], report["reason"]), ("RELAY_FAIL", "m1", "no_route")
        )
        self.assertEqual((self.house.shown, self.router.tally.not_for_us), ([], 1))

    def test_forged(self) -> None:
        """Nobody else speaks in our name: it is refused, not shown, not acknowledged."""
        bob = self.link(plain=True)
        for kind in ("SEND", "PUB"):
            problem = self.refusal_of(bob, kind, msg_id="m1", src=ALICE, dst=ALICE, payload="hi")
            self.assertEqual((problem.code, problem.ref), (ErrorCode.UNAUTHORIZED, "m1"))
        self.assertEqual((self.house.shown, bob.lines, self.router.tally.forged), ([], [], 2))

    def test_confirmation_refused(self) -> None:
        """An ACK for which there is no room is counted; the message was shown all the same."""
        bob = self.link()
        bob.full = True
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.assertEqual((len(self.house.shown), self.router.tally.confirmations_refused), (1, 1))

    def test_forgotten_in_the_end(self) -> None:
        """Duplicates are remembered for ten minutes at least, and not for ever."""
        bob = self.link()
        for wait_s in (0.0, 599.0, 1300.0):
            self.now_s += wait_s
            self.router.tick()
            self.router.tick()
            self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.now_s += 700.0
        self.router.tick()
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.assertEqual(len(self.house.shown), 2)

    @given(st.lists(st.tuples(st.sampled_from([BOB, CAROL]), st.sampled_from("abc"), st.booleans())))
    def test_once_each(self, arrivals: list[tuple[PeerId, str, bool]]) -> None:
        """Whatever arrives in whatever order, each message is shown once and each copy acknowledged."""
        self.setUp()
        bob = self.link()
        for src, msg_id, asks in arrivals:
            self.receive(
                bob, "SEND", msg_id=msg_id, src=src, dst=ALICE, payload=f"{src}{msg_id}", require_ack=asks
            )
        shown = [message.payload for message in self.house.shown]
        self.assertEqual(sorted(shown), sorted({f"{src}{msg_id}" for src, msg_id, _ in arrivals}))
        self.assertEqual(len(bob.lines), sum(asks for *_, asks in arrivals))


class PublishedTests(RouterTestCase):
    def test_shown(self) -> None:
        """9.12: a PUB to all, to our namespace in either form, to ourselves, or to nobody is shown."""
        bob = self.link(plain=True)
        cases: list[dict[str, Any]] = [
            {"dst": "*"},
            {"dst": "#UnB"},
            {"dst": "UnB"},
            {"dst": ALICE},
            {"dst": None},
            {"dst": ""},
            {"dest": "#UnB"},
            {},
        ]
        for number, fields in enumerate(cases):
            self.receive(bob, "PUB", msg_id=f"m{number}", src=BOB, payload="hi", **fields)
            self.assertEqual(len(self.house.shown), number + 1, fields)
        self.assertEqual(bob.lines, [])

    def test_not_shown(self) -> None:
        """Section 5: a node outside of the namespace does not show it."""
        bob = self.link()
        for number, dst in enumerate(("#Giga", "Giga", BOB, "#unb", "#", "##UnB")):
            self.receive(bob, "PUB", msg_id=f"m{number}", src=BOB, payload="hi", dst=dst)
        self.assertEqual((self.house.shown, self.router.tally.not_for_us, bob.lines), ([], 6, []))

    def test_never_acknowledged(self) -> None:
        """Section 4: a PUB has no ACK, even where it asks for one."""
        bob = self.link()
        self.receive(bob, "PUB", msg_id="m1", src=BOB, payload="hi", dst="*", require_ack=True)
        self.assertEqual((len(self.house.shown), bob.lines), (1, []))

    def test_duplicates(self) -> None:
        """Section 5: copies beyond the first are dropped and counted."""
        bob, carol = self.link(), self.link(CAROL)
        for neighbour in (bob, carol, bob):
            self.receive(neighbour, "PUB", msg_id="m1", src=BOB, payload="hi", dst="*")
        self.assertEqual((len(self.house.shown), self.router.tally.duplicates), (1, 2))

    def test_our_own_words(self) -> None:
        """Our own PUB that comes back is neither shown nor taken for a forgery."""
        bob = self.link()
        self.router.publish(ToAll(), "hi")
        for _ in range(2):
            self.receive(bob, "PUB", msg_id="a1", src=ALICE, payload="hi", dst="*", ttl=7)
        self.assertEqual((self.house.shown, self.router.tally.forged), ([], 0))


class ComplaintTests(RouterTestCase):
    def test_about_nothing(self) -> None:
        """An ERROR about none of our messages is shown, some a second; the others are counted."""
        bob = self.link()
        for ref in ("", "x") * COMPLAINTS_PER_S:
            self.receive(bob, "ERROR", ref=ref, code="bad_format", detail="what?")
        self.assertEqual(len(self.house.complaints), COMPLAINTS_PER_S)
        self.assertEqual(self.router.complaints.refused, COMPLAINTS_PER_S)
        self.assertEqual(self.router.tally.errors_received, 2 * COMPLAINTS_PER_S)
        self.advance(1.0)
        self.receive(bob, "ERROR")
        self.assertEqual(len(self.house.complaints), COMPLAINTS_PER_S + 1)
        self.assertEqual(bob.lines, [])

    def test_never_answered(self) -> None:
        """Section 8: an ERROR is never answered with an ERROR."""
        bob = self.link()
        self.router.send(BOB, "hi")
        self.router.received(bob, Error.make(ErrorCode.BUSY, "x", ref="a1"), b"")
        self.router.received(bob, Error(), b"")
        self.assertEqual(len(bob.lines), 1)
