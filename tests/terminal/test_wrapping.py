"""Styled text cut into rows of the screen."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.terminal.wrapping import Fragments, wrap

#: Letters of one and of two columns, marks of none, and blanks.
words = st.lists(st.text("abé你😀\u0301", max_size=8), max_size=12).map(" ".join)


def texts(rows: list[Fragments]) -> list[str]:
    """Return rows without their styles."""
    return ["".join(text for _, text in row) for row in rows]


class WrappingTests(SynchronousTestCase):
    def test_between_words(self) -> None:
        """A row ends between words, the blank there is not shown; the next begins further right."""
        self.assertEqual(texts(wrap([("", "good morning")], 12, 2)), ["good morning"])
        self.assertEqual(texts(wrap([("", "good morning bob")], 12, 2)), ["good morning", "  bob"])
        self.assertEqual(texts(wrap([("", "good morning bob")], 11, 2)), ["good ", "  morning ", "  bob"])

    def test_long_words(self) -> None:
        """A word that is longer than a row is cut."""
        self.assertEqual(texts(wrap([("", "abcdefghij")], 4, 1)), ["abcd", " efg", " hij"])
        self.assertEqual(texts(wrap([("", "a bcdefghij")], 6, 2)), ["a ", "  bcde", "  fghi", "  j"])

    def test_wide(self) -> None:
        """A letter that takes two columns is not cut in the middle; marks stay with their letter."""
        self.assertEqual(texts(wrap([("", "你好你好")], 5, 0)), ["你好", "你好"])
        self.assertEqual(texts(wrap([("", "ae\u0301i")], 2, 0)), ["ae\u0301", "i"])

    def test_styles(self) -> None:
        """Each part keeps its style, over the end of a row too."""
        self.assertEqual(
            wrap([("a", "one "), ("b", "two three")], 8, 1),
            [[("a", "one "), ("b", "two ")], [("", " "), ("b", "three")]],
        )

    def test_empty(self) -> None:
        """Nothing takes a row as well."""
        self.assertEqual(wrap([], 10, 2), [[]])

    @settings(max_examples=300)
    @given(words, words, st.integers(1, 30), st.integers(0, 8))
    def test_anything(self, first: str, second: str, width: int, indent: int) -> None:
        """No row is wider than the screen, nothing is lost but blanks, and no style gets lost."""
        rows = wrap([("a", first), ("b", second)], width, indent)
        for row in texts(rows):
            self.assertLessEqual(sum(map(get_cwidth, row)), max(width, 2))
        for style, text in (("a", first), ("b", second)):
            kept = "".join(part for row in rows for shown, part in row if shown == style)
            self.assertEqual(kept.replace(" ", ""), text.replace(" ", ""))
        for row in texts(rows)[1:]:
            self.assertTrue(row.startswith(" " * min(indent, width // 2)) or width < 3)
