"""A program that talks to a peer, against a socket that a test answers at."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.control.client import Client, NotRunning, Refused
from p2pchat.control.place import SOCKET


class ClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.server = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.server.close)
        self.server.bind(str(self.folder / SOCKET))
        self.server.listen()

    def connect(self, *lines: dict[str, Any], ends: bool = False) -> tuple[Client, socket.socket]:
        """Connect; the peer has already said what it will."""
        client = Client(self.folder)
        self.addCleanup(client.close)
        there, _ = self.server.accept()
        self.addCleanup(there.close)
        there.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        if ends:
            there.shutdown(socket.SHUT_WR)
        return client, there

    def test_ask(self) -> None:
        """The answer is found among what else comes."""
        client, there = self.connect({"method": "event"}, {"id": 1, "result": {"x": 5}})
        with client:
            self.assertEqual(client.ask("ping", peer="bob"), {"x": 5})
        request = json.loads(there.makefile().readline())
        self.assertEqual((request["method"], request["params"]), ("ping", {"peer": "bob"}))

    def test_refused(self) -> None:
        """What the peer does not do is told with its words, also where it turns us away before we ask."""
        for request_id in (1, None):
            client, _ = self.connect({"id": request_id, "error": {"code": 1, "message": "why"}})
            self.assertEqual(str(self.assertRaises(Refused, client.ask, "x")), "why")

    def test_turned_away(self) -> None:
        """Who is turned away before it asks hears why."""
        client, there = self.connect({"id": None, "error": {"code": 1, "message": "too many"}})
        there.close()
        self.assertEqual(str(self.assertRaises(Refused, client.ask, "x")), "too many")

    def test_events(self) -> None:
        """Events come until the peer ends."""
        client, _ = self.connect({"method": "event", "params": 1}, {"method": "missed"}, ends=True)
        events = client.events()
        self.assertEqual([next(events)["method"], next(events)["method"]], ["event", "missed"])
        self.assertRaises(NotRunning, next, events)

    def test_ends(self) -> None:
        """A peer that ends in the middle does not run any more."""
        client, there = self.connect()
        there.sendall(b'{"id": 1')
        there.shutdown(socket.SHUT_WR)
        self.assertRaises(NotRunning, client.ask, "x")
        client, there = self.connect()
        there.close()
        self.assertRaises(NotRunning, client.ask, "x")

    def test_not_running(self) -> None:
        """No folder, no socket, nobody at it, or a socket of somebody else: no such peer runs."""
        descriptors = len(os.listdir("/dev/fd"))
        self.assertRaises(NotRunning, Client, self.folder / "nothing")
        with mock.patch.object(os, "getuid", return_value=os.getuid() + 1):
            self.assertRaises(NotRunning, Client, self.folder)
        self.assertEqual(len(os.listdir("/dev/fd")), descriptors)
        self.server.close()
        self.assertRaises(NotRunning, Client, self.folder)
        (self.folder / SOCKET).unlink()
        self.assertRaises(NotRunning, Client, self.folder)
