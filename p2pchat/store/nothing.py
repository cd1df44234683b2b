"""A store that keeps nothing, for nodes that were given none."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from p2pchat.store.entries import Arrival, Carried, Cast, Entry, Outcome, Outgoing


class Nothing:
    """Keeps nothing: `store.Store`."""

    @property
    def is_lasting(self) -> bool:
        """Nothing is."""
        return False

    def now_ms(self) -> int:
        """Nobody reads it."""
        return 0

    def open(self, own: str, trouble: Callable[[str], None]) -> list[Outgoing]:
        """There is nothing."""
        return []

    def keep(self, message: Outgoing, then: Callable[[], None]) -> None:
        """Go on."""
        then()

    def settle(self, msg_id: str, outcome: Outcome) -> None:
        """Keep nothing."""

    def said(self, cast: Cast) -> None:
        """Keep nothing."""

    def receive(self, arrival: Arrival, then: Callable[[bool], None]) -> None:
        """Go on."""
        then(True)

    def after_all(self, then: Callable[[], None]) -> None:
        """Go on."""
        then()

    def carry(self, msg_id: str, carried: Carried | None, then: Callable[[], None]) -> None:
        """Go on."""
        then()

    def carried(self) -> list[Carried]:
        """There is nothing."""
        return []

    def keep_cast(self, line: str) -> None:
        """Keep nothing."""

    def casts(self) -> list[str]:
        """There is nothing."""
        return []

    def latest(self, conversation: str | None, n: int) -> Deferred[list[Entry]]:
        """There is nothing."""
        return succeed([])

    def search(self, words: str, n: int) -> Deferred[list[Entry]]:
        """There is nothing."""
        return succeed([])

    def page(self, after: int, n: int) -> Deferred[list[Entry]]:
        """There is nothing."""
        return succeed([])

    def read(self, conversation: str | None) -> None:
        """Keep nothing."""

    def unread(self) -> Deferred[dict[str, int]]:
        """There is nothing."""
        return succeed({})

    def tick(self) -> None:
        """Nothing is due."""

    def sizes(self) -> dict[str, int]:
        """Nothing is held."""
        return {}

    def close(self) -> Deferred[None]:
        """There is nothing to write."""
        return succeed(None)
