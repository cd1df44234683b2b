"""Strange text made harmless to look at.

What peers send is shown by a terminal that obeys control characters, and read by people who
believe what they see. So nothing that moves, rings, colours, hides or reverses reaches the screen
as itself. Only here, at display: everywhere else texts stay as they are.
"""

from __future__ import annotations

import unicodedata

#: Invisible, but part of how some scripts and most emoji are written.
_JOINERS = "\u200c\u200d"

#: Letters and marks that are not seen; harmless in a text, but not in a name.
_UNSEEN = (
    _JOINERS
    + "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)

#: Control, format (all of the bidirectional ones), surrogates, line and paragraph separators.
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")

#: Unicode's pictures of the control characters begin here.
_PICTURES = 0x2400


def visible(text: str) -> str:
    """Return *text* on one line, with everything in it visible.

    Control characters become their pictures (``␊`` for a line end, ``␛`` for escape); other
    characters that only steer the display become their number, ``<U+202E>``.
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(map(_visible_in_text, text))


def visible_name(name: str) -> str:
    """Return a name in which nothing can be taken for the text around it.

    As `visible`, and blanks and letters that are not seen are shown as well: no two names look alike
    because of what is not seen, and no name looks like a name with words behind it.
    """
    if name.isascii() and name.isprintable() and " " not in name:
        return name
    shown = "".join(_number(char) if _is_hidden(char) else _visible(char) for char in name)
    # A mark changes the letter before it, and before the first one stands the text around the name.
    return _number(shown[0]) + shown[1:] if unicodedata.category(shown[:1] or "a")[0] == "M" else shown


def _visible_in_text(char: str) -> str:
    return char if char in _JOINERS else _visible(char)


def _is_hidden(char: str) -> bool:
    # What is not assigned may turn out to be anything, unseen too.
    return char in _UNSEEN or (char >= " " and char.isspace()) or unicodedata.category(char) == "Cn"


def _number(char: str) -> str:
    return f"<U+{ord(char):04X}>"


def _visible(char: str) -> str:
    number = ord(char)
    if number < 0x20:
        return chr(_PICTURES + number)
    if number == 0x7F:
        return "\u2421"
    return _number(char) if unicodedata.category(char) in _STEERING else char
