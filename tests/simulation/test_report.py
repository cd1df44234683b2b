"""What came of a simulation, for people and for programs."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.simulation.ledger import Person
from p2pchat.simulation.report import Report, Spread, report_on
from p2pchat.simulation.simulation import Simulation
from tests.simulation.towns import SMALL

ALICE, BOB = PeerId("alice@UnB"), PeerId("bob@UnB")

#: How the text of a simulation in which nothing happened looks.
EMPTY = f"""\
{SMALL.command}

Messages to one peer: 0 sent
  confirmed             0
  still kept            0
  failed, with a reason 0
  sender gone before it was told 0
  lost without a word   0
  shown twice           0
  delivery              -
  hops                  median None, 99 % within None
Messages to many: 0 sent, shown 0 times
  delivery              -
  lines                 0, None for each time that one was shown
Lines over all connections: 0, 0 of them to find a way
"""


class SpreadTests(SynchronousTestCase):
    def test_none(self) -> None:
        """Of nothing there is nothing to tell."""
        self.assertEqual(Spread.of([]), Spread(0, None, None, None))

    def test_one(self) -> None:
        """One value is everything."""
        self.assertEqual(Spread.of([0.5]), Spread(1, 0.5, 0.5, 0.5))

    def test_many(self) -> None:
        """Half are at most the median, 99 of a hundred at most the next, all at most the largest."""
        self.assertEqual(Spread.of(list(range(100, 0, -1))), Spread(100, 50, 99, 100))
        self.assertEqual(Spread.of([3, 1, 2]), Spread(3, 2, 3, 3))
        self.assertEqual(Spread.of([1, 2]), Spread(2, 1, 2, 2))

    def test_rounded(self) -> None:
        """Nobody needs more than a tenth of a millisecond."""
        self.assertEqual(Spread.of([1 / 3]), Spread(1, 0.3333, 0.3333, 0.3333))


class ReportTestCase(SynchronousTestCase):
    """A simulation that did not run, with what the test wants in its ledger."""

    def setUp(self) -> None:
        self.simulation = Simulation(SMALL)
        self.ledger = self.simulation.ledger
        self.alice, self.bob = Person(ALICE), Person(BOB)

    def say(self, outcome: str, is_shown: bool = False) -> None:
        """Let alice say something to bob, and something come of it."""
        said = self.ledger.say(self.alice, BOB, f"{self.ledger.next_key()} hello")
        if is_shown:
            self.ledger.told(
                self.bob, events.MessageArrived(ALICE, BOB, said.text, False, ALICE, False, 2, "")
            )
        said.outcome = outcome

    @property
    def report(self) -> Report:
        """What came of it."""
        return report_on(self.simulation)

    def assert_line(self, line: str) -> None:
        """Assert that a line stands in the text."""
        self.assertIn(line, self.report.as_text().splitlines())


class TextTests(ReportTestCase):
    def test_nothing(self) -> None:
        """Of a simulation in which nothing happened, there is nothing to tell, and nothing is broken."""
        text = self.report.as_text()
        self.assertTrue(text.startswith(EMPTY), text)
        self.assertTrue(text.endswith("\n\nAll invariants held."))
        self.assertNotIn("One network again after", text)
        self.assertNotIn("Shown in the name", text)

    def test_outcomes(self) -> None:
        """Messages are counted by what became of them; failures by their names, in order."""
        for outcome, is_shown in (
            *((("confirmed", True),) * 5),
            ("no_route", False),
            ("busy", False),
            ("no_route", False),
            ("unknown", False),
            ("", False),
        ):
            self.say(outcome, is_shown)
        self.assertEqual(len(self.ledger.give_up()), 1)
        report = self.report
        self.assertEqual((report.sent, report.confirmed, report.failed), (10, 5, 3))
        self.assertEqual(list(report.failed_by_reason.items()), [("busy", 1), ("no_route", 2)])
        self.assertEqual((report.unknown, report.lost), (1, 1))
        for line in (
            "Messages to one peer: 10 sent",
            "  confirmed             5 (50.00 %)",
            "  failed, with a reason 3 (30.00 %)",
            "    no_route                   2",
            "  sender gone before it was told 1",
            "  lost without a word   1",
            "  delivery              median 0.000 s, 99 % within 0.000 s",
            "  hops                  median 2, 99 % within 2",
        ):
            self.assert_line(line)

    def test_casts(self) -> None:
        """Texts to many are told apart, with the lines that each time took that one was shown."""
        said = self.ledger.say(self.alice, ToAll(), "m1 hello")
        self.ledger.told(self.bob, events.MessageArrived(ALICE, "*", said.text, True, ALICE, False, 1, "*"))
        self.ledger.told(
            Person(ALICE), events.MessageArrived(ALICE, "*", said.text, True, BOB, False, 1, "*")
        )
        self.simulation.wiretap.passed(b'{"type":"PUB"}\n' * 3)
        casts = self.report.casts
        self.assertEqual((casts.sent, casts.delivered, casts.transmissions), (1, 2, 3))
        self.assertEqual((casts.transmissions_per_delivery, self.report.sent), (1.5, 0))
        self.assert_line("  lines                 3, 1.5 for each time that one was shown")

    def test_lines(self) -> None:
        """Lines are counted by type, and those to find a way among them."""
        self.simulation.wiretap.passed(b'{"type":"WHO_HAS"}\n{"type":"WHO_HAS_HIT"}\n{"type":"ACK"}\nx\n')
        self.assertEqual((self.report.lines, self.report.discovery), (4, 2))
        self.assertEqual(list(self.report.lines_by_type), ["ACK", "WHO_HAS", "WHO_HAS_HIT"])
        self.assert_line("Lines over all connections: 4, 2 of them to find a way")
        self.assert_line("  ACK 1, WHO_HAS 1, WHO_HAS_HIT 1")

    def test_forged(self) -> None:
        """What was shown in the name of somebody who did not say it is told."""
        self.ledger.told(self.bob, events.MessageArrived(ALICE, BOB, "buy now", False, ALICE, False, 1, ""))
        self.assertEqual(self.report.forged, 1)
        self.assert_line("Shown in the name of somebody who did not say it: 1, unsecured or of a liar")

    def test_recovery_and_tables(self) -> None:
        """How long it took to become one network again is told, and how large the tables were."""
        self.simulation.recovered_s.update({"peer away": [2.0, 1.0], "all faults": [0.5]})
        self.simulation.peaks.take([("neighbours", 3)], {"neighbours": 512})
        self.assertEqual(list(self.report.one_network_s), ["all faults", "peer away"])
        self.assertEqual(self.report.peaks["neighbours"].bound, 512)
        for line in (
            "One network again after",
            "  peer away                           2 times, median 1.000 s, 99 % within 2.000 s",
            "  neighbours                         3 of 512",
        ):
            self.assert_line(line)


class VerdictTests(ReportTestCase):
    def test_broken(self) -> None:
        """Each violation is told with its time and rule, and behind all the command that replays it."""
        self.simulation.violated("shown once", "m1 again")
        self.assertFalse(self.report.is_good)
        self.assertTrue(
            self.report.as_text().endswith(
                "\n\nBROKEN: 1 times an invariant did not hold:\n  at 0.000 s: shown once: m1 again\n"
                f"This replays it:\n  {SMALL.command}"
            )
        )

    def test_many_broken(self) -> None:
        """The first hundred violations are told, and how many more there are."""
        for number in range(103):
            self.simulation.violated("shown once", f"m{number}")
        report = self.report
        self.assertEqual((len(report.violations), report.violations_not_told), (100, 3))
        self.assert_line("BROKEN: 103 times an invariant did not hold:")
        self.assert_line("  and 3 more")

    def test_json(self) -> None:
        """For programs all of it is one object on one line."""
        self.say("confirmed", is_shown=True)
        self.simulation.violated("shown once", "m1 again")
        text = self.report.as_json()
        self.assertNotIn("\n", text)
        found = json.loads(text)
        self.assertEqual((found["sent"], found["confirmed"], found["hops"]["median"]), (1, 1, 2))
        self.assertEqual(found["violations"], [{"at_s": 0.0, "rule": "shown once", "what": "m1 again"}])
        self.assertEqual(found["command"], SMALL.command)
