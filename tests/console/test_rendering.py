"""Events and states as lines for people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.console import amounts, rendering
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from tests.console.users import nasty_text, steering

BOB = PeerId("bob@UnB")
CAROL = PeerId("carol@UnB")
HERE = Address("10.0.1.2", 7070)

#: Names as others have them; long and strange ones too.
nasty_ids = st.builds(lambda name, namespace: PeerId(f"{name}@{namespace}"), nasty_text, nasty_text)

#: Every event that tells what a peer or the rendezvous said.
nasty_notices: st.SearchStrategy[events.Event] = st.one_of(
    st.builds(events.NeighbourUp, nasty_ids, st.just(HERE), st.booleans(), st.booleans()),
    st.builds(events.NeighbourDown, nasty_ids, nasty_text),
    st.builds(events.PeerComplained, nasty_ids, nasty_text, nasty_text, nasty_text),
    st.builds(events.RosterChanged, *[st.lists(nasty_ids, max_size=12).map(tuple)] * 3),
    st.builds(events.RendezvousLost, st.just(HERE), nasty_text),
    st.builds(events.AddressFailed, st.just(HERE), nasty_text),
    st.builds(events.NameTaken, nasty_ids, st.just(HERE)),
    st.builds(events.KeyRefused, nasty_ids, st.just("1234"), st.just("5678")),
    st.builds(events.KeyMissing, nasty_ids),
    st.builds(events.Warned, nasty_ids, nasty_text),
    st.builds(events.LineTraced, nasty_ids, st.binary()),
)

#: Events, and the line that each is shown as; None where it is not shown.
NOTICES: list[tuple[events.Event, str | None]] = [
    (events.NeighbourUp(BOB, HERE, True, False, True), "bob@UnB is linked (to 10.0.1.2:7070)"),
    (events.NeighbourUp(BOB, HERE, False, True, False), "bob@UnB is linked (from 10.0.1.2:7070), unsecured"),
    (
        events.KeyRefused(BOB, "1234", "5678"),
        "somebody came as bob@UnB with another key than bob@UnB had before, and was refused: bob@UnB may "
        "have been set up anew without its old key, or somebody pretends to be bob@UnB. Ask bob@UnB another "
        "way what /status says there. If it is 1234 (before: 5678): /trust bob@UnB",
    ),
    (
        events.KeyMissing(BOB),
        "somebody came as bob@UnB without encryption, which bob@UnB had before, and was refused: it may use "
        "another program now, or somebody pretends to be it. If you know why: /trust bob@UnB",
    ),
    (
        events.PeersNotKept("the disk is full"),
        "what is learned of peers is kept until you leave only: the disk is full",
    ),
    (events.NeighbourDown(BOB, "reset"), "bob@UnB is no longer linked: reset"),
    (
        events.PeerComplained(BOB, "busy", "come later", "m1"),
        "bob@UnB reports an error: busy: come later",
    ),
    (
        events.PeerComplained(BOB, "no_route", "", ""),
        "bob@UnB reports an error: no_route: no way to the peer is known",
    ),
    (events.PeerComplained(BOB, "", "", ""), "bob@UnB reports an error: error: no detail given"),
    (events.RosterChanged((BOB, CAROL), (), ()), "bob@UnB, carol@UnB came"),
    (
        events.RosterChanged((), (BOB,), (CAROL,)),
        "bob@UnB left the rendezvous; carol@UnB has a new address",
    ),
    (events.RosterChanged((), (), ()), None),
    (events.RendezvousFound(HERE, False), "registered at the rendezvous 10.0.1.2:7070"),
    (
        events.RendezvousFound(HERE, True),
        "registered at the rendezvous 10.0.1.2:7070, which this peer hosts",
    ),
    (
        events.RendezvousLost(HERE, "refused"),
        "the rendezvous 10.0.1.2:7070 does not work: refused. Links stay; trying again until it does.",
    ),
    (
        events.AddressFailed(HERE, "connection refused"),
        "no link with 10.0.1.2:7070: connection refused. Trying again until there is one.",
    ),
    (
        events.RendezvousHosted(HERE),
        "no rendezvous answered at 10.0.1.2:7070, so this peer hosts one",
    ),
    (
        events.NameTaken(BOB, HERE),
        "bob@UnB is also registered at 10.0.1.2:7070: another peer has your name, or it is an old entry",
    ),
    (events.Warned(BOB, "careful"), "warning about bob@UnB: careful"),
    (events.LineTraced(BOB, b'{"a":"\xff\n"}'), '<- bob@UnB {"a":"\\xff␊"}'),
    (events.MessageSent("m1", BOB, BOB), None),
]


def message(
    dst: str,
    *,
    is_cast: bool = True,
    src: str = "bob@UnB",
    text: str = "hi",
    protection: Protection = Protection.LINK,
    is_verified: bool = False,
    late_s: float | None = None,
) -> str:
    """Render a message that arrived from bob."""
    event = events.MessageArrived(
        src, dst, text, is_cast, BOB, False, None, "", protection, is_verified, late_s
    )
    return rendering.arrived(event, "12:34:56")


class ArrivedTests(SynchronousTestCase):
    def test_one_to_one(self) -> None:
        """A message to us alone shows when, who, to whom, and what."""
        self.assertEqual(message("alice@UnB", is_cast=False), "[12:34:56] bob@UnB to @alice@UnB: hi")

    def test_casts(self) -> None:
        """Section 9.12: however a destination is written, it is shown as `*`, `#ns` or `@peer`."""
        for dst, shown in (
            ("*", "*"),
            ("", "*"),
            ("#UnB", "#UnB"),
            ("UnB", "#UnB"),
            ("alice@UnB", "@alice@UnB"),
        ):
            self.assertEqual(message(dst), f"[12:34:56] bob@UnB to {shown}: hi")

    def test_brought_by_another(self) -> None:
        """Who says that it comes from somebody else is named beside it."""
        self.assertEqual(message("*", src="carol@UnB"), "[12:34:56] carol@UnB (via bob@UnB) to *: hi")

    def test_marks(self) -> None:
        """Section 11: what protection a message lacks is shown with it, and that its source is verified."""
        for protection, is_cast, is_verified, mark in (
            (Protection.LINK, False, False, ""),
            (Protection.SEALED, False, False, ""),
            (Protection.SEALED, True, True, " [verified]"),
            (Protection.SIGNED, True, False, ""),
            (Protection.SIGNED, True, True, " [verified]"),
            (Protection.SIGNED, False, False, " [not sealed]"),
            (Protection.SIGNED, False, True, " [verified, not sealed]"),
            (Protection.NONE, False, True, " [unsecured]"),
            (Protection.NONE, True, False, " [unsecured]"),
        ):
            shown = message("alice@UnB", is_cast=is_cast, protection=protection, is_verified=is_verified)
            self.assertEqual(shown, f"[12:34:56] bob@UnB{mark} to @alice@UnB: hi")

    def test_late(self) -> None:
        """What was said long ago tells when."""
        for is_verified, mark in ((False, "said 1 h 1 min ago"), (True, "verified, said 1 h 1 min ago")):
            shown = message("a@b", is_cast=False, is_verified=is_verified, late_s=3660.0)
            self.assertEqual(shown, f"[12:34:56] bob@UnB [{mark}] to @a@b: hi")

    @given(nasty_text, nasty_text, nasty_text, st.booleans())
    def test_anything(self, src: str, dst: str, text: str, is_cast: bool) -> None:
        """Whatever a peer sends, it is one line, its words begin behind `: `, and nothing steers."""
        line = message(dst, is_cast=is_cast, src=src, text=text)
        self.assertEqual(steering(line), [])
        self.assertEqual(line.splitlines(), [line])
        head = line.split(": ")[0].split(" ")
        via = [] if src == BOB else ["(via", "bob@UnB)"]
        self.assertEqual((head[0], head[2:-2], head[-2]), ("[12:34:56]", via, "to"))


class NoticeTests(SynchronousTestCase):
    def test_each(self) -> None:
        """Every event has its line, with who, what and why."""
        for event, shown in NOTICES:
            self.assertEqual(rendering.notice(event), shown)

    @given(nasty_notices)
    def test_anything(self, event: events.Event) -> None:
        """Whatever peers and rendezvous send, a notice is one line in which nothing steers."""
        line = rendering.notice(event)
        if line is not None:
            self.assertEqual(steering(line), [])
            self.assertEqual(line.splitlines(), [line])

    def test_many_names(self) -> None:
        """Of many names the first ten are shown, and how many more there are."""
        everybody = tuple(PeerId(f"p{number}@UnB") for number in range(12))
        self.assertTrue(rendering.names(everybody).endswith(", p9@UnB and 2 more"))
        self.assertTrue(rendering.names(everybody[:10]).endswith(", p9@UnB"))


class NumberTests(SynchronousTestCase):
    def test_milliseconds(self) -> None:
        """Short times have a decimal, longer ones none, unknown ones a dash."""
        for seconds, shown in (
            (None, "-"),
            (0.0, "0.0 ms"),
            (0.00134, "1.3 ms"),
            (0.01, "10 ms"),
            (2, "2000 ms"),
        ):
            self.assertEqual(amounts.milliseconds(seconds), shown)

    def test_duration(self) -> None:
        """Long times are shown in the two largest units."""
        for seconds, shown in (
            (0, "0 s"),
            (59.9, "59 s"),
            (61, "1 min 1 s"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (90_061, "1 d 1 h"),
        ):
            self.assertEqual(amounts.duration(seconds), shown)

    def test_table(self) -> None:
        """Columns are as wide as their longest cell, and lines end without blanks."""
        self.assertEqual(rendering.table([("a", "bb"), ("ccc", "d")]), ["a    bb", "ccc  d"])
        self.assertEqual(rendering.table([("a", "bb"), ("ccc", "")]), ["a    bb", "ccc"])
        # A wide letter takes two columns, a mark none.
        self.assertEqual(rendering.table([("你", "b"), ("ccc", "d")]), ["你   b", "ccc  d"])
        self.assertEqual(rendering.table([("e\u0301", "b"), ("cc", "d")]), ["e\u0301   b", "cc  d"])
