"""Styled text cut into rows of the screen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from prompt_toolkit.utils import get_cwidth

#: Text in a style each, as prompt_toolkit takes it.
Fragments = list[tuple[str, str]]

#: A character, its style, and how many columns it takes.
_Cell = tuple[str, str, int]


def wrap(text: Fragments, width: int, indent: int) -> list[Fragments]:
    """Cut a text into rows, between words where that can be.

    Widths are those of prompt_toolkit, which draws it; so what fits here fits there.

    :param width: columns of the screen, at least 1.
    :param indent: columns that each row but the first leaves free, so that no text looks like another entry.
    """
    # On a screen that is hardly one, a wide letter still has room.
    indent = min(indent, width // 2, max(0, width - 2))
    rows: list[Fragments] = []
    row: list[_Cell] = []
    used = taken = 0
    for cell in _cells(text):
        is_blank = cell[1] == " "
        while used + cell[2] > width and len(row) > taken:
            rest = [] if is_blank else _last_word(row, taken, width - indent)
            rows.append(_join(row[: len(row) - len(rest)]))
            row = [*[("", " ", 1)] * indent, *rest]
            used, taken = indent + sum(columns for _, _, columns in rest), indent
            if is_blank:
                break  # it has divided two words
        else:
            row.append(cell)
            used += cell[2]
    rows.append(_join(row))
    return rows


def _cells(text: Fragments) -> Iterator[_Cell]:
    for style, part in text:
        for char in part:
            yield style, char, get_cwidth(char)


def _last_word(row: list[_Cell], taken: int, room: int) -> list[_Cell]:
    """Return the last word of a row, which moves to the next; nothing where it would not fit there whole."""
    for at in range(len(row) - 1, taken, -1):
        room -= row[at][2]
        if row[at][1] == " ":
            return row[at + 1 :]
        if room < 0:
            break
    return []


def _join(row: list[_Cell]) -> Fragments:
    return [
        (style, "".join(char for _, char, _ in cells)) for style, cells in groupby(row, lambda cell: cell[0])
    ]
