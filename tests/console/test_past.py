"""What waits, and what was said before, as the user sees it."""

from __future__ import annotations

from p2pchat.console import marks
from p2pchat.protocol.names import PeerId
from tests.console.users import ConsoleTestCase

#: What stands behind the first message that waits.
EXPLAINED = "It is kept for 7 days, and goes out when its destination is seen. /outbox shows what waits."


class OutboxTests(ConsoleTestCase):
    keep = True

    def test_waits(self) -> None:
        """A message that cannot be delivered says why, that it is kept, and when it arrives."""
        alice = self.user("alice", **self.listed_at())
        self.rendezvous()
        self.assertEqual(
            alice.types("/msg @bob 1", "/msg @bob 2"),
            [f"#{number} to @bob@UnB: not linked yet, looking for a way" for number in (1, 2)],
        )
        self.pass_time(6)
        first, explained, second = alice.screen[-3:]
        self.assertRegex(first, r"^#1 to @bob@UnB: not delivered yet: no_route: no link with it within 5 s")
        self.assertEqual(explained, EXPLAINED)
        self.assertRegex(second, "^#2 to @bob@UnB: not delivered yet: .* an older message to bob@UnB waits")
        self.assertTrue(alice.session.is_idle)
        self.assertFalse(alice.session.is_busy)
        self.user("bob", **self.listed_at())
        self.pass_time(31)
        confirmed = [line.partition(" in ")[0] for line in alice.screen if "confirmed in" in line]
        self.assertEqual(confirmed, [f"#{number} to @bob@UnB: confirmed" for number in (1, 2)])
        self.assertEqual(
            alice.types("/outbox"), ["No message waits: all have been confirmed, or have failed."]
        )

    def test_listed(self) -> None:
        """What waits is listed: its number, to whom, since when, why, and how it begins."""
        alice = self.user("alice")
        alice.types("/msg @bob hello\u202e", f"/msg @carol {'long ' * 20}")
        self.pass_time(75)
        heading, first, second = alice.types("/outbox")
        self.assertEqual(heading.split(), ["number", "to", "said", "state", "text"])
        self.assertRegex(
            first, r"^#1      bob@UnB    1 min 15 s ago  (waits: no_route|looking for a way)  hello<U\+202E>$"
        )
        self.assertRegex(second, r"long long lo…$|long l…$|…$")
        status = alice.types("/status")
        self.assertIn("Messages that wait for their outcome: 2.", status)

    def test_cancelled(self) -> None:
        """Messages are given up by number, by peer, or all of them."""
        alice = self.user("alice")
        alice.types(*(f"/msg @{name} hi" for name in ("bob", "bob", "carol", "dave", "dave")))
        self.pass_time(6)
        alice.screen.clear()
        self.assertEqual(alice.types("/cancel 2"), ["#2 to @bob@UnB: cancelled: it was never sent"])
        self.assertEqual(
            alice.types("/cancel dave"),
            [f"#{number} to @dave@UnB: cancelled: it was never sent" for number in (4, 5)],
        )
        self.assertEqual(len(alice.types("/cancel all")), 2)
        for line in ("/cancel 2", "/cancel bob", "/cancel all", "/cancel 99"):
            self.assertEqual(
                alice.types(line), ["There is no such message that waits. /outbox shows those that do."]
            )

    def test_stopped(self) -> None:
        """Who leaves hears of what is on its way that it is kept, and not that it has failed."""
        alice = self.user("alice")
        alice.types("/msg @bob hi")
        alice.node.stopService()
        self.assertIn("not delivered yet: not confirmed: p2pchat was stopped", alice.screen[-2])

    def test_many_wait(self) -> None:
        """However many wait, more can be typed."""
        alice = self.user("alice")
        for number in range(300):
            alice.types(f"/msg @bob {number}")
        self.assertTrue(alice.session.is_busy)
        self.pass_time(6)
        self.assertFalse(alice.session.is_busy)


class LateTests(ConsoleTestCase):
    keep = True

    def test_long(self) -> None:
        """What took hours to be confirmed is told in hours."""
        alice = self.user("alice", **self.listed_at())
        self.rendezvous()
        alice.types("/msg @bob 1")
        self.pass_time(2 * 3600)
        self.user("bob", **self.listed_at())
        self.pass_time(31)
        (told,) = [line for line in alice.screen if "confirmed in" in line]
        self.assertEqual(told, "#1 to @bob@UnB: confirmed in 2 h 0 min")

    def test_seconds(self) -> None:
        """What took many seconds is told in seconds."""
        for took_s, told in ((9.996, "9996 ms"), (10.0, "10 s"), (42.675, "42 s"), (65.0, "1 min 5 s")):
            with self.subTest(took_s):
                mark = marks.confirmed(via="b@n", dst="b@n", took_s=took_s, tries=1, is_proved=True)
                self.assertEqual(mark, f"confirmed in {told}")


class HistoryTests(ConsoleTestCase):
    keep = True

    def test_history(self) -> None:
        """What was said last is shown, with when, who, to whom, and what became of it."""
        alice, bob = self.meet("alice", "bob")
        alice.types("/msg @bob one", "/msg #UnB two")
        self.pass_time(1)
        bob.types("/msg @alice three")
        self.pass_time(1)
        shown = alice.types("/history")
        self.assertRegex(shown[0], r"^\[at \d+\] alice@UnB to @bob@UnB: one  \(confirmed in \d\.\d ms\)$")
        self.assertRegex(shown[1], r"^\[at \d+\] alice@UnB to #UnB: two  \(sent to 1 neighbour\)$")
        self.assertRegex(shown[2], r"^\[at \d+\] bob@UnB to you: three$")
        self.assertEqual(len(shown), 3)
        self.assertEqual(alice.types("/history 1"), shown[2:])
        self.assertEqual(alice.types("/history bob"), [shown[0], shown[2]])
        self.assertEqual(alice.types("/history @bob 1"), shown[2:])
        self.assertEqual(alice.types("/history #UnB"), [shown[1]])
        self.assertEqual(alice.types("/history *"), ["Nothing was said, or nothing is kept."])

    def test_after_a_restart(self) -> None:
        """It is there after a restart; what waits is marked."""
        alice = self.user("alice")
        alice.types("/msg @bob hi")
        self.kill(alice.villager)
        alice = self.user("alice")
        self.assertRegex(alice.types("/history")[0], r"to @bob@UnB: hi  \(not confirmed yet\)$")
        self.assertEqual(len(alice.types("/outbox")), 2)
        alice.types("/cancel all")
        self.assertRegex(
            alice.types("/history")[0],
            r"\(cancelled: it may have been sent, and have arrived, before p2pchat was started again\)$",
        )

    def test_search(self) -> None:
        """What was said is found by its words."""
        alice = self.user("alice")
        alice.types("/msg #UnB o trem de amanhã", "/msg #UnB nothing")
        self.pass_time(6)
        self.assertRegex(alice.types("/search amanha trem")[0], "o trem de amanhã")
        self.assertEqual(alice.types("/search tram"), ["Nothing that is kept has all of these words."])

    def test_strange(self) -> None:
        """What others said is shown harmlessly, whatever it was."""
        alice, bob = self.meet("alice", "bob")
        bob.types("/msg @alice \x1b[2J\u202eevil")
        self.pass_time(1)
        self.assertRegex(alice.types("/history")[0], r"to you: ␛\[2J<U\+202E>evil$")

    def test_mistyped(self) -> None:
        """Wrong arguments are told, with what was expected."""
        alice = self.user("alice")
        for line in (
            "/history bob carol",
            "/history 0",
            "/history 201",
            "/search",
            "/cancel",
            "/outbox x",
            "/history #",
        ):
            (told,) = alice.types(line)
            self.assertIn("Expected: /", told, line)

    def test_peer_named_by_digits(self) -> None:
        """A peer whose name is a number is written with an @."""
        alice = self.user("alice")
        alice.types("/msg @42 hi")
        self.assertEqual(len(alice.types("/history @42")), 1)
        self.assertEqual(alice.node.kept()[0].dst, PeerId("42@UnB"))
