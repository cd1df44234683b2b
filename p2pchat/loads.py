"""What the node keeps for others, in its store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.logger import Logger

from p2pchat.protocol.codec import decode, encode
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Ack, Hold
from p2pchat.routing.courier import Load
from p2pchat.store.entries import Carried
from p2pchat.store.store import Store


class Loads:
    """Writes down the loads of a courier: `routing.courier.Custody`. The node creates and owns it."""

    _log = Logger()

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, load: Load, for_s: float, then: Callable[[], None]) -> None:
        """Write down something that is kept for so many seconds, or how it fared; go on once that is done."""
        hold, until_ms = load.hold, self._store.now_ms() + int(for_s * 1000)
        ack = "" if load.ack is None else encode(load.ack).decode()
        carried = Carried(hold.msg_id, hold.src, hold.dst, hold.sealed, hold.lock, until_ms, ack)
        self._store.carry(hold.msg_id, carried, then)

    def drop(self, msg_id: str) -> None:
        """It is kept no longer."""
        self._store.carry(msg_id, None, lambda: None)

    def of_earlier_runs(self) -> Iterator[tuple[Hold, float, Ack | None]]:
        """Return what is kept since, for how many seconds yet, and how it fared."""
        for kept in self._store.carried():
            hold = Hold(kept.msg_id, kept.src, kept.dst, sealed=kept.sealed, lock=kept.lock)
            for_s = (kept.until_ms - self._store.now_ms()) / 1000
            try:
                ack = decode(kept.ack.encode()) if kept.ack else None
            except ProtocolError:
                ack = hold
            if ack is None or isinstance(ack, Ack):
                yield hold, for_s, ack
            else:
                self._log.warn("what was kept for {src!a} cannot be read", src=kept.src)
                self.drop(kept.msg_id)
