"""The network in memory: who connects with whom, and what goes wrong."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.protocol import ServerFactory

from p2pchat.addresses import of_transport
from tests.wires import HERE, THERE, NetworkTestCase


class ConnectingTests(NetworkTestCase):
    def test_addresses(self) -> None:
        """Both ends know both addresses."""
        client, server = self.pair()
        self.assertEqual(client.wire.getPeer(), IPv4Address("TCP", THERE, 7070))
        self.assertEqual(server.wire.getPeer(), client.wire.getHost())
        self.assertEqual(client.wire.getHost().host, HERE)
        self.assertEqual(server.wire.getHost(), IPv4Address("TCP", THERE, 7070))
        self.assertTrue(client.wire.getTcpNoDelay())
        self.assertFalse(client.wire.getTcpKeepAlive())
        client.wire.setTcpKeepAlive(True)

    def test_refused(self) -> None:
        """Where nobody listens, or somebody does not want us, a connection is refused."""
        refused = [TCP4ClientEndpoint(self.here, THERE, 7070).connect(ServerFactory())]
        self.clock.advance(2.0)
        factory = ServerFactory()
        self.patch(factory, "buildProtocol", lambda _: None)
        self.there.listenTCP(7070, factory)
        refused.append(TCP4ClientEndpoint(self.here, THERE, 7070).connect(ServerFactory()))
        self.clock.advance(2.0)
        for connecting in refused:
            self.failureResultOf(connecting, ConnectionRefusedError)

    def test_cut(self) -> None:
        """Between hosts that are cut off, a connect times out."""
        self.listen()
        self.network.cut(HERE, THERE)
        connecting = TCP4ClientEndpoint(self.here, THERE, 7070, timeout=5).connect(ServerFactory())
        self.clock.advance(4.9)
        self.assertNoResult(connecting)
        self.clock.advance(0.1)
        self.failureResultOf(connecting, TimeoutError)

    def test_cancelled(self) -> None:
        """A connect can be given up."""
        self.listen()
        connecting = TCP4ClientEndpoint(self.here, THERE, 7070).connect(ServerFactory())
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertEqual((self.clock.getDelayedCalls(), self.servers), ([], []))

    def test_port_taken(self) -> None:
        """A port is taken until it is listened on no more; without a wish a free one is found."""
        listening = self.here.listenTCP(7070, ServerFactory())
        with self.assertRaises(CannotListenError):
            self.here.listenTCP(7070, ServerFactory())
        self.there.listenTCP(7070, ServerFactory())
        listening.stopListening()
        self.here.listenTCP(7070, ServerFactory())
        ports = [of_transport(self.here.listenTCP(0, ServerFactory()).getHost()).port for _ in range(2)]
        self.assertNotEqual(ports[0], ports[1])

    def test_loopback(self) -> None:
        """A port at 127.0.0.1 is reached from its own host, and from no other."""
        self.listen(self.here, interface="127.0.0.1")
        client = self.connect("127.0.0.1")
        self.assertEqual(len(self.servers), 1)
        client.wire.abortConnection()
        refused = TCP4ClientEndpoint(self.there, HERE, 7070).connect(ServerFactory())
        self.clock.advance(2.0)
        self.failureResultOf(refused, ConnectionRefusedError)


class TroubleTests(NetworkTestCase):
    def test_cut_and_healed(self) -> None:
        """What is sent while hosts are cut off arrives when they are not, in order."""
        client, server = self.pair()
        self.network.cut(THERE, HERE)
        client.wire.write(b"a")
        self.clock.advance(5.0)
        client.wire.write(b"b")
        client.wire.loseConnection()
        self.clock.advance(5.0)
        self.assertEqual(server.events, [])
        self.network.heal()
        self.clock.advance(1.0)
        self.assertEqual([event for _, event in server.events], ["ab", "eof"])

    def test_abort_while_cut(self) -> None:
        """A reset does not get through where nothing does."""
        client, server = self.pair()
        self.network.cut(HERE, THERE)
        client.wire.abortConnection()
        self.clock.advance(5.0)
        self.assertEqual([event for _, event in client.events], ["ConnectionAborted"])
        self.assertEqual(server.events, [])

    def test_crash(self) -> None:
        """A host that crashed says nothing, hears nothing, and its connections stay half-open."""
        client, server = self.pair()
        server.wire.write(b"never sent")
        self.network.crash(THERE)
        client.wire.write(b"anybody?")
        self.clock.advance(100.0)
        self.assertEqual((client.events, server.events), ([], []))
        nobody = TCP4ClientEndpoint(self.here, THERE, 7070, timeout=5).connect(ServerFactory())
        self.clock.advance(5.0)
        self.failureResultOf(nobody, TimeoutError)

    def test_back_after_a_crash(self) -> None:
        """A machine that was started again does not know its old connections, and says so when asked."""
        client, _ = self.pair()
        self.network.crash(THERE)
        client.wire.write(b"anybody?")
        self.clock.advance(100.0)
        self.network.host(THERE)
        self.clock.advance(5.0)
        self.assertEqual([event for _, event in client.events], ["ConnectionLost"])

    def test_killed(self) -> None:
        """A process that is killed hears nothing any more; the kernel resets what was open."""
        client, server = self.pair()
        self.there.callLater(1.0, server.note, "ghost")
        client.wire.write(b"too late")
        self.there.kill()
        self.clock.advance(5.0)
        self.assertEqual([event for _, event in client.events], ["ConnectionLost"])
        self.assertEqual((server.events, list(self.network.ports)), ([], []))

    def test_killed_while_cut(self) -> None:
        """The reset of a killed process that does not get through is asked for by what is sent later."""
        client, _ = self.pair()
        self.network.cut(HERE, THERE)
        self.there.kill()
        self.clock.advance(100.0)
        self.network.heal()
        self.clock.advance(5.0)
        self.assertEqual([event for _, event in client.events], ["ConnectionLost"])

    def test_snapped(self) -> None:
        """A connection can end in the middle of what is sent, for both ends."""
        client, server = self.pair()
        client.wire.snap_at = 0.5
        client.wire.write(b"half a line\n")
        self.clock.advance(1.0)
        self.assertEqual([event for _, event in client.events], ["ConnectionLost"])
        self.assertEqual([event for _, event in server.events], ["half a", "ConnectionLost"])

    def test_clock_of_a_host(self) -> None:
        """A clock that is put forward makes due what it passes; one that is put back, later."""
        called: list[float] = []
        for delay_s in (5.0, 50.0):
            self.here.callLater(delay_s, lambda: called.append(self.clock.now_s))
        self.there.callLater(50.0, lambda: called.append(-1.0))
        self.clock.advance(1.0)
        self.here.jump(10.0)
        self.assertEqual(self.here.seconds(), 11.0)
        self.clock.advance(1.0)
        self.here.jump(-20.0)
        self.clock.advance(47.9)
        self.assertEqual(called, [1.0])
        self.clock.advance(50.0)
        self.assertEqual(called, [1.0, -1.0, 60.0])

    def test_time_of_a_crashed_host(self) -> None:
        """Nothing that a crashed host had planned happens; what starts there anew is another host."""
        called: list[str] = []
        self.there.callLater(1.0, called.append, "ghost").cancel()
        self.there.callLater(5.0, called.append, "ghost")
        self.listen(self.here)
        ghost = TCP4ClientEndpoint(self.there, HERE, 7070).connect(ServerFactory())
        self.network.crash(THERE)
        self.network.host(THERE).callLater(5.0, called.append, "new")
        self.clock.advance(10.0)
        self.assertEqual((called, self.servers), (["new"], []))
        self.assertNoResult(ghost)
        self.assertEqual(self.there.getDelayedCalls(), [])
        self.assertEqual(self.there.seconds(), 10.0)

    def test_a_vanished_end_resets_nobody(self) -> None:
        """A connection of a crashed host does nothing to the other end, whatever its ghost does."""
        client, server = self.pair()
        wire = server.wire
        self.network.crash(THERE)
        wire.abortConnection()
        wire.write(b"ghost")
        wire.loseConnection()
        self.clock.advance(10.0)
        self.assertEqual(client.events, [])
