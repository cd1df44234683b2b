"""Whatever happens to a link, it ends clean."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pchat.links.link import Link
from tests.links.peers import (
    ALICE,
    BOB,
    OUR_FEATURES,
    LinkTestCase,
    line,
)

#: What may happen to a link from outside: bytes, time, and what its owner does.
LINES = st.sampled_from(
    [
        line("HELLO", peer_id=BOB, version="1.0", features=OUR_FEATURES),
        line("HELLO", peer_id=BOB),
        line("HELLO_OK", peer_id=BOB, features=OUR_FEATURES),
        line("HELLO_OK", peer_id=ALICE),
        line("PING", msg_id="p1"),
        line("PONG", msg_id="id-1"),
        line("BYE", msg_id="b1"),
        line("BYE_OK"),
        line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi"),
        line("METRICS_REQ", msg_id="q1"),
        line("ERROR", code="busy"),
        line("ERROR", ttl="x"),
        line("DANCE"),
        b"nonsense\n",
        b"\n",
        b"x" * 40000,
        b"\n\n",
        b"\xff\xfe",
    ]
)
CHUNKS = LINES | st.binary(max_size=40) | st.lists(LINES, max_size=4).map(b"".join)
STEPS = st.tuples(
    st.sampled_from(["data"] * 6 + ["time", "leave", "ping", "write", "tick", "eof", "reset", "abort"]),
    CHUNKS,
)


class AnythingTests(LinkTestCase):
    """Whatever happens, in whatever order, nothing is raised and the link ends clean."""

    def happen(self, what: str, chunk: bytes) -> None:
        """Let one thing happen to the link."""
        if what == "data":
            self.raw.wire.write(chunk)
        elif what == "time":
            self.clock.advance(len(chunk) % 7 / 2)
        elif what == "leave":
            self.link.leave("enough")
        elif what == "ping":
            self.link.ping().addErrback(lambda _: None)
        elif what == "write":
            self.link.write(b'{"type":"X"}\n')
        elif what == "tick":
            self.link.tick()
        elif what == "eof":
            self.raw.wire.loseWriteConnection()
        elif what == "reset":
            self.raw.wire.abortConnection()
        else:
            self.link.abort()
        self.clock.advance(len(chunk) % 3 * 0.001)

    @settings(max_examples=300)
    @given(st.booleans(), st.booleans(), st.lists(STEPS, max_size=25))
    def test_anything(self, dialled: bool, fails: bool, steps: list[tuple[str, bytes]]) -> None:
        """Arbitrary bytes in arbitrary pieces, with anything between them."""
        self.owner.events.clear()
        if fails:
            self.owner.instead["link_down"] = self.defect
        self.connect(dialled)
        for what, chunk in steps:
            self.happen(what, chunk)
        self.raw.wire.abortConnection()
        self.clock.advance(10.0)
        self.flushLoggedErrors(ZeroDivisionError)
        ends = [event.partition(":")[0] for event in self.owner.events]
        self.assertIn(ends, (["gone"], ["up", "down", "gone"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.network.transports)

    def defect(self, _link: Link) -> None:
        raise ZeroDivisionError("a defect")
