"""The control socket itself, on real sockets of a folder of its own."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any, cast
from unittest import mock

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.control import listening
from p2pchat.control.listening import ControlFactory, ControlService, peer_user, remove_dead
from p2pchat.control.place import MAX_PATH, SOCKET, NoControl, within_reach


class ListeningReactor:
    """Binds at once, and reads nothing."""

    def __init__(self) -> None:
        self.modes: list[int] = []
        self.socket: socket.socket | None = None

    def listenUNIX(self, path: str, factory: object, mode: int) -> ListeningReactor:
        """Listen at a path."""
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.bind(path)
        except OSError as problem:
            raise CannotListenError(None, path, problem) from None
        # What it has before Twisted gives it its mode.
        self.modes += [stat.S_IMODE(Path(path).stat().st_mode), mode]
        self.socket.listen()
        self.path = path
        return self

    def stopListening(self) -> None:
        """Remove the socket, as Twisted does."""
        assert self.socket is not None
        self.socket.close()
        Path(self.path).unlink()


class ListeningTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.reactor = ListeningReactor()

    def service(self, folder: Path | None = None) -> ControlService:
        factory = ControlFactory(*[cast(Any, None)] * 4)
        return ControlService(self.reactor, folder or self.folder, factory)

    def test_ours_alone(self) -> None:
        """It is for our user alone, from its first moment on, and gone at the end."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        service = self.service()
        service.startService()
        self.assertEqual(self.reactor.modes, [0o600, 0o600])
        self.successResultOf(service.stopService())
        self.assertEqual(os.listdir(self.folder), [])
        self.assertEqual(os.umask(0), 0)

    def test_long_path(self) -> None:
        """The path may be longer than that of a socket can be; no descriptor stays open."""
        folder = self.folder / ("Ω" * 64) / ("Ω" * 64)
        folder.mkdir(parents=True)
        self.assertGreater(len(os.fsencode(folder)), MAX_PATH)
        descriptors = len(os.listdir("/dev/fd"))
        service = self.service(folder)
        service.startService()
        self.assertTrue(stat.S_ISSOCK((folder / SOCKET).stat().st_mode))
        self.successResultOf(service.stopService())
        self.assertEqual((os.listdir(folder), len(os.listdir("/dev/fd"))), ([], descriptors))

    def test_no_long_paths(self) -> None:
        """Where the system has no way to a long path, that is told."""
        with mock.patch.object(Path, "exists", return_value=False):
            problem = self.assertRaises(NoControl, within_reach, self.folder / ("x" * 100), 0)
        self.assertIn("shorter --data-dir", str(problem))

    def test_left_by_a_killed_node(self) -> None:
        """A socket that nobody listens at is replaced."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.folder / SOCKET))
        service = self.service()
        service.startService()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / SOCKET))
        self.successResultOf(service.stopService())

    def test_taken(self) -> None:
        """A socket that somebody listens at, and what is no socket, stay; the node runs without one."""
        path = self.folder / SOCKET
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            self.assertIn("another program", str(self.assertRaises(NoControl, remove_dead, path)))
        path.unlink()
        path.write_text("")
        self.assertIn("something else", str(self.assertRaises(NoControl, remove_dead, path)))
        with mock.patch.object(ControlService, "_log") as log:
            service = self.service()
            service.startService()
        log.error.assert_called_once()
        self.successResultOf(service.stopService())
        self.assertEqual(path.read_text(), "")

    def test_cannot_listen(self) -> None:
        """Whatever the reactor says, the node runs on."""
        with (
            mock.patch.object(ControlService, "_log") as log,
            mock.patch.object(
                self.reactor, "listenUNIX", side_effect=CannotListenError(None, "x", OSError(1))
            ),
        ):
            service = self.service()
            service.startService()
        log.error.assert_called_once()
        self.successResultOf(service.stopService())

    def test_who_connected(self) -> None:
        """The system tells who connected; where it does not, the mode of the socket counts."""
        here, there = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        transport = mock.Mock(socket=here)
        self.assertEqual(peer_user(transport), os.getuid())
        factory = ControlFactory(*[cast(Any, None)] * 4)
        client = cast(Any, mock.Mock(transport=transport))
        for user, is_ours in ((os.getuid(), True), (0, True), (os.getuid() + 1, False), (None, True)):
            with mock.patch.object(listening, "peer_user", return_value=user):
                self.assertEqual(factory._turn_away(client) is None, is_ours)
        self.assertEqual(factory.refused, 1)
        with mock.patch.object(listening, "socket", mock.Mock(spec=["SOL_SOCKET"])):
            self.assertIsNone(peer_user(transport))
