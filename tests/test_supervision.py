"""What supervises the process: what it is told, and what it may ask."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.supervision import Supervision


class SupervisionTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "notify")
        before = signal.getsignal(signal.SIGHUP)
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        self.hung_up = 0

    def callFromThread(self, function: Callable[[], None]) -> None:
        """Be a reactor, as far as it is asked."""
        function()

    def _hang_up(self) -> None:
        self.hung_up += 1

    def supervised(self, at: str) -> Supervision:
        return Supervision(self, self._hang_up, {"NOTIFY_SOCKET": at} if at else {})

    def listen(self, address: str) -> socket.socket:
        """Be who wants to know."""
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(channel.close)
        channel.bind(address)
        channel.setblocking(False)
        return channel

    def test_told(self) -> None:
        """Who wants to know hears when we are ready and when we stop, at any kind of address."""
        name = f"p2pchat-test-{os.getpid()}"
        for at, address in ((self.path, self.path), (f"@{name}", f"\0{name}")):
            channel = self.listen(address)
            service = self.supervised(at)
            service.startService()
            self.assertEqual(channel.recv(100), b"READY=1")
            self.successResultOf(service.stopService())
            self.assertEqual(channel.recv(100), b"STOPPING=1")

    def test_nobody(self) -> None:
        """Where nobody wants to know nothing is said, and where nobody listens that is logged only."""
        with mock.patch.object(Supervision, "_log") as log:
            for at, warned in (("", 0), (self.path, 2)):
                service = self.supervised(at)
                service.startService()
                self.successResultOf(service.stopService())
                self.assertEqual(log.warn.call_count, warned)

    def test_hang_up(self) -> None:
        """SIGHUP asks for something while we run; before and afterwards it is not ours."""
        ours = mock.Mock()
        signal.signal(signal.SIGHUP, ours)
        service = self.supervised("")
        service.startService()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((self.hung_up, ours.call_count), (1, 0))
        self.successResultOf(service.stopService())
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((self.hung_up, ours.call_count), (1, 1))
