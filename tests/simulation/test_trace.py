"""What passed over every link, in a file, and the walk through it."""

from __future__ import annotations

import contextlib
import io
import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.simulation.ledger import Person
from p2pchat.simulation.network import MemoryNetwork
from p2pchat.simulation.replay import BadTrace, Choice, replay
from p2pchat.simulation.trace import VERSION, Trace
from p2pchat.simulation.transport import MemoryTransport

TAKEN = events.NameTaken(PeerId("bob@UnB"), Address("10.0.0.3", 7070))

NAMES = {"10.0.0.1": "alice@UnB", "10.0.0.2": "bob@UnB"}


class TraceTestCase(SynchronousTestCase):
    """A trace in memory, and two ends of a connection."""

    def setUp(self) -> None:
        self.now_s = 1.23456789
        self.file = io.BytesIO()
        self.trace = Trace(self.file, "p2pchat simulate", lambda: self.now_s, NAMES.__getitem__)
        network = MemoryNetwork()
        here, there = IPv4Address("TCP", "10.0.0.1", 49152), IPv4Address("TCP", "10.0.0.2", 7070)
        self.near = MemoryTransport(network, here, there)
        self.far = MemoryTransport(network, there, here)

    @property
    def moments(self) -> list[dict[str, Any]]:
        """What is in the file, without the head."""
        return [json.loads(line) for line in self.file.getvalue().splitlines()[1:]]

    def replayed(self, **choice: Any) -> list[str]:
        """Return what is shown of the file."""
        return list(replay(io.BytesIO(self.file.getvalue()), Choice(**choice)))


class WritingTests(TraceTestCase):
    def test_head(self) -> None:
        """The first object tells the version, and what was simulated."""
        self.assertEqual(self.file.getvalue(), b'{"trace":%d,"command":"p2pchat simulate"}\n' % VERSION)

    def test_lines(self) -> None:
        """Each line stands there with its time, who sent it to whom, and over which connection."""
        self.trace.passed(self.near, b'{"type":"PING"}\n')
        self.now_s = 2.0
        self.trace.passed(self.far, b"one\ntwo\n")
        link = "10.0.0.1:49152-10.0.0.2:7070"
        self.assertEqual(
            self.moments[0],
            {"t": 1.234568, "line": '{"type":"PING"}', "from": "alice@UnB", "to": "bob@UnB", "link": link},
        )
        self.assertEqual([moment["line"] for moment in self.moments[1:]], ["one", "two"])
        self.assertEqual({moment["from"] for moment in self.moments[1:]}, {"bob@UnB"})
        self.assertEqual(self.moments[1]["link"], "10.0.0.2:7070-10.0.0.1:49152")

    def test_pieces(self) -> None:
        """A line that comes in pieces stands there once, when its end has come, whatever comes back."""
        for piece in (b"on", b"", b"e"):
            self.trace.passed(self.near, piece)
            self.trace.passed(self.far, b"x")
        self.assertEqual(self.moments, [])
        self.trace.passed(self.near, b"\nrest")
        self.assertEqual([moment["line"] for moment in self.moments], ["one"])

    @given(st.lists(st.binary(max_size=5), max_size=8), st.lists(st.integers(0, 40), max_size=5))
    def test_any_pieces(self, lines: list[bytes], cuts: list[int]) -> None:
        """However bytes are cut into pieces, the lines are the same; none is lost, whatever bytes it has."""
        self.setUp()
        data = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
        ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
        for begin, end in pairwise(ends):
            self.trace.passed(self.near, data[begin:end])
        wanted = [line.replace(b"\n", b"").decode("utf-8", "backslashreplace") for line in lines]
        self.assertEqual([moment["line"] for moment in self.moments], wanted)
        self.assertEqual(len(self.replayed()), len(lines) + 1)

    def test_what_happened(self) -> None:
        """What goes wrong, and what a program tells its user, stands there with its time."""
        self.trace.happened("peer1 leaves")
        self.trace.told(Person(PeerId("bob@UnB")), events.NeighbourDown(PeerId("alice@UnB"), "it left"))
        self.assertEqual(self.moments[0], {"t": 1.234568, "happened": "peer1 leaves"})
        self.assertEqual(
            self.moments[1],
            {
                "t": 1.234568,
                "who": "bob@UnB",
                "told": "NeighbourDown(peer_id='alice@UnB', why='it left')",
            },
        )


class ReplayTests(TraceTestCase):
    def setUp(self) -> None:
        super().setUp()
        for at_s, tell in (
            (1.0, lambda: self.trace.passed(self.near, b'{"msg_id":"a1"}\n')),
            (2.0, lambda: self.trace.happened("carol@UnB is killed")),
            (3.0, lambda: self.trace.passed(self.far, b'{"ref":"a1"}\x1b[31m\n')),
            (4.0, lambda: self.trace.told(Person(PeerId("bob@UnB")), TAKEN)),
        ):
            self.now_s = at_s
            tell()
        self.shown = [
            '    1.000000  alice@UnB -> bob@UnB  {"msg_id":"a1"}',
            "    2.000000  * carol@UnB is killed",
            '    3.000000  bob@UnB -> alice@UnB  {"ref":"a1"}␛[31m',
            f"    4.000000  bob@UnB is told: {TAKEN}",
        ]

    def test_all(self) -> None:
        """All is shown, first what was simulated; what could do something to a terminal is made visible."""
        self.assertEqual(self.replayed(), ["p2pchat simulate", *self.shown])

    def test_times(self) -> None:
        """What lies between two times is shown, those included."""
        self.assertEqual(self.replayed(begin_s=2.0, end_s=3.0)[1:], self.shown[1:3])
        self.assertEqual(self.replayed(begin_s=3.5)[1:], self.shown[3:])
        self.assertEqual(self.replayed(end_s=0.5)[1:], [])

    def test_peer(self) -> None:
        """What a peer sends, gets or tells its user is shown, and what happens to it."""
        one, killed, two, told = self.shown
        self.assertEqual(self.replayed(peer="alice@UnB")[1:], [one, two])
        self.assertEqual(self.replayed(peer="bob@UnB")[1:], [one, two, told])
        self.assertEqual(self.replayed(peer="carol@UnB")[1:], [killed])
        self.assertEqual(self.replayed(peer="alice")[1:], [])

    def test_text(self) -> None:
        """What holds a text is shown, whether it is a line, happened, or was told."""
        one, killed, two, told = self.shown
        self.assertEqual(self.replayed(text='"a1"')[1:], [one, two])
        self.assertEqual(self.replayed(text="killed")[1:], [killed])
        self.assertEqual(self.replayed(text="NameTaken")[1:], [told])
        self.assertEqual(self.replayed(text="nothing")[1:], [])

    def test_together(self) -> None:
        """All that was asked for must hold of what is shown."""
        self.assertEqual(self.replayed(begin_s=2.5, peer="alice@UnB", text="a1")[1:], self.shown[2:3])


class BadTraceTests(TraceTestCase):
    def problem(self, data: bytes) -> str:
        """Return why something cannot be replayed."""
        return str(self.assertRaises(BadTrace, lambda: list(replay(io.BytesIO(data), Choice()))))

    def test_no_trace(self) -> None:
        """What is no trace at all is refused."""
        for data in (
            b"",
            b"\n",
            b"hello\n",
            b"{}\n",
            b"[1]\n",
            b"\xff\x00",
            b"[" * 100_000,
            b'{"trace":"1"}',
        ):
            self.assertEqual(self.problem(data), "it was not written by p2pchat simulate --trace")

    def test_another_version(self) -> None:
        """A trace of another version is refused, with both versions."""
        self.assertEqual(
            self.problem(b'{"trace":2,"command":""}\n'), "it is of version 2 of this format; 1 can be read"
        )

    def test_damaged(self) -> None:
        """A damaged line is named; what stands before it is shown."""
        for damaged in (b"{", b"nothing\n", b"{}\n", b'{"t":"x"}\n', b"\xff\n", b"[" * 100_000 + b"\n"):
            self.setUp()
            self.trace.happened("something")
            data = self.file.getvalue() + damaged
            self.assertIn("line 3 is damaged: ", self.problem(data))
            walking = replay(io.BytesIO(data), Choice())
            self.assertEqual(next(walking), "p2pchat simulate")
            self.assertIn("something", next(walking))

    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """Whatever a file holds, it is shown, or refused as no trace or a damaged one."""
        for begin in (b"", b'{"trace":1,"command":"x"}\n'):
            with contextlib.suppress(BadTrace):
                list(replay(io.BytesIO(begin + data), Choice()))
