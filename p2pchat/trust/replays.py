"""Whether something signed is new, or was said before (docs/protocol.md, section 11)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.protocol.names import PeerId

#: Messages in one generation: two of them cover two minutes of a thousand a second, longer than anybody
#: sends a message again.
MAX_MESSAGES = 65536

#: Seconds after which a generation ends even when it is not full.
GENERATION_S = 600.0


@attrs.define
class Replays:
    """Remembers what each author said lately, and how late it was then. `Seals` creates and owns it.

    Two generations: what was said in them is known by its msg_id. What came before is not, but nobody says
    anything with a time before that of something that old; so whatever has one is a replay. The clocks of
    the authors need not agree with ours or each other's, they must only not run backward.

    :param floors: by author, the time of the last message before our start, in ms since 1970.
    :param is_known: whether the key of an author is still remembered.
    :param began_at_s: the present time, in seconds of the clock that `rotate` is told.
    """

    _floors: dict[PeerId, int]
    _began_at_s: float
    _is_known: Callable[[PeerId], bool]
    _young: dict[int, None] = attrs.Factory(dict)
    _old: dict[int, None] = attrs.Factory(dict)
    #: By author, the latest time in each generation.
    _latest: dict[PeerId, int] = attrs.Factory(dict)
    _latest_old: dict[PeerId, int] = attrs.Factory(dict)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def is_replay(self, author: PeerId, msg_id: str, time_ms: int) -> bool:
        """Whether a message was said before; if not, it is remembered.

        A copy of what is still remembered is none: the first confirmation may be what got lost.
        """
        mark = hash((author, msg_id, time_ms))
        if mark in self._young or mark in self._old:
            return False
        if time_ms <= self._floors.get(author, -1):
            return True
        if len(self._young) >= MAX_MESSAGES:
            self._turn()
        self._young[mark] = None
        self._latest[author] = max(time_ms, self._latest.get(author, 0))
        return False

    def rotate(self, now_s: float) -> None:
        """Forget what is too old; to be called now and then."""
        if now_s - self._began_at_s >= GENERATION_S:
            self._began_at_s = now_s
            self._turn()

    def latest(self) -> dict[PeerId, int]:
        """Return, by author, the time of its latest message of late, to be the floors of the next start."""
        return {**self._latest_old, **self._latest}

    def _turn(self) -> None:
        for author, time_ms in self._latest_old.items():
            self._floors[author] = max(time_ms, self._floors.get(author, 0))
        # Of whom we do not know the key any more, everything is new.
        self._floors = {author: ms for author, ms in self._floors.items() if self._is_known(author)}
        self._old, self._young = self._young, {}
        self._latest_old, self._latest = self._latest, {}
