"""What a node asks of whoever keeps its messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from p2pchat.store.entries import Arrival, Cast, Entry, Outcome, Outgoing


class Store(Protocol):
    """Keeps messages."""

    is_lasting: bool

    def now_ms(self) -> int:
        """Return the time of day, in ms since 1970."""

    def open(self, own: str, trouble: Callable[[str], None]) -> list[Outgoing]:
        """Begin; return what has no outcome yet."""

    def keep(self, message: Outgoing, then: Callable[[], None]) -> None:
        """Write a message of ours down."""

    def settle(self, msg_id: str, outcome: Outcome) -> None:
        """Write its outcome down."""

    def said(self, cast: Cast) -> None:
        """Write down what we said to many."""

    def receive(self, arrival: Arrival, then: Callable[[bool], None]) -> None:
        """Write down what came in."""

    def after_all(self, then: Callable[[], None]) -> None:
        """Go on once all that was asked before is written."""

    def latest(self, conversation: str | None, n: int) -> Deferred[list[Entry]]:
        """Return what was said last."""

    def search(self, words: str, n: int) -> Deferred[list[Entry]]:
        """Return what holds all the words."""

    def page(self, after: int, n: int) -> Deferred[list[Entry]]:
        """Return a part of all."""

    def read(self, conversation: str, number: int) -> None:
        """Note that the user has seen all up to an entry."""

    def unread(self) -> Deferred[dict[str, int]]:
        """Return how much of what others said the user has not seen."""

    def tick(self) -> None:
        """Do what is due."""

    def sizes(self) -> dict[str, int]:
        """Tell how much is held."""

    def close(self) -> Deferred[None]:
        """Write what waits, and end."""
