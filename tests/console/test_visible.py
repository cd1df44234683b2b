"""Strange text made harmless to look at."""

from __future__ import annotations

import sys
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.console.visible import visible, visible_name
from tests.console.users import HARMLESS, nasty_text, steering

#: All there is, but for the planes of rare ideographs and of private use, where all are alike.
EVERY_CHARACTER = "".join(map(chr, [*range(0x20000), *range(0xE0000, 0xE1000), sys.maxunicode]))

#: What is not seen at all on most screens, besides what steers: fillers, joiners, selectors.
UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u200c\u200d\u2065\u2800\u3164"
UNSEEN += "\ufe00\ufe0f\uffa0\ufff0\U000e0100\U000e01ef\U000e0000\U000e0fff"

BLANKS = " \xa0\u1680\u2000\u2003\u2009\u202f\u205f\u3000"


class TextTests(SynchronousTestCase):
    def test_signs(self) -> None:
        """Control characters become their pictures, what else steers the display its number."""
        for text, shown in (
            ("\x1b[2J\x07\x08", "␛[2J␇␈"),
            ("two\r\nlines\tand\0", "two␍␊lines␉and␀"),
            ("\x7f", "␡"),
            ("\x85\x9b31m", "<U+0085><U+009B>31m"),
            ("a\u2028b\u2029c", "a<U+2028>b<U+2029>c"),
            ("\u202etxt\u202c \u2066x\u2069 \u200f", "<U+202E>txt<U+202C> <U+2066>x<U+2069> <U+200F>"),
            ("a\u200bb\ufeffc\xadd", "a<U+200B>b<U+FEFF>c<U+00AD>d"),
            ("\U000e0041", "<U+E0041>"),
            ("\ud800", "<U+D800>"),
        ):
            self.assertEqual(visible(text), shown)

    def test_harmless(self) -> None:
        """Accents, any script, emoji and what joins them are shown as they are."""
        for text in HARMLESS:
            self.assertEqual(visible(text), text)

    def test_every_character(self) -> None:
        """No character there is steers anything once it is made visible; the others stay."""
        self.assertEqual(steering(visible(EVERY_CHARACTER)), [])
        harmless = "".join(char for char in EVERY_CHARACTER if not steering(char))
        self.assertEqual(visible(harmless) == harmless, True)

    @given(nasty_text)
    @example("\n[12:34:56] bob@UnB to @alice@UnB: forged")
    def test_any_text(self, text: str) -> None:
        """Any text is one line in which nothing steers anything, and made visible twice it is the same."""
        shown = visible(text)
        self.assertEqual(steering(shown), [])
        self.assertLessEqual(len(shown.splitlines()), 1)
        self.assertEqual(visible(shown), shown)


class NameTests(SynchronousTestCase):
    def test_blanks(self) -> None:
        """No blank of any kind is left in a name, so that it ends where it seems to end."""
        for blank in BLANKS:
            shown = visible_name(f"bob{blank}to{blank}@all:")
            self.assertEqual(shown, f"bob<U+{ord(blank):04X}>to<U+{ord(blank):04X}>@all:")

    def test_unseen(self) -> None:
        """What is not seen is shown in a name, so that no two names look alike because of it."""
        for char in UNSEEN:
            self.assertEqual(visible_name(f"bob{char}@UnB"), f"bob<U+{ord(char):04X}>@UnB")

    def test_nothing_before_it_is_changed(self) -> None:
        """A mark at the beginning of a name cannot strike out or decorate what stands before it."""
        self.assertEqual(visible_name("\u0338bob@UnB"), "<U+0338>bob@UnB")
        self.assertEqual(visible_name("\u20ddbob@UnB"), "<U+20DD>bob@UnB")

    def test_harmless(self) -> None:
        """Letters of any script, with their marks, and emoji are shown as they are."""
        for name in ("alice@UnB", "José@UnB", "Jose\u0301@UnB", "Ελένη@日本", "שרה@UnB", "\U0001f600@UnB"):
            self.assertEqual(visible_name(name), name)

    def test_every_character(self) -> None:
        """Of all characters there are, none in a name steers anything, is a blank, or is not seen."""
        shown = set(visible_name("a" + EVERY_CHARACTER))
        self.assertEqual([char for char in shown if char.isspace() or char in UNSEEN], [])
        strange = [char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn")]
        self.assertEqual(strange, [])

    @given(nasty_text, st.sampled_from([" to @alice@UnB: ", ": ", " is linked (to 10.0.0.1:7070)", "\n* "]))
    def test_cannot_imitate(self, name: str, words: str) -> None:
        """Whatever words a name holds, a shown name is one word."""
        shown = visible_name(name + words + name)
        self.assertEqual(shown.split(), [shown])
        self.assertEqual((steering(shown), "\u200d" in shown), ([], False))
