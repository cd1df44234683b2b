"""What users see of copies of their messages with others, and of those that they keep themselves."""

from __future__ import annotations

from p2pchat.console.amounts import size
from tests.console.users import ConsoleTestCase, User


class CourierTests(ConsoleTestCase):
    keep = True

    def write_to_bob(self, *couriers: str) -> list[User]:
        """Let alice write to bob, who has just left."""
        alice, bob, *others = self.meet("alice", "bob", *couriers)
        self.leave(bob.villager)
        alice.types("/msg @bob hi", "/msg @bob again")
        self.pass_time(30)
        return [alice, *others]

    def test_told_once(self) -> None:
        """Who keeps a copy first is told, for each message."""
        alice, *_ = self.write_to_bob("carol", "dave")
        told = [line for line in alice.screen if "keeps a copy" in line]
        expected = "@bob@UnB: (carol|dave)@UnB keeps a copy, and hands it over also while you are away$"
        self.assertEqual(len(told), 2)
        for number, line in enumerate(told, 1):
            self.assertRegex(line, f"^#{number} to {expected}")

    def test_outbox(self) -> None:
        """The outbox shows who keeps one."""
        alice, *_ = self.write_to_bob("carol")
        self.assertRegex(alice.types("/outbox")[1], "#1 .*waits: no_route; carol@UnB keeps a copy +hi$")

    def test_several(self) -> None:
        """It shows how many do."""
        alice, *_ = self.write_to_bob("carol", "dave", "erin")
        self.assertRegex(alice.types("/outbox")[1], "@UnB and 2 more keep a copy +hi$")

    def test_status(self) -> None:
        """The status shows both sides."""
        alice, carol = self.write_to_bob("carol")
        self.assertIn("Of 2 a courier keeps a copy.", alice.types("/status"))
        (kept,) = [line for line in carol.types("/status") if "As a courier" in line]
        self.assertRegex(
            kept,
            r"^As a courier you keep 2 messages \(\d+ kB\) for peers that are away \(1\); handed over: 0\.$",
        )
        self.user("bob", **self.listed_at())
        self.pass_time(40)
        expected = "As a courier you keep 0 messages (0 B) for peers that are away (0); handed over: 2."
        self.assertIn(expected, carol.types("/status"))


class NoCourierTests(ConsoleTestCase):
    def test_status(self) -> None:
        """Who keeps nothing for anybody sees nothing of it."""
        (alice,) = self.meet("alice")
        self.assertEqual([line for line in alice.types("/status") if "courier" in line], [])

    def test_sizes(self) -> None:
        """Sizes are written as people read them."""
        for count, shown in (
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (999_499, "999 kB"),
            (16_777_216, "16.8 MB"),
        ):
            self.assertEqual(size(count), shown)
