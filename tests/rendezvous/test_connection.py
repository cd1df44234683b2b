"""One request, one reply, and clients that are slow, silent, or never stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv6Address
from twisted.internet.interfaces import IHalfCloseableProtocol

from p2pchat.rendezvous.server import RendezvousFactory
from tests.rendezvous.callers import (
    CLIENT,
    DISCOVER,
    LIMIT,
    NO_PEERS,
    REGISTER,
    REGISTERED,
    TIMEOUT,
    TOO_LONG,
    Caller,
    ServerTestCase,
)

#: One request of every kind, and its reply.
EXCHANGES: list[tuple[bytes, Any]] = [
    (REGISTER, REGISTERED),
    (DISCOVER, NO_PEERS),
    (b'{"type":"unregister","port":7070}', {"status": "OK"}),
    (b'{"type":"REGISTER"}', {"status": "ERROR", "error": "bad_name"}),
    (b'{"type":"x"}', {"status": "ERROR", "message": "Unknown command"}),
    (b"{}", {"status": "ERROR", "error": "missing_type", "message": "Unknown command"}),
    (b"GET / HTTP/1.0", {"status": "ERROR", "error": "invalid_json", "message": "Unknown command"}),
    (b"  ", {"status": "ERROR", "message": "Empty request line"}),
]


class RequestTests(ServerTestCase):
    def exchanges(self, *ends: bytes) -> Iterator[tuple[Caller, bytes, Any, int]]:
        """Yield a caller, what to send, the reply, and a chunk size, in every combination."""
        for size in range(1, 10):
            for request, reply in EXCHANGES:
                for end in ends:
                    self.factory.registry.unregister(CLIENT.host)
                    yield self.call(), request + end, reply, size

    def test_one_request_one_reply(self) -> None:
        """However a request is cut into chunks it gets its reply, and the server closes."""
        for caller, data, reply, size in self.exchanges(b"\n", b"\r\n"):
            caller.send(data, size)
            self.assert_ended(caller, reply)

    def test_nothing_before_the_line_is_complete(self) -> None:
        """A request without its end is waited for."""
        caller = self.call()
        caller.send(REGISTER, 1)
        self.assert_ended(caller, ending="open")
        caller.send(b"\n")
        self.assert_ended(caller, REGISTERED)

    def test_half_close_in_place_of_a_line_end(self) -> None:
        """Who ends sending in place of ending the line gets the same reply."""
        for caller, data, reply, size in self.exchanges(b"", b"\r"):
            caller.send(data, size)
            caller.half_close()
            self.assert_ended(caller, reply)

    def test_half_close_behind_a_request(self) -> None:
        """Who ends sending behind the request keeps the one reply that it got."""
        for size in range(1, 10):
            caller = self.call()
            caller.send(DISCOVER + b"\n", size)
            caller.half_close()
            self.assert_ended(caller, NO_PEERS)

    def test_half_close_with_nothing(self) -> None:
        """Who sends nothing at all gets nothing."""
        caller = self.call()
        caller.half_close()
        self.assert_ended(caller)

    def test_half_close_is_understood(self) -> None:
        """The transport asks for this interface before it tells of a half-close."""
        self.assertTrue(IHalfCloseableProtocol.providedBy(self.call().connection))

    def test_client_vanishes(self) -> None:
        """A connection that is lost at any point is forgotten."""
        for data in (b"", b'{"type"', DISCOVER + b"\n"):
            caller = self.call()
            caller.send(data)
            caller.close()
        self.assertEqual((self.factory.connections, self.factory.unsent_bytes), (0, 0))

    def test_observed_address_of_ipv4_in_ipv6(self) -> None:
        """An IPv4 client of a server that listens on IPv6 is known by its IPv4 address."""
        addresses = {"::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "::1": "::1"}
        for host, observed in addresses.items():
            caller = self.call(IPv6Address("TCP", host, 50000))
            caller.send(REGISTER + b"\n")
            self.assertEqual(caller.replies[0]["observed_ip"], observed)
        self.assertEqual([record.ip for record in self.factory.registry.discover()], [*addresses.values()])

    @given(st.binary(max_size=200), st.integers(1, 9))
    def test_any_bytes(self, data: bytes, size: int) -> None:
        """Whatever is sent ends in at most one reply, of one line, and a close; bytes get a reply."""
        caller = self.call()
        caller.send(data, size)
        caller.half_close()
        self.assertEqual(caller.ending, "closed")
        self.assertEqual(len(caller.replies), 1 if data else 0)
        self.assertTrue(all(reply["status"] in ("OK", "ERROR") for reply in caller.replies))
        caller.close()


class TooLongTests(ServerTestCase):
    def test_longest_line(self) -> None:
        """A line of 32768 bytes is served, with either end, in chunks or not."""
        longest = DISCOVER + b" " * (LIMIT - len(DISCOVER))
        for end in (b"\n", b"\r\n"):
            for size in (0, 1, 9, 4096):
                caller = self.call()
                caller.send(longest + end, size)
                self.assert_ended(caller, NO_PEERS)

    def test_one_byte_more(self) -> None:
        """A line of 32769 bytes gets the limit in reply, and what still comes is read over."""
        line = b"x" * (LIMIT + 1)
        for size in range(1, 10):
            caller = self.call()
            caller.send(line + b"\n", size)
            self.assert_ended(caller, TOO_LONG, ending="half closed")

    def test_half_close_in_place_of_a_line_end(self) -> None:
        """A line without an end that is too long by one byte is found so at the half-close."""
        caller = self.call()
        caller.send(b"x" * (LIMIT + 1))
        caller.half_close()
        self.assert_ended(caller, TOO_LONG)

    def test_answered_before_it_ends(self) -> None:
        """The reply to a line without an end does not wait for one."""
        caller = self.call()
        caller.send(b"x" * (LIMIT + 2))
        self.assert_ended(caller, TOO_LONG, ending="half closed")

    def too_long(self) -> Caller:
        caller = self.call()
        caller.send(b"x" * 40_000)
        caller.connection.writeConnectionLost()
        return caller

    def test_read_over_until_the_client_ends(self) -> None:
        """What comes behind the reply is thrown away until the client closes its side."""
        caller = self.too_long()
        caller.send(b"x" * 100_000 + b"\n" + REGISTER + b"\n")
        self.assert_ended(caller, TOO_LONG, ending="half closed")
        caller.half_close()
        self.assert_ended(caller, TOO_LONG)
        self.assertEqual(len(self.factory.registry), 0)

    def test_read_over_for_a_second(self) -> None:
        """Who does not stop sending is closed after a second."""
        caller = self.too_long()
        self.pass_time(0.9)
        self.assert_ended(caller, TOO_LONG, ending="half closed")
        caller.send(b"x")
        self.pass_time(0.2)
        self.assert_ended(caller, TOO_LONG)

    def test_read_over_a_mebibyte(self) -> None:
        """Who sends fast is closed after 1 MiB."""
        caller = self.too_long()
        for _ in range(16):
            caller.send(b"x" * 65536)
        self.assert_ended(caller, TOO_LONG, ending="half closed")
        caller.send(b"x")
        self.assert_ended(caller, TOO_LONG)
        caller.send(b"x")
        self.assert_ended(caller, TOO_LONG)

    def test_more_than_a_request(self) -> None:
        """Input behind a request is read over as well, whole lines or a part of one."""
        for more in (b"\n", b"x", DISCOVER + b"\n" + DISCOVER):
            caller = self.call()
            caller.send(DISCOVER + b"\n" + more)
            self.assert_ended(caller, NO_PEERS, ending="half closed")
            caller.half_close()
            self.assert_ended(caller, NO_PEERS)

    def test_more_than_a_wrong_request(self) -> None:
        """A browser gets its reply although it sent many lines."""
        caller = self.call()
        caller.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((caller.replies[0]["error"], caller.ending), ("invalid_json", "half closed"))


class TimeTests(ServerTestCase):
    def test_silence(self) -> None:
        """After a second without a byte the client is told, and the connection closed."""
        caller = self.call()
        self.pass_time(0.95)
        self.assert_ended(caller, ending="open")
        self.pass_time(0.15)
        self.assert_ended(caller, TIMEOUT)

    def test_silence_inside_a_request(self) -> None:
        """Each byte gives a second more."""
        caller = self.call()
        for _ in range(3):
            self.pass_time(0.9)
            caller.send(b"x")
        self.assert_ended(caller, ending="open")
        self.pass_time(1.1)
        self.assert_ended(caller, TIMEOUT)

    def test_silence_by_option(self) -> None:
        """Up to 10 seconds of silence can be allowed."""
        self.make(10.0)
        caller = self.call()
        self.pass_time(9.95)
        self.assert_ended(caller, ending="open")
        self.pass_time(0.15)
        self.assert_ended(caller, TIMEOUT)

    def test_timeout_out_of_range(self) -> None:
        """A timeout that makes no sense is refused when it is configured."""
        for timeout_s in (0.0, -1.0, 10.1, float("nan")):
            self.assertRaises(ValueError, RendezvousFactory, self.clock, timeout_s)

    def test_byte_by_byte(self) -> None:
        """A request that takes longer than 10 seconds is ended, however lively the client is."""
        caller = self.call()
        for _ in range(20):
            self.assert_ended(caller, ending="open")
            caller.send(b"x")
            self.pass_time(0.5)
        self.pass_time(0.1)
        self.assert_ended(caller, TIMEOUT)

    def test_reply_not_taken(self) -> None:
        """Who does not read its reply is aborted after 10 seconds, once, and counted."""
        caller = self.call()
        caller.send(DISCOVER + b"\n")
        self.pass_time(9.9)
        self.assert_ended(caller, NO_PEERS)
        self.pass_time(5)
        self.assert_ended(caller, NO_PEERS, ending="aborted")
        self.assertEqual(self.factory.refusals, {"reply_not_taken": 1})

    def test_reply_not_taken_after_reading_over(self) -> None:
        """The 10 seconds count from the reply, whatever the client sent behind its request."""
        caller = self.call()
        caller.send(DISCOVER + b"\n" + b"x")
        self.pass_time(9.9)
        self.assert_ended(caller, NO_PEERS)
        self.pass_time(0.2)
        self.assert_ended(caller, NO_PEERS, ending="aborted")
