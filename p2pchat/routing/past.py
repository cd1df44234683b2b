"""What was said to our namespace before we came, and to those who come (docs/protocol.md, section 12.5)."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from msgspec import UNSET, Struct
from msgspec.structs import replace

from p2pchat.protocol.codec import encode
from p2pchat.protocol.messages import PAST, PLAIN_TTL, Latest, Pub
from p2pchat.protocol.protection import Protection
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood
from p2pchat.routing.trust import Trust

#: Neighbours that are asked; what one keeps back another may tell.
ASKED = 3

#: Seconds from the first question until what came is shown, in the order in which it was said.
WAIT_S = 2.0

#: Messages that are taken of one neighbour.
MOST = 50

#: Seconds until a neighbour that has asked is answered again.
PAUSE_S = 60.0

#: Neighbours of whom that is remembered; beyond, nobody is answered.
MAX_ASKERS = 1000


class Found(Struct, frozen=True):
    """A message that a neighbour has told us of.

    :param wire: as it came.
    :param opened: as its author wrote it.
    """

    neighbour: Neighbour
    wire: Pub
    opened: Pub
    protection: Protection
    said_at_ms: int


class Past:
    """Asks the first neighbours, and answers those who come. The router creates and owns it.

    :param casts: returns what can be told to others, oldest first.
    :param show: takes what was found, oldest first.
    """

    def __init__(
        self,
        hood: Neighbourhood,
        trust: Trust,
        casts: Callable[[], list[Pub]],
        show: Callable[[Found], None],
    ) -> None:
        #: Messages that nobody had asked for.
        self.refused = 0
        self._hood = hood
        self._trust = trust
        self._casts = casts
        self._show = show
        self._namespace = f"#{hood.own.namespace}"
        #: Who was asked, by msg_id, and how many came since.
        self._asked: dict[str, str] = {}
        self._came: dict[str, int] = {}
        self._found: list[Found] = []
        #: When what came is shown; None while there is nothing to wait for.
        self._show_at_s: float | None = None
        #: When a neighbour was answered.
        self._answered: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many messages came that are not shown yet."""
        return len(self._found)

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """Ask one of the first neighbours what was said before we came."""
        if PAST not in neighbour.features or neighbour.plain or len(self._asked) >= ASKED:
            return
        if neighbour.peer_id in self._asked.values() or not self._is_of_ours(neighbour):
            return
        msg_id = self._hood.new_id()
        if neighbour.write(encode(Latest(msg_id, str(self._hood.own), self._namespace))):
            self._asked[msg_id] = neighbour.peer_id
            if len(self._asked) == 1:
                self._show_at_s = self._hood.now() + WAIT_S

    def neighbour_down(self) -> None:
        """Somebody has left. Who was left by all may miss something, and asks anew."""
        if not self._hood.neighbours:
            self._asked.clear()
            self._came.clear()

    def on_latest(self, neighbour: Neighbour, message: Latest) -> None:
        """Tell somebody of our namespace what was said last."""
        now_s = self._hood.now()
        self._answered = {peer: at_s for peer, at_s in self._answered.items() if now_s < at_s + PAUSE_S}
        is_asked_often = neighbour.peer_id in self._answered or len(self._answered) >= MAX_ASKERS
        if message.dst != self._namespace or is_asked_often or not self._is_of_ours(neighbour):
            return
        self._answered[neighbour.peer_id] = now_s
        for cast in self._casts():
            if not neighbour.write(encode(replace(cast, past=message.msg_id, ttl=PLAIN_TTL))):
                break

    def on_pub(self, neighbour: Neighbour, message: Pub) -> None:
        """Take a message that was said before we came.

        :raises ProtocolError: its source did not say so.
        """
        came = self._came.get(neighbour.peer_id, 0)
        is_asked = self._asked.get(str(message.past)) == neighbour.peer_id
        if not is_asked or came >= MOST or message.dst != self._namespace:
            self.refused += 1
            return
        self._came[neighbour.peer_id] = came + 1
        if message.src == self._hood.own:
            return  # we know what we said
        opened, protection = self._trust.unwrap_cast(message, is_proved=False)
        if opened is None or opened.time_ms is UNSET:
            return  # nobody signed it, or it is not for our eyes
        self._found.append(Found(neighbour, message, opened, protection, opened.time_ms))
        if self._show_at_s is None:
            self._show_all()

    def tick(self) -> None:
        """Show what came, when all have had time to answer."""
        if self._show_at_s is not None and self._hood.now() >= self._show_at_s:
            self._show_at_s = None
            self._show_all()

    def _is_of_ours(self, neighbour: Neighbour) -> bool:
        return neighbour.peer_id.namespace == self._hood.own.namespace

    def _show_all(self) -> None:
        found, self._found = self._found, []
        for each in sorted(found, key=attrgetter("said_at_ms")):
            self._show(each)
