"""What was said, what became of it, and what else happened."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.terminal import conversation as conversation_module
from p2pchat.terminal.conversation import COLOURS, Conversation
from tests.console.users import HARMLESS, nasty_json_text, steering
from tests.terminal.events import ALICE, confirmed, event, failed, heard, sent, taken, utc
from tests.terminal.test_wrapping import texts


class ConversationTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.conversation = Conversation(ALICE, utc)

    def told(self, *told: dict[str, Any]) -> None:
        """Take events."""
        for one in told:
            self.conversation.told(one)

    def last(self, width: int = 100) -> list[str]:
        """Return the rows of the newest entry."""
        return texts(self.conversation[self.conversation.last].rows(width))

    def all(self) -> list[str]:
        """Return the rows of all entries."""
        numbers = range(self.conversation.first, self.conversation.last + 1)
        return [row for number in numbers for row in texts(self.conversation[number].rows(100))]


class SaidTests(ConversationTestCase):
    def test_heard(self) -> None:
        """When, who, in which conversation, and what; names of our namespace without it."""
        for changed, row in (
            ({}, "bob: hi"),
            ({"src": "zoé@USP", "via": "zoé@USP"}, "zoé@USP: hi"),
            ({"is_cast": True, "dst": "#UnB"}, "bob → #UnB: hi"),
            ({"is_cast": True, "dst": ""}, "bob → *: hi"),
            ({"via": "carol@UnB"}, "bob (via carol): hi"),
            ({"protection": "none"}, "bob [unsecured]: hi"),
            ({"protection": "signed"}, "bob [not sealed]: hi"),
            ({"protection": "signed", "is_cast": True, "dst": "*"}, "bob → *: hi"),
            ({"protection": "sealed", "is_verified": True}, "bob [verified]: hi"),
            ({"protection": "sealed", "late_s": 7260.0}, "bob [said 2 h 1 min ago]: hi"),
            ({"src": "@UnB"}, "@UnB (via bob): hi"),
            ({"src": "nobody", "via": "nobody"}, "nobody: hi"),
        ):
            self.told(heard("hi", minute=61, **changed))
            self.assertEqual(self.last(), [f"01:01 {row}"])

    def test_marks(self) -> None:
        """What became of a message stands behind it, and changes there."""
        self.told(taken("hi"))
        self.assertEqual(self.last(), ["00:00 → @bob: hi  … sending"])
        count = len(self.conversation)
        for told, mark in (
            (sent(), "… sent"),
            (sent(protection="none"), "… sent, unsecured"),
            (sent(via="carol@UnB", protection="signed"), "… relayed by carol, not sealed"),
            (confirmed(), "✓ confirmed in 12 ms"),
        ):
            self.told(told)
            self.assertEqual(self.last(), [f"00:00 → @bob: hi  {mark}"])
        self.assertEqual((len(self.conversation), self.conversation.open_ends()), (count, []))

    def test_with_couriers(self) -> None:
        """While it waits it tells who keeps a copy."""
        self.told(taken("hi"), event("message_waits", msg_id="m1", dst="bob@UnB", code="no_route", why="why"))
        for couriers, mark in (
            (["carol@UnB"], "carol keeps a copy"),
            (["carol@UnB", "zoé@USP", "dave@UnB"], "carol and 2 more keep a copy"),
        ):
            self.told(event("message_held", msg_id="m1", dst="bob@UnB", couriers=couriers))
            self.assertEqual(self.last(), [f"00:00 → @bob: hi  … not delivered yet; {mark}"])

    def test_outcomes(self) -> None:
        """Confirmed or failed, and why; afterwards nothing changes it any more."""
        for told, mark in (
            (confirmed(via="carol@UnB", tries=2), "✓ confirmed through carol@UnB in 12 ms, after 2 tries"),
            (confirmed(is_proved=False), "✓ confirmed in 12 ms, unsecured"),
            (failed("no_route", "nobody\nknows"), "✗ failed: no_route: nobody␊knows"),
            (failed("not confirmed", "3 tries"), "✗ not confirmed: 3 tries"),
        ):
            self.told(taken("hi"), told, sent())
            self.assertEqual(self.last(), [f"00:00 → @bob: hi  {mark}"])

    def test_several(self) -> None:
        """Each mark is behind its own message."""
        self.told(taken("one", "m1"), taken("two", "m2", dst="zoé@USP"), heard("and?"), confirmed("m2"))
        self.assertEqual(self.all()[-3:], [
            "00:00 → @bob: one  … sending", "00:00 → @zoé@USP: two  ✓ confirmed in 12 ms", "00:00 bob: and?",
        ])  # fmt: skip
        self.assertEqual([entry.text for entry in self.conversation.open_ends()], ["one"])

    def test_casts(self) -> None:
        """What was said to many tells how many neighbours took it."""
        for neighbours, mark in (
            (0, "✗ not sent: nobody is linked whom it concerns"),
            (1, "✓ sent to 1 neighbour"),
            (5, "✓ sent to 5 neighbours"),
        ):
            self.told(event("cast_sent", dst="#UnB", payload="hi", neighbours=neighbours))
            self.assertEqual(self.last(), [f"00:00 → #UnB: hi  {mark}"])

    def test_of_an_older_message(self) -> None:
        """What becomes of a message that was said before all that is kept is not shown."""
        self.told(sent(), confirmed())
        self.assertEqual(self.all(), [])

    def test_lines(self) -> None:
        """A message of several lines is shown in so many, which nobody can take for messages of others."""
        self.told(heard("one\r\ntwo\n\ttabbed\n\n12:00 carol: three"), taken("a\nb"))
        self.assertEqual(self.all()[-7:], [
            "00:00 bob: one", "    │ two", "    │     tabbed", "    │ ", "    │ 12:00 carol: three",
            "00:00 → @bob: a", "    │ b  … sending",
        ])  # fmt: skip

    def test_long(self) -> None:
        """A long one goes on further right, with its mark at the end."""
        self.told(taken("good morning dear bob"), confirmed())
        self.assertEqual(self.last(24), [
            "00:00 → @bob: good ", "      morning dear bob  ", "      ✓ confirmed in 12 ", "      ms",
        ])  # fmt: skip

    def test_emoji(self) -> None:
        """Emoji are shown without what makes them as wide as each terminal likes; letters keep theirs."""
        for text, shown in (
            ("\U0001f469\u200d\U0001f680!", "\U0001f469\U0001f680!"),
            ("\u2764\ufe0f", "\u2764"),
            ("می\u200dخواهم", "می\u200dخواهم"),
        ):
            self.told(heard(text))
            self.assertEqual(self.last(), [f"00:00 bob: {shown}"])

    @given(nasty_json_text, nasty_json_text, nasty_json_text)
    def test_anything(self, src: str, dst: str, payload: str) -> None:
        """Whatever a peer sends, nothing of it steers the terminal, and only its first row is at the left."""
        conversation = Conversation(ALICE, utc)
        conversation.told(heard(payload, src=src, dst=dst, is_cast=True, minute=1))
        first, *others = texts(conversation[conversation.last].rows(40))
        self.assertEqual(steering("".join([first, *others])), [])
        self.assertTrue(first.startswith("00:01 "))
        for row in others:
            self.assertTrue(row.startswith("    "), row)

    def test_harmless(self) -> None:
        """What people write is shown as it is."""
        for text in HARMLESS:
            self.told(heard(text))
            shown = self.last(1000)[0].removeprefix("00:00 bob: ")
            self.assertEqual(shown, conversation_module._steady(text))


class OtherTests(ConversationTestCase):
    def test_notices(self) -> None:
        """What happens is told in the words of the console; what it does not tell is not shown."""
        self.told(event("warned", text="warning about bob", peer_id="bob@UnB"), event("line_traced", line=""))
        self.assertEqual(self.all()[1:], ["00:00 * warning about bob"])

    def test_commands(self) -> None:
        """A command and what comes of it; that is as wide as the screen."""
        self.conversation.asked("/peers", 0)
        self.conversation.shown("peer  address")
        self.assertEqual(self.all()[1:], ["00:00 > /peers", "peer  address"])

    def test_days(self) -> None:
        """Where a day begins it is named, once."""
        self.told(heard("one"), heard("two", minute=1439), heard("three", minute=1440))
        self.assertEqual(self.all(), [
            "── 2026-01-01 ──", "00:00 bob: one", "23:59 bob: two", "── 2026-01-02 ──", "00:00 bob: three",
        ])  # fmt: skip

    def test_unseen(self) -> None:
        """What others said counts until it was seen; what we say, and what happens, does not."""
        self.told(heard("one"), taken("two"), event("warned", text="x"), heard("three"), heard("four"))
        third, last = self.conversation.last - 1, self.conversation.last
        self.assertEqual((self.conversation.unseen, self.conversation.unseen_after(third)), (3, 1))
        self.conversation.see(third)
        self.assertEqual((self.conversation.unseen, self.conversation.unseen_after(last)), (1, 0))
        self.conversation.see(1)
        self.assertEqual(self.conversation.unseen, 1)
        self.conversation.see(last)
        self.assertEqual(self.conversation.unseen, 0)

    def test_seen_elsewhere(self) -> None:
        """What the user has seen at another terminal counts no more, each conversation by itself."""
        self.told(
            heard("1"),
            heard("2", is_cast=True, conversation="#UnB"),
            heard("3", is_cast=True, conversation="*"),
            heard("4", src="zoé@USP", conversation="@zoé@USP"),
        )
        for unread, left in (
            (["@bob@UnB", "#UnB", "*", "@zoé@USP"], 4),
            (["#UnB", "*", "@zoé@USP"], 3),
            (["*", "@zoé@USP"], 2),
            (["@zoé@USP"], 1),
            ([], 0),
        ):
            self.conversation.see_all_but(unread)
            self.assertEqual(self.conversation.unseen, left, unread)

    def test_seen_who_knows_where(self) -> None:
        """What a peer of an earlier version does not say the place of counts until it is seen here."""
        said = heard("1")
        del said["data"]["conversation"]
        self.told(said)
        self.conversation.see_all_but([])
        self.assertEqual(self.conversation.unseen, 1)
        self.conversation.see(self.conversation.last)
        self.assertEqual(self.conversation.unseen, 0)

    def test_colours(self) -> None:
        """A peer has the same colour each time, and not all have the same one."""
        styles = set()
        for name in map(str, range(50)):
            for changed in ({}, {"is_cast": True, "dst": "*"}):
                self.told(heard("hi", src=f"{name}@UnB", **changed))
                styles.add((name, self.conversation[self.conversation.last].head[1][0]))
        self.assertEqual((len(styles), len({style for _, style in styles})), (50, len(COLOURS)))


class BoundTests(ConversationTestCase):
    def test_entries(self) -> None:
        """Only so many are kept, the newest; what is gone was not left unseen."""
        self.patch(conversation_module, "MAX_ENTRIES", 3)
        self.told(*(heard(f"m{number}") for number in range(10)))
        self.assertEqual([row[-2:] for row in self.all()], ["m7", "m8", "m9"])
        self.assertEqual((self.conversation.first, self.conversation.last), (9, 11))
        self.assertEqual((len(self.conversation), self.conversation.unseen), (3, 3))

    def test_chars(self) -> None:
        """Only so much text is kept; the newest always."""
        self.patch(conversation_module, "MAX_CHARS", 25)
        self.told(heard("x" * 10), heard("y" * 10), heard("z" * 10))
        self.assertEqual([row[-1] for row in self.all()], ["y", "z"])
        self.told(heard("w" * 100))
        self.assertEqual(len(self.conversation), 1)

    def test_open(self) -> None:
        """However many of our messages stay open, only so many are known."""
        self.patch(conversation_module, "MAX_ENTRIES", 3)
        self.told(*(taken("hi", f"m{number}") for number in range(10)))
        self.told(confirmed("m0"), confirmed("m9"))
        self.assertEqual(len(self.conversation.open_ends()), 2)
