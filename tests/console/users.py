"""Users at their consoles: what they type, and what they are shown."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Literal

from hypothesis import strategies as st

from p2pchat.console.session import Session
from p2pchat.protocol.names import PeerId
from tests.keys import keys_of
from tests.village import RENDEZVOUS, Stranger, Villager, VillageTestCase

#: Control, format (all of the bidirectional ones), surrogates, line and paragraph separators.
STEERING: tuple[Literal["Cc", "Cf", "Cs", "Zl", "Zp"], ...] = ("Cc", "Cf", "Cs", "Zl", "Zp")

#: A peer's text, with many of the characters that steer a display among the others.
nasty_text = st.text(
    st.characters(categories=STEERING)
    | st.sampled_from("\n\r\t\0\x07\x1b\x7f\x85\x9b\u2028\u2029\u202e\u2066\u200b\u200d\ufeff ")
    | st.characters(exclude_categories=[]),
    max_size=30,
)

#: The same, as far as JSON carries it.
nasty_json_text = nasty_text.map(lambda text: text.encode(errors="replace").decode())

#: Texts of people; none of them steers anything.
HARMLESS = (
    "plain words",
    "Ação, naïve, Übergröße, e\u0301 decomposed",
    "日本語 한국어 中文",
    "Ελληνικά кириллица",
    "שלום مرحبا",
    "\U0001f600 \u2764\ufe0f \U0001f44d\U0001f3fd",
    "\U0001f469\u200d\U0001f680 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e7\U0001f1f7",
    "می\u200cخواهم",
    "tags <b> & %s {0} \\n",
)


def steering(text: str) -> list[str]:
    """Return what in *text* would move, colour, hide or reverse something; joiners do not."""
    return [char for char in text if unicodedata.category(char) in STEERING and char not in "\u200c\u200d"]


class User:
    """A villager with a session. Its test case makes it."""

    def __init__(self, villager: Villager) -> None:
        self.villager = villager
        self.node = villager.node
        self.own = villager.own
        #: All that was shown.
        self.screen: list[str] = []
        self.levels: list[str] = []
        self.quits = 0
        self.session = Session(
            villager.node,
            show=self.screen.append,
            quit=self._quit,
            local_time=lambda ms: f"at {ms}",
            clock_time=lambda: "12:34:56",
            set_log_level=self.levels.append,
        )

    def types(self, *lines: str) -> list[str]:
        """Type lines; return what is shown at once."""
        before = len(self.screen)
        for line in lines:
            self.session.take(line)
        return self.screen[before:]

    def _quit(self) -> None:
        self.quits += 1


class ConsoleTestCase(VillageTestCase):
    """Users on a network in memory, without a rendezvous unless a test wants one."""

    #: They have keys; without them a message does not wait for the card of a peer behind relays.
    have_keys = True

    def user(self, name: str, **settings: Any) -> User:
        """Start a peer with a user."""
        ip = f"10.0.1.{len(self.villagers) + 1}"
        own = PeerId(name if "@" in name else f"{name}@UnB")
        keys = keys_of(own) if self.have_keys else None
        user = User(self.make(name, ip, keys, **{"rendezvous": None, **settings}))
        user.node.startService()
        return user

    def meet(self, *names: str) -> list[User]:
        """Start a rendezvous and users who are all linked; their screens are empty."""
        self.rendezvous()
        users = [self.user(name, **self.listed_at()) for name in names]
        self.pass_time(6)
        self.assert_linked(*(user.villager for user in users))
        for user in users:
            user.screen.clear()
        return users

    def listed_at(self) -> dict[str, Any]:
        """What to tell a user for the rendezvous of the village."""
        return {"rendezvous": RENDEZVOUS}

    def plain_peer(self, user: User, peer_id: str = "carol@UnB", *features: str) -> Stranger:
        """Link a peer that is not of our own kind."""
        peer = self.stranger(user.villager)
        self.tell(peer, type="HELLO", peer_id=peer_id, version="1.0", features=[*features], ttl=1)
        self.pass_time(1)
        return peer

    def tell(self, peer: Stranger, **fields: Any) -> None:
        """Send one message as a plain peer."""
        peer.say(json.dumps(fields).encode() + b"\n")
        self.pass_time(0.1)
