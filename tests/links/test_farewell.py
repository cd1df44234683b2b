"""BYE and BYE_OK, and every other way in which a link ends (docs/protocol.md, sections 3 and 9)."""

from __future__ import annotations

from p2pchat.protocol.codec import encode
from p2pchat.protocol.framing import MAX_DISCARD
from p2pchat.protocol.messages import Ack
from tests.links.peers import (
    ALICE,
    BOB,
    OUR_FEATURES,
    PLAIN_FEATURES,
    LinkTestCase,
    bye_ok,
    line,
)


class FarewellTests(LinkTestCase):
    """BYE and BYE_OK, and every other way to end."""

    def setUp(self) -> None:
        super().setUp()
        self.come_up(OUR_FEATURES)

    def test_we_leave(self) -> None:
        """Section 3: BYE, BYE_OK, and then we close."""
        self.raw.answers["BYE"] = bye_ok
        self.link.leave("good night")
        self.assertEqual(self.owner.events, ["up", "down: good night"])
        self.soon()
        (bye,) = self.raw.heard
        self.assertEqual((bye["src"], bye["dst"], bye["reason"]), (ALICE, BOB, "good night"))
        self.assertTrue(bye["msg_id"])
        self.assertEqual(self.owner.events[2:], ["gone: good night"])
        self.assertTrue(self.raw.ended)

    def test_another_id(self) -> None:
        """9.10: a BYE_OK with another id or none is one."""
        for fields in ({"msg_id": "other"}, {}, {"msg_id": None, "src": 5}):
            self.owner.events.clear()
            self.come_up(OUR_FEATURES)
            self.link.leave("good night")
            self.hear("BYE_OK", **fields)
            self.assertEqual(len(self.owner.events), 3)

    def test_no_answer(self) -> None:
        """Section 3: without an answer we close after 2 s."""
        self.link.leave("good night")
        self.clock.advance(1.99)
        self.assertEqual(len(self.owner.events), 2)
        self.clock.advance(0.02)
        self.assertEqual(len(self.owner.events), 3)
        self.soon()
        self.assertTrue(self.raw.ended)

    def test_the_peer_leaves(self) -> None:
        """Section 3: a BYE is answered with its msg_id, and then we close."""
        self.hear("BYE", msg_id="b1", src=BOB, dst=ALICE, reason="bed time")
        (answer,) = self.raw.heard
        self.assertEqual(answer, {"type": "BYE_OK", "msg_id": "b1", "src": ALICE, "dst": BOB, "ttl": 1})
        self.assertEqual(
            self.owner.events[1:], [f"{e}: the peer said BYE: bed time" for e in ("down", "gone")]
        )
        self.assertTrue(self.link.said_bye)
        self.assertTrue(self.raw.ended)

    def test_bye_without_ids(self) -> None:
        """9.10: a BYE without ids is one; the answer has all fields as strings (9.3)."""
        (answer,) = self.hear("BYE")
        self.assertEqual(answer, {"type": "BYE_OK", "msg_id": "", "src": ALICE, "dst": BOB, "ttl": 1})

    def test_crossing(self) -> None:
        """When both say BYE at once, each gets its answer, and the link ends once."""
        self.link.leave("good night")
        self.raw.say("BYE", msg_id="b1")
        self.soon()
        self.assertEqual(self.raw.types, ["BYE", "BYE_OK"])
        self.assertEqual(len(self.owner.events), 3)

    def test_2_seconds_at_most(self) -> None:
        """Section 3: a peer that answers our BYE late and then reads nothing keeps us no longer."""
        self.near.stalled = True
        self.link.leave("good night")
        self.clock.advance(1.9)
        self.raw.say("BYE", msg_id="b1")
        self.clock.advance(0.11)
        self.assertEqual(len(self.owner.events), 3)

    def test_messages_while_leaving(self) -> None:
        """What the peer sent before it knew of our BYE is read, and may be answered."""
        self.link.leave("good night")
        self.raw.say("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="wait")
        self.raw.say("PING", msg_id="p1")
        self.soon()
        self.assertEqual(len(self.owner.messages), 1)
        self.assertEqual(self.raw.types, ["BYE", "PONG"])
        self.assertTrue(self.link.write(encode(Ack("m1"))))

    def test_nothing_after_the_end(self) -> None:
        """A link that has ended takes no line, and leaves nothing on the clock."""
        for features in (OUR_FEATURES, PLAIN_FEATURES):
            self.owner.events.clear()
            self.come_up(features)
            self.raw.wire.abortConnection()
            self.soon()
            self.assertFalse(self.link.write(b"x\n"))
            self.assertFalse(self.link.write(b"x\n", urgent=True))
            self.link.leave("too late")
            self.link.abort()
            self.link.tick()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_behind_a_bye(self) -> None:
        """What comes behind a BYE in the same segment is not read, and nothing can be written."""
        self.raw.wire.write(line("BYE") + line("PING", msg_id="p1") + line("BYE") + b"nonsense\n")
        self.clock.advance(0.0015)
        self.assertFalse(self.link.write(b"x\n"))
        self.soon()
        self.assertEqual(self.raw.types, ["BYE_OK"])

    def test_half_close(self) -> None:
        """A peer that closes its half right behind its question still gets the answer."""
        self.raw.say("PING", msg_id="p1")
        self.raw.wire.loseWriteConnection()
        self.soon()
        self.assertEqual(self.raw.types, ["PONG"])
        self.assertEqual(
            self.owner.events[1:], [f"{e}: the peer closed the connection" for e in ("down", "gone")]
        )
        self.assertTrue(self.raw.ended)

    def test_half_close_behind_a_full_socket(self) -> None:
        """So it does when our socket was full at that moment."""
        self.near.stalled = True
        for number in range(3):
            self.assertTrue(self.link.write(b'{"type":"X","n":"%d%s"}\n' % (number, b"x" * 30000)))
        self.raw.say("PING", msg_id="p1")
        self.raw.wire.loseWriteConnection()
        self.soon()
        self.near.stalled = False
        self.near.flush_soon()
        self.soon()
        self.assertEqual(self.raw.types, ["X", "PONG", "X", "X"])
        self.assertTrue(self.raw.ended)

    def test_close_while_the_socket_is_full(self) -> None:
        """A link closes as soon as a full socket has drained, not only at its deadline."""
        self.near.stalled = True
        for _ in range(3):
            self.link.write(b'{"type":"X","n":"%s"}\n' % (b"x" * 30000))
        self.raw.wire.loseWriteConnection()
        self.soon()
        self.near.stalled = False
        self.near.flush_soon()
        self.soon()
        self.assertEqual((self.raw.types, self.raw.ended), (["X", "X", "X"], True))

    def test_refused_peer_reads_why(self) -> None:
        """A link that we refuse closes its half first, so that the reason arrives before the end."""
        self.raw.wire.write(b"x" * (MAX_DISCARD + 1))
        self.soon()
        self.assertEqual((self.raw.types, self.raw.half_closed), (["ERROR"] * 2, True))
        self.assertEqual(len(self.owner.events), 2)
        self.raw.wire.loseConnection()
        self.soon()
        self.assertEqual(len(self.owner.events), 3)

    def test_reset(self) -> None:
        """A reset ends the link at once."""
        self.raw.wire.abortConnection()
        self.soon()
        self.assertEqual(len(self.owner.events), 3)

    def test_bye_behind_a_full_queue(self) -> None:
        """9.8: BYE goes out, behind what waits, even where nothing else is taken any more."""
        self.near.stalled = True
        filler = b'{"type":"X","n":"%s"}\n' % (b"x" * 30000)
        while self.link.write(filler):
            pass
        self.link.leave("good night")
        self.near.stalled = False
        self.near.flush_soon()
        self.clock.advance(0.5)
        self.assertEqual(self.raw.types[-1], "BYE")
        self.assertEqual(set(self.raw.types[:-1]), {"X"})
