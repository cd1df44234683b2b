"""How much the kernel keeps of what was not sent yet."""

from __future__ import annotations

import socket

from twisted.internet.interfaces import ISystemHandle
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pchat.links import unsent
from p2pchat.links.unsent import UNSENT_BYTES, bound_unsent


class Handle:
    """Notes the options of a socket."""

    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Note it."""
        self.options.append((level, option, value))


@implementer(ISystemHandle)
class SocketTransport(StringTransport):
    """A transport with a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.handle = Handle()

    def getHandle(self) -> Handle:
        """Return the socket."""
        return self.handle


class UnsentTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """Section 5: a socket takes little that it cannot send, so that lines wait where they take turns."""
        self.patch(unsent, "_OPTION", 25)
        transport = SocketTransport()
        bound_unsent(transport)
        self.assertEqual(transport.handle.options, [(socket.IPPROTO_TCP, 25, UNSENT_BYTES)])

    def test_without_the_option(self) -> None:
        """Where the kernel has no such option, nothing is asked of it."""
        self.patch(unsent, "_OPTION", None)
        transport = SocketTransport()
        bound_unsent(transport)
        self.assertEqual(transport.handle.options, [])

    def test_no_socket(self) -> None:
        """What is no socket has no kernel behind it."""
        bound_unsent(StringTransport())
