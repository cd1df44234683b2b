"""What a link writes, to our own kind and to plain peers (docs/protocol.md, sections 5 and 9)."""

from __future__ import annotations

from itertools import pairwise

from p2pchat.links.outgoing import MAX_LINES
from p2pchat.protocol.codec import encode, encode_plain
from p2pchat.protocol.messages import Ack, Send
from tests.links.peers import (
    ALICE,
    BOB,
    OUR_FEATURES,
    PLAIN_FEATURES,
    LinkTestCase,
    line,
)


class OwnKindTests(LinkTestCase):
    def test_fast(self) -> None:
        """Towards our own kind nothing is spaced out, and text is UTF-8."""
        self.come_up(OUR_FEATURES, dialled=False)
        for number in range(3):
            self.link.write(encode(Send(f"m{number}", ALICE, BOB, "olá", ttl=8)))
        self.soon()
        self.assertEqual([fields["payload"] for fields in self.raw.heard], ["olá"] * 3)
        self.assertEqual({at_s for at_s, _ in self.near.writes}, {self.near.writes[0][0]})

    def test_back_pressure(self) -> None:
        """Section 5: a peer that does not read stops us before memory does, and loses nothing."""
        self.come_up(OUR_FEATURES)
        self.near.stalled = True
        taken = 0
        while self.link.write(b'{"type":"X","n":%d}\n' % taken):
            taken += 1
        self.assertLess(taken, 10_000)
        self.assertGreaterEqual(taken, MAX_LINES)
        self.assertEqual((self.link.outgoing.refused, self.link.outgoing.waiting), (1, MAX_LINES))
        self.near.stalled = False
        self.near.flush_soon()
        self.soon()
        self.assertEqual([fields["n"] for fields in self.raw.heard], list(range(taken)))
        self.assertEqual(self.link.outgoing.waiting, 0)


class PlainTests(LinkTestCase):
    """Section 9: what we send to peers that do not list ``relay``."""

    def assert_plain_lines(self, count: int) -> list[float]:
        """Assert that *count* lines were written as plain peers need them; return when."""
        self.assertEqual(len(self.near.writes), count)
        for _, data in self.near.writes:
            self.assertTrue(data.isascii(), data)
            self.assertEqual(data.count(b"\n"), 1)
            self.assertTrue(data.startswith(b"{"), data)
            self.assertTrue(data.endswith(b"}\n"), data)
        for fields in self.raw.heard:
            self.assertEqual(fields["ttl"], 1)
        self.assertEqual(len(self.raw.segments), count)
        times_s = [at_s for at_s, _ in self.near.writes]
        for earlier_s, later_s in pairwise(times_s):
            self.assertGreaterEqual(later_s - earlier_s, 0.05 - 1e-9)
        return times_s

    def test_dialled(self) -> None:
        """9.5: one line to a segment, 50 ms apart, ASCII, ttl 1; control lines first."""
        self.come_up(PLAIN_FEATURES)
        began_s = self.clock.seconds()
        for number in range(3):
            self.link.write(encode_plain(Send(f"m{number}", ALICE, BOB, "olá", ttl=8)))
        self.raw.say("PING", msg_id="p1")
        self.raw.say("DANCE")
        self.clock.advance(2.0)
        self.assertLess(self.assert_plain_lines(5)[0], began_s + 0.06)
        self.assertEqual(self.raw.types[-3:], ["SEND"] * 3)

    def test_accepted(self) -> None:
        """9.5: the first line after our HELLO_OK leaves 250 ms later; the HELLO_OK itself at once."""
        self.connect(dialled=False)
        self.raw.wire.write(line("HELLO", peer_id=BOB, version="1.0") + line("PING", msg_id="p1"))
        self.clock.advance(0.001)
        self.link.write(encode_plain(Ack("m1", ALICE)))
        self.clock.advance(1.0)
        times_s = self.assert_plain_lines(3)
        self.assertEqual(self.raw.types, ["HELLO_OK", "PONG", "ACK"])
        self.assertGreaterEqual(times_s[1] - times_s[0], 0.25)
        self.assertLess(times_s[1] - times_s[0], 0.26)

    def test_every_line_of_ours(self) -> None:
        """9.1 to 9.4: whatever a link says by itself is plain towards plain peers."""
        self.connect(dialled=False)
        self.raw.say("HELLO", peer_id="zoë@UnB", version="1.0")
        self.soon()
        for kind in ("PING", "METRICS_REQ"):
            self.raw.say(kind, msg_id="ünïque")
        self.raw.say("DÄNCE", msg_id="ünïque")
        self.link.ping().addErrback(lambda _: None)
        self.link.ask_metrics().addErrback(lambda _: None)
        self.soon()
        self.link.leave("schön")
        self.clock.advance(1.5)
        self.assert_plain_lines(7)
        self.assertEqual(self.raw.types[-1], "BYE")
        self.assertEqual(self.raw.of("BYE")[0]["dst"], "zoë@UnB")

    def test_small_greeting(self) -> None:
        """9.2: HELLO and HELLO_OK stay under 1024 bytes and end after one object."""
        self.connect()
        self.assertLess(len(self.near.writes[0][1]), 1024)
        self.connect(dialled=False)
        self.hear("HELLO", peer_id=BOB, version="1.0")
        self.assertLess(len(self.near.writes[0][1]), 1024)

    def test_bye_in_time(self) -> None:
        """9.8: BYE leaves before we close, however many lines still wait for this peer."""
        self.come_up(PLAIN_FEATURES)
        for number in range(200):
            self.link.write(encode_plain(Send(f"m{number}", ALICE, BOB, "hi")))
        self.link.leave("good night")
        self.clock.advance(1.5)
        self.assertEqual(self.raw.types[-1], "BYE")
        self.assertEqual(self.raw.types.count("BYE"), 1)
        self.assertGreater(self.raw.types.count("SEND"), 10)

    def test_bye_ok_behind_what_waits(self) -> None:
        """A BYE of the peer's is answered before what waits, and all of it goes out."""
        self.come_up(PLAIN_FEATURES)
        for number in range(3):
            self.link.write(encode_plain(Send(f"m{number}", ALICE, BOB, "hi")))
        self.hear("BYE", msg_id="b1")
        self.assertEqual(sorted(self.raw.types), ["BYE_OK", "SEND", "SEND", "SEND"])
        self.assertTrue(self.raw.ended)
