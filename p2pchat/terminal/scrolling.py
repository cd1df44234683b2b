"""The part of a conversation that the screen shows."""

from __future__ import annotations

from prompt_toolkit.layout.controls import UIContent, UIControl

from p2pchat.terminal.conversation import Conversation, Entry
from p2pchat.terminal.wrapping import Fragments


class Scrolling(UIControl):
    """Draws a conversation from the bottom up, and scrolls it by rows. The screen creates it.

    Only what is seen is cut into rows, so that the length of a conversation costs nothing.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._width = 80
        self._height = 20
        #: The lowest entry that is seen, and how many of its rows are below the screen; None: the newest.
        self._bottom: tuple[int, int] | None = None
        #: The rows of what was seen last: for how many columns, with which mark, and they themselves.
        self._cut: dict[Entry, tuple[int, Fragments, list[Fragments]]] = {}

    @property
    def is_at_end(self) -> bool:
        """Whether the newest entry is seen."""
        return self._bottom is None

    @property
    def last_seen(self) -> int:
        """The number of the lowest entry that is seen whole."""
        if self._bottom is None:
            return self._conversation.last
        number, below = self._bottom
        return number - 1 if below else number

    def page_up(self) -> None:
        """Scroll up by a screen, less two rows to find the place again."""
        self._up(max(1, self._height - 2))

    def page_down(self) -> None:
        """Scroll down by a screen, less two rows."""
        self._down(max(1, self._height - 2))

    def to_end(self) -> None:
        """Show the newest."""
        self._bottom = None

    def create_content(self, width: int, height: int) -> UIContent:
        """Draw."""
        self._width, self._height = width, height
        rows = self._rows()
        rows = [[]] * (height - len(rows)) + rows
        return UIContent(get_line=lambda at: list(rows[at]), line_count=len(rows), show_cursor=False)

    def _rows(self) -> list[Fragments]:
        """Return what is seen, at most as many rows as there are."""
        number, below = self._place()
        wanted = self._height + below
        seen: dict[Entry, tuple[int, Fragments, list[Fragments]]] = {}
        rows: list[Fragments] = []
        while number >= self._conversation.first and len(rows) < wanted:
            entry = self._conversation[number]
            seen[entry] = self._rows_of(entry)
            rows = seen[entry][2] + rows
            number -= 1
        self._cut = seen
        return rows[: len(rows) - below][-self._height :]

    def _rows_of(self, entry: Entry) -> tuple[int, Fragments, list[Fragments]]:
        known = self._cut.get(entry)
        if known is not None and known[0] == self._width and known[1] is entry.mark:
            return known
        return self._width, entry.mark, entry.rows(self._width)

    def _place(self) -> tuple[int, int]:
        """Return the lowest entry that is seen, and its rows below the screen, as things are now."""
        if self._bottom is None:
            return self._conversation.last, 0
        number, below = self._bottom
        if number < self._conversation.first:  # it is kept no more
            return self._conversation.first, 0
        return number, min(below, self._count(number) - 1)  # it has fewer rows on a wider screen

    def _count(self, number: int) -> int:
        return len(self._rows_of(self._conversation[number])[2])

    def _up(self, rows: int) -> None:
        if len(self._rows()) < self._height:
            return  # all of it is seen
        number, below = self._place()
        below += rows
        while number > self._conversation.first and below >= self._count(number):
            below -= self._count(number)
            number -= 1
        self._bottom = number, below
        # Not beyond the first row.
        missing = self._height - len(self._rows_above(number, below))
        if missing > 0:
            self._down(missing)

    def _rows_above(self, number: int, below: int) -> list[Fragments]:
        self._bottom = number, min(below, self._count(number) - 1)
        return self._rows()

    def _down(self, rows: int) -> None:
        if self._bottom is None:
            return
        number, below = self._place()
        below -= rows
        while below < 0 and number < self._conversation.last:
            number += 1
            below += self._count(number)
        is_at_end = below < 0 or (number, below) == (self._conversation.last, 0)
        self._bottom = None if is_at_end else (number, below)
