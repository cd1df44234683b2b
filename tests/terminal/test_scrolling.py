"""The part of a conversation that the screen shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.terminal import conversation as conversation_module
from p2pchat.terminal.conversation import Conversation
from p2pchat.terminal.scrolling import Scrolling
from p2pchat.terminal.wrapping import Fragments
from tests.terminal.events import ALICE, confirmed, heard, taken, utc
from tests.terminal.test_wrapping import texts


class ScrollingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.conversation = Conversation(ALICE, utc)
        self.scrolling = Scrolling(self.conversation)

    def say(self, *lines: str) -> None:
        """Add entries of a row each, if they are short."""
        for line in lines:
            self.conversation.shown(line)

    def seen(self, height: int = 4, width: int = 20) -> list[str]:
        """Return the rows of the screen."""
        content = self.scrolling.create_content(width, height)
        return texts([[(style, text) for style, text, *_ in content.get_line(at)] for at in range(height)])

    def test_few(self) -> None:
        """What does not fill the screen is at its bottom, and cannot be scrolled."""
        self.assertEqual(self.seen(2), ["", ""])
        self.say("a", "b")
        self.assertEqual(self.seen(), ["", "", "a", "b"])
        self.scrolling.page_up()
        self.scrolling.page_down()
        self.assertEqual((self.seen(), self.scrolling.is_at_end), (["", "", "a", "b"], True))

    def test_newest(self) -> None:
        """The newest is seen, by rows: of a long entry as many as there are room for."""
        self.say(*"abcdef")
        self.assertEqual(self.seen(), [*"cdef"])
        self.conversation.told(heard("1\n2\n3\n4\n5"))
        self.assertEqual(self.seen(), [f"    │ {number}" for number in (2, 3, 4, 5)])

    def test_pages(self) -> None:
        """A page up and one down again: the same; not beyond the first or the last row."""
        self.say(*"abcdefgh")
        self.seen()
        pages = [[*"cdef"], [*"abcd"], [*"abcd"]]
        for page in pages:
            self.scrolling.page_up()
            self.assertEqual((self.seen(), self.scrolling.is_at_end), (page, False))
        for page in ([*"cdef"], [*"efgh"], [*"efgh"]):
            self.scrolling.page_down()
            self.assertEqual(self.seen(), page)
        self.assertTrue(self.scrolling.is_at_end)

    def test_stays(self) -> None:
        """What arrives does not move what was scrolled to; to_end shows it."""
        self.say(*"abcdefgh")
        self.seen()
        self.scrolling.page_up()
        self.say("i", "j")
        self.assertEqual((self.seen(), self.scrolling.last_seen), ([*"cdef"], 6))
        self.scrolling.to_end()
        self.assertEqual((self.seen(), self.scrolling.last_seen), ([*"ghij"], 10))

    def test_part_of_an_entry(self) -> None:
        """An entry of which rows are below the screen was not seen."""
        self.say(*"abcd", "x y " * 20)
        self.seen()
        self.scrolling.page_up()
        self.assertEqual(self.scrolling.last_seen, 4)

    def test_resized(self) -> None:
        """On a wider screen an entry has fewer rows; the place stays as far as it can."""
        self.say(*"abc", "x " * 60, *"def")
        self.seen(4, 10)
        for _ in range(4):
            self.scrolling.page_up()
        place = self.seen(4, 10)
        self.assertTrue(any("x" in row for row in place))
        self.assertTrue(any("x" in row for row in self.seen(4, 200)))
        self.scrolling.page_down()
        self.scrolling.page_down()
        self.assertEqual(self.seen(4, 200)[-1], "f")

    def test_forgotten(self) -> None:
        """Where what was scrolled to is kept no more, the oldest that is kept is seen."""
        self.patch(conversation_module, "MAX_ENTRIES", 6)
        self.say(*"abcdef")
        self.seen(3)
        self.scrolling.page_up()
        self.scrolling.page_up()
        self.say(*"ghijk")
        self.assertEqual(self.seen(3)[-1], "f")

    def test_mark(self) -> None:
        """A mark that changes is seen at once, where it stands."""
        self.conversation.told(taken("hi"))
        self.say("below")
        self.assertEqual(self.seen(2, 80)[0], "00:00 → @bob: hi  … sending")
        self.conversation.told(confirmed())
        self.assertEqual(self.seen(2, 80), ["00:00 → @bob: hi  ✓ confirmed in 12 ms", "below"])

    def test_cost(self) -> None:
        """However long a conversation is, only what is seen is cut into rows, and only once."""
        self.say(*map(str, range(5000)))
        cut: list[int] = []
        rows = conversation_module.Entry.rows

        def counted(entry: conversation_module.Entry, width: int) -> list[Fragments]:
            cut.append(entry.number)
            return rows(entry, width)

        self.patch(conversation_module.Entry, "rows", counted)
        self.seen()
        self.seen()
        self.say("new")
        self.seen()
        self.assertEqual(cut, [5000, 4999, 4998, 4997, 5001])

    @given(
        st.lists(
            st.sampled_from(["up", "down", "end", "short", "long", "wide", "narrow", "high", "low"]),
            max_size=40,
        )
    )
    def test_anything(self, steps: list[str]) -> None:
        """Whatever happens in whichever order, the screen is full as far as there is something to show."""
        conversation = Conversation(ALICE, utc)
        scrolling = Scrolling(conversation)
        width, height = 20, 4
        for step in steps:
            match step:
                case "up":
                    scrolling.page_up()
                case "down":
                    scrolling.page_down()
                case "end":
                    scrolling.to_end()
                case "short":
                    conversation.shown("x")
                case "long":
                    conversation.shown("x y " * 30)
                case "wide" | "narrow":
                    width = {"wide": 60, "narrow": 7}[step]
                case _:
                    height = {"high": 12, "low": 1}[step]
            content = scrolling.create_content(width, height)
            self.assertEqual(content.line_count, height)
            rows = [content.get_line(at) for at in range(height)]
            if conversation.last and scrolling.is_at_end:
                self.assertTrue(rows[-1])
            everything = sum(
                len(conversation[number].rows(width)) for number in range(1, conversation.last + 1)
            )
            self.assertEqual(sum(map(bool, rows)) > 0, everything > 0)
