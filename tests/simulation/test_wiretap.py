"""What passes over all links, counted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.simulation.wiretap import Wiretap


class WiretapTests(SynchronousTestCase):
    def test_counted(self) -> None:
        """Lines are counted, and their types, whether they come alone or many in one piece."""
        tap = Wiretap()
        tap.passed(b'{"type":"PING","msg_id":"a"}\n')
        tap.passed(b'{"type":"PONG"}\n{"type":"PING"}\n')
        self.assertEqual((tap.lines, dict(tap.kinds)), (3, {"PING": 2, "PONG": 1}))

    def test_others(self) -> None:
        """What is no line of ours is counted, but of no type; a piece without an end is no line."""
        tap = Wiretap()
        for data in (b"x\n", b'{"status":"OK"}\n', b"\n\n", b"x"):
            tap.passed(data)
        self.assertEqual((tap.lines, dict(tap.kinds)), (4, {}))

    def test_long(self) -> None:
        """Many lines at once are counted, and not looked at."""
        tap = Wiretap()
        tap.passed(b'{"type":"PING"}\n' * 5000)
        self.assertEqual((tap.lines, dict(tap.kinds)), (5000, {}))

    def test_strange_types(self) -> None:
        """A type of any bytes at all can be told."""
        tap = Wiretap()
        tap.passed(b'{"type":"\xff"}\n')
        self.assertEqual(sum(tap.kinds.values()), 1)
