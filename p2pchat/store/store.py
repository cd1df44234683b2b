"""What a node asks of whoever keeps its messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from p2pchat.store.entries import Arrival, Carried, Cast, Entry, Outcome, Outgoing


class Unreadable(Exception):
    """History cannot be read just now; the text says why to the user."""


class Store(Protocol):
    """Keeps messages. Whoever makes the node creates it; the node opens and closes it.

    What is asked is done in the order in which it is asked, and *then* is called in the thread of the
    reactor, once what was asked is on disk, or at once where that cannot be.
    """

    @property
    def is_lasting(self) -> bool:
        """What is kept is there after the program has ended. Not while the disk fails."""

    def now_ms(self) -> int:
        """Return the time of day, in ms since 1970."""

    def open(self, own: str, trouble: Callable[[str], None]) -> list[Outgoing]:
        """Begin; return the messages of ours that have no outcome yet, oldest first.

        :param own: who we are.
        :param trouble: told what is wrong, and when it is right again, in words for the user. Nothing here
            fails otherwise.
        """

    def keep(self, message: Outgoing, then: Callable[[], None]) -> None:
        """Keep a message of ours until `settle`."""

    def settle(self, msg_id: str, outcome: Outcome) -> None:
        """Note what became of a message."""

    def said(self, cast: Cast) -> None:
        """Note what we said to many."""

    def receive(self, arrival: Arrival, then: Callable[[bool], None]) -> None:
        """Note a message that came in; *then* is told whether it is new, and no copy of an earlier one."""

    def after_all(self, then: Callable[[], None]) -> None:
        """Call *then* when all that was asked before is done; at once where nothing waits."""

    def carry(self, msg_id: str, carried: Carried | None, then: Callable[[], None]) -> None:
        """Keep something of somebody else, or how it is now; None: no longer."""

    def carried(self) -> list[Carried]:
        """Return what is kept so, oldest first."""

    def keep_cast(self, line: str) -> None:
        """Keep a line that was said to our namespace, for those who come later."""

    def casts(self) -> list[str]:
        """Return the last of these, oldest first: `sqlite.MAX_CASTS` at most, and so many characters."""

    def latest(self, conversation: str | None, n: int) -> Deferred[list[Entry]]:
        """Return the last *n* entries, of one conversation or of all, oldest first.

        This and the other questions fail with `Unreadable`.
        """

    def search(self, words: str, n: int) -> Deferred[list[Entry]]:
        """Return the last *n* entries that have all the words, oldest first.

        Accents and case do not matter; a word that ends with ``*`` stands for all that begin so.
        """

    def page(self, after: int, n: int) -> Deferred[list[Entry]]:
        """Return the first *n* entries with numbers above *after*."""

    def read(self, conversation: str | None) -> None:
        """Note that the user has seen what came so far in a conversation; None: in all."""

    def unread(self) -> Deferred[dict[str, int]]:
        """Return how many entries of others the user has not seen, by conversation, where there are any."""

    def tick(self) -> None:
        """Do what is due; to be called now and then."""

    def sizes(self) -> dict[str, int]:
        """Tell how much waits, and what was counted, by name."""

    def close(self) -> Deferred[None]:
        """Write what waits, and end."""
