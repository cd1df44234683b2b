"""Addresses, as people write them and as Twisted connects to them."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor, tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import (
    CONNECT_S,
    Address,
    BadAddress,
    client_endpoint,
    listen_tcp,
    of_transport,
    why_not_connected,
)


class ParseTests(SynchronousTestCase):
    def test_written_and_read(self) -> None:
        """A name, an IPv4 address and an IPv6 address in brackets are read, and written the same."""
        for text, expected in (
            ("192.0.2.7:7070", Address("192.0.2.7", 7070)),
            ("peer.example:1", Address("peer.example", 1)),
            ("[2001:db8::1]:65535", Address("2001:db8::1", 65535)),
        ):
            self.assertEqual(Address.parse(text), expected)
            self.assertEqual(str(expected), text)

    def test_space_around(self) -> None:
        """Space around an address is ignored."""
        self.assertEqual(Address.parse(" 192.0.2.7:7070\n"), Address("192.0.2.7", 7070))

    def test_not_an_address(self) -> None:
        """What is not HOST:PORT is refused, and the text says what would be right."""
        for text in ("", "7070", "host", "host:", ":7070", "a b:1", "::1:7070", "[]:1", "h:123456", "h:-1"):
            with self.assertRaises(BadAddress) as caught:
                Address.parse(text)
            self.assertIn("expected HOST:PORT", str(caught.exception))

    def test_ports(self) -> None:
        """A port is from 1 to 65535."""
        for port in (0, 65536, 99999):
            with self.assertRaises(BadAddress) as caught:
                Address.parse(f"host:{port}")
            self.assertIn("from 1 to 65535", str(caught.exception))

    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """Any text is read, or refused with `BadAddress`; what was read is written back readable."""
        try:
            address = Address.parse(text)
        except BadAddress:
            return
        self.assertEqual(Address.parse(str(address)), address)


class TransportTests(SynchronousTestCase):
    def test_of_transport(self) -> None:
        """IPv4 and IPv6 are taken as they are, without the zone of the interface."""
        self.assertEqual(of_transport(IPv4Address("TCP", "192.0.2.7", 7)), Address("192.0.2.7", 7))
        self.assertEqual(of_transport(IPv6Address("TCP", "2001:db8::1", 7)), Address("2001:db8::1", 7))
        self.assertEqual(of_transport(IPv6Address("TCP", "fe80::1%eth0", 7)), Address("fe80::1", 7))

    def test_mapped(self) -> None:
        """An IPv4 address that comes as IPv6 is written as IPv4."""
        self.assertEqual(of_transport(IPv6Address("TCP", "::ffff:192.0.2.7", 7)), Address("192.0.2.7", 7))


class EndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def test_number(self) -> None:
        """An IPv4 address is connected to at once, without a look-up, with our time-out."""
        endpoint = client_endpoint(self.reactor, Address("192.0.2.7", 7070))
        self.assertIsInstance(endpoint, TCP4ClientEndpoint)
        connecting = endpoint.connect(ServerFactory())
        host, port, _, timeout_s, _ = self.reactor.tcpClients[0]
        self.assertEqual((host, port, timeout_s), ("192.0.2.7", 7070, CONNECT_S))
        connecting.cancel()
        self.failureResultOf(connecting)

    def test_ipv6_number(self) -> None:
        """An IPv6 address likewise."""
        endpoint = client_endpoint(self.reactor, Address("2001:db8::1", 7070))
        self.assertIsInstance(endpoint, TCP6ClientEndpoint)

    def test_name(self) -> None:
        """A name is looked up."""
        endpoint = client_endpoint(self.reactor, Address("peer.example", 7070))
        self.assertIsInstance(endpoint, HostnameEndpoint)


class LatecomerSocket(socket.socket):
    """A socket of one of two programs that start at once; the other listens a moment earlier.

    :param rival: the socket of the other, bound to the same port.
    """

    rival: socket.socket

    def listen(self, backlog: int = 50, /) -> None:
        self.rival.listen()
        super().listen(backlog)


class ListenTests(SynchronousTestCase):
    def reused(self, kind: type[socket.socket]) -> socket.socket:
        """Return a socket as Twisted makes one for a port."""
        made = kind(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(made.close)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        return made

    def test_two_at_once(self) -> None:
        """Who loses a port between binding it and listening is told so as everybody else is."""
        rival = self.reused(socket.socket)
        rival.bind(("127.0.0.1", 0))
        late = self.reused(LatecomerSocket)
        late.rival = rival  # type: ignore[attr-defined]
        self.patch(tcp.Port, "createInternetSocket", lambda port: late)
        with self.assertRaises(CannotListenError):
            listen_tcp(reactor, rival.getsockname()[1], ServerFactory(), interface="127.0.0.1")


class WhyNotConnectedTests(SynchronousTestCase):
    def test_in_a_few_words(self) -> None:
        """A failure to connect is told in a few words, and never in none."""
        for problem, words in (
            (ConnectionRefusedError(), "connection refused"),
            (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
            (DNSLookupError("nosuch.example"), "no host of that name is known"),
            (TimeoutError(), "no answer"),
            (ConnectError(101, "Network is unreachable"), "Network is unreachable"),
            (ConnectError(string="113: No route to host."), "No route to host"),
        ):
            self.assertEqual(why_not_connected(problem), words)
        self.assertEqual(why_not_connected(ValueError()), "ValueError")
