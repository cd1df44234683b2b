"""The network in memory: hosts that cannot be dialled, slow links, cuts that are mended one by one."""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import TimeoutError
from twisted.internet.protocol import ServerFactory

from p2pchat.simulation.transport import SEGMENT
from tests.wires import HERE, THERE, NetworkTestCase

ELSEWHERE = "10.0.0.3"


class ObstacleTests(NetworkTestCase):
    def test_mend(self) -> None:
        """A cut between two hosts is mended alone, and what was held back arrives."""
        client, server = self.pair()
        self.network.cut(HERE, THERE)
        self.network.cut(HERE, ELSEWHERE)
        client.wire.write(b"hi")
        self.clock.advance(5.0)
        self.network.mend(HERE, THERE)
        self.clock.advance(1.0)
        self.assertEqual(server.events, [(8.0, "hi")])
        self.assertTrue(self.network.is_cut(HERE, ELSEWHERE))

    def test_hidden(self) -> None:
        """Behind a NAT a host can dial, and is not dialled but by itself."""
        self.network.hide(HERE)
        self.pair()
        self.listen(self.here)
        inward = TCP4ClientEndpoint(self.there, HERE, 7070, timeout=3).connect(ServerFactory())
        self.clock.advance(3.0)
        self.failureResultOf(inward, TimeoutError)
        self.assertEqual(self.connect(HERE).wire.getPeer().host, HERE)

    def test_throttled(self) -> None:
        """Through a slow link segments come one by one, as fast as it is, and only that way."""
        self.network.throttle(HERE, THERE, SEGMENT)
        client, server = self.pair()
        client.wire.write(b"x" * SEGMENT + b"y" * SEGMENT)
        client.wire.write(b"z")
        server.wire.write(b"back" * SEGMENT)
        self.clock.advance(4.0)
        self.assertEqual(
            [(at_s, text[0]) for at_s, text in server.events], [(4.0, "x"), (5.0, "y"), (5.000685, "z")]
        )
        self.assertEqual([at_s for at_s, _ in client.events], [3.0])
