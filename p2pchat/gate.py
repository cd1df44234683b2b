"""Who may come, and with which key: what the user decides, and what that means for links."""

from __future__ import annotations

from collections.abc import Callable

from p2pchat.language import mark, tr
from p2pchat.links.link import Link
from p2pchat.links.switchboard import Switchboard
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.names import Destination, PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.trust.keys import Keys
from p2pchat.trust.seals import Seals
from p2pchat.trust.trust import NothingToTrust, Teller, Trust

#: What is said of a peer that the user has blocked.
BLOCKED = mark("blocked by the user")


class Gate:
    """Knows keys, where the node has any of its own. The node creates, owns and closes it.

    :param keys: None: there are none, and everybody may come under any name.
    :param teller: told who was refused, and why.
    :param clock_s: monotonic seconds.
    :param switchboard: returns what holds the links.
    :param remembers: whether it is written down which messages were shown.
    """

    def __init__(
        self,
        keys: Keys | None,
        teller: Teller,
        clock_s: Callable[[], float],
        switchboard: Callable[[], Switchboard],
        remembers: Callable[[], bool],
    ) -> None:
        self.trust: Trust | None = None
        self.seals: Seals | None = None
        self._switchboard = switchboard
        if keys is not None:
            self.trust = Trust(keys.identity, keys.pins, keys.rules, teller, keys.now_ms, clock_s)
            self.seals = Seals(self.trust, keys.namespace_key, keys.random_bytes, remembers)

    @property
    def keys(self) -> Trust:
        """What knows who has which key.

        :raises NothingToTrust: there is no such thing in this node.
        """
        if self.trust is None:
            raise NothingToTrust(tr("this peer has no key of its own, so it looks at none"))
        return self.trust

    def admit(self, link: Link) -> ProtocolError | None:
        """Say why a link is not taken, or None."""
        return None if self.trust is None else self.trust.admit(link.peer_id, link.key, link.card)

    def is_verified(self, peer_id: PeerId) -> bool:
        """Whether our user has compared safety numbers with a peer."""
        return self.trust is not None and self.trust.is_verified(peer_id)

    def expected(self, to: Destination) -> Protection | None:
        """Return how a message would be protected that went over relays now; None where nobody knows yet."""
        return Protection.NONE if self.seals is None else self.seals.expected(to)

    def befriend(self, peer_id: PeerId) -> None:
        """Our user writes to a peer."""
        if self.trust is not None:
            self.trust.befriend(peer_id)

    def take_other_key(self, peer_id: PeerId) -> str:
        """Accept a peer as it came when it was refused last, and dial it; return what was done, for people.

        :raises NothingToTrust: it was not refused for its key.
        """
        done = self.keys.take_other(peer_id)
        self._switchboard().want(peer_id)
        return done

    def block(self, peer_id: PeerId) -> None:
        """Take neither a link with a peer nor a word of it, now and after a restart, until `unblock`.

        :raises NothingToTrust: too many are blocked already.
        """
        self.keys.block(peer_id)
        self._switchboard().hang_up(peer_id, BLOCKED)

    def unblock(self, peer_id: PeerId) -> bool:
        """Take back `block`, and dial now; False where the peer was not blocked."""
        was_blocked = self.keys.unblock(peer_id)
        if was_blocked:
            self._switchboard().want(peer_id)
        return was_blocked

    def begin(self) -> None:
        """Have no links with those who were blocked before our start."""
        for peer_id in self.trust.blocked if self.trust is not None else ():
            self._switchboard().hang_up(peer_id, BLOCKED)

    def sizes(self) -> dict[str, int]:
        """Tell how much is held, and what was counted, by name."""
        if self.trust is None or self.seals is None:
            return {}
        return {**self.trust.sizes(), **self.seals.sizes()}

    def tick(self) -> None:
        """Do what is due."""
        if self.seals is not None:
            self.seals.tick()

    def close(self) -> None:
        """Write down what was learned, and end."""
        if self.seals is not None:
            self.seals.close()
