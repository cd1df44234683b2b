"""The corpus: recorded from real nodes, whole, small, and the same each time."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import decode
from p2pchat.protocol.messages import TYPES
from tests.fuzz import recording


class RecordingTests(SynchronousTestCase):
    def test_is_deterministic(self) -> None:
        """Two recordings are the same, byte for byte."""
        self.assertEqual(recording.record(), recording.record())

    def test_can_be_read(self) -> None:
        """What is written is what is read, whatever bytes it has."""
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.patch(recording, "CORPUS", Path(folder.name))
        recording.write()
        for name, lines in recording.record().items():
            self.assertEqual(recording.read(name), lines)

    def test_every_type(self) -> None:
        """A message of every type is there, each of which a node can read."""
        kinds = {type(decode(line)).__struct_config__.tag for line in recording.read("peer")}
        self.assertEqual(kinds, TYPES)

    def test_every_request(self) -> None:
        """All three requests to the rendezvous, and replies with peers, with a ttl and with an error."""
        requests = b"\n".join(recording.read("request"))
        for kind in (b"REGISTER", b"DISCOVER", b"UNREGISTER"):
            self.assertIn(b'"type":"%b"' % kind, requests)
        replies = [json.loads(line) for line in recording.read("reply")]
        for field in ("peers", "ttl", "error", "message"):
            self.assertTrue([reply for reply in replies if field in reply], field)

    def test_is_small(self) -> None:
        """All files together are below 300 kB."""
        self.assertLess(sum(path.stat().st_size for path in recording.CORPUS.glob("*.json")), 300_000)
