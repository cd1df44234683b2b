"""Commands on real nodes in memory: what comes of them, and what is shown."""

from __future__ import annotations

import itertools
import json
from typing import Any
from unittest import mock

from hypothesis import given
from twisted.internet.defer import Deferred, fail

from p2pchat.console import commands
from p2pchat.console import session as session_module
from p2pchat.console.commands import LOG_LEVELS
from p2pchat.protocol.names import PeerId
from p2pchat.routing.discovery import SEEK_S
from tests.console.users import HARMLESS, ConsoleTestCase, User, nasty_json_text, steering
from tests.village import RENDEZVOUS

#: Everything that is no command, where something was sent to bob before.
MISTAKES = (
    "/peers @bob", "/connect", "/connect a b", "/disconnect", "/msg", "/msg @bob", "/msg bob hi", "/msg # hi",
    "/routes x", "/who", "/ping", "/watch on", "/status x", "/metrics a b", "/log loud", "/help nonsense",
    "/quit now", "/nonsense", "/", "//", "/mgs @bob hi",
)  # fmt: skip


class SendingTests(ConsoleTestCase):
    def test_confirmed(self) -> None:
        """A message shows that it is sent and when it is confirmed; the other end who, to whom and when."""
        alice, bob = self.meet("alice", "bob")
        self.assertEqual(alice.types("/msg @bob good morning"), ["#1 to @bob@UnB: sent"])
        self.assertFalse(alice.session.is_idle)
        self.pass_time(1)
        self.assertEqual(alice.screen[1:], ["#1 to @bob@UnB: confirmed in 2.0 ms"])
        self.assertEqual(bob.screen, ["[12:34:56] alice@UnB to @bob@UnB: good morning"])
        self.assertTrue(alice.session.is_idle)

    def test_namespace_and_all(self) -> None:
        """A text to a namespace or to all shows to how many it went, and at the other end to whom it was."""
        alice, bob, carol = self.meet("alice", "bob", "carol@Giga")
        shown = alice.types("/msg #UnB hi", "/msg * all", "/msg #Giga you")
        for number, to in ((1, "#UnB"), (2, "*"), (3, "#Giga")):
            self.assertRegex(shown[number - 1], rf"^#{number} to \{to}: sent to [12] peers?$")
        self.pass_time(1)
        self.assertEqual(bob.screen, ["[12:34:56] alice@UnB to #UnB: hi", "[12:34:56] alice@UnB to *: all"])
        self.assertEqual(
            carol.screen, ["[12:34:56] alice@UnB to *: all", "[12:34:56] alice@UnB to #Giga: you"]
        )

    def test_one_or_more_peers(self) -> None:
        """One peer is one peer, two are peers."""
        alice, _ = self.meet("alice", "bob")
        self.assertEqual(alice.types("/msg * hi"), ["#1 to *: sent to 1 peer"])
        self.user("carol", **self.listed_at())
        self.pass_time(31)
        self.assertEqual(alice.types("/msg * hi")[-1], "#2 to *: sent to 2 peers")

    def test_nobody_to_send_to(self) -> None:
        """A text to all that reaches nobody is told so."""
        alice = self.user("alice")
        self.pass_time(6)
        self.assertEqual(
            alice.types("/msg * hi"), ["#1 to *: not sent: no_route: no peer is linked that it concerns"]
        )

    def test_without_a_slash(self) -> None:
        """A line without a slash goes where the last message went, also where that one failed."""
        alice, bob = self.meet("alice", "bob")
        self.assertIn("To whom?", alice.types("hello")[0])
        alice.types("/msg @bob one", "two", "/status", "three", "/msg #UnB four", "five")
        self.pass_time(1)
        self.assertEqual([line.partition(" to ")[2] for line in bob.screen], [
            "@bob@UnB: one", "@bob@UnB: two", "@bob@UnB: three", "#UnB: four", "#UnB: five",
        ])  # fmt: skip

    def test_not_linked_yet(self) -> None:
        """A message to a peer that is not linked is looked after, and fails with no_route by name."""
        alice = self.user("alice")
        self.assertEqual(
            alice.types("/msg @carol hello?"), ["#1 to @carol@UnB: not linked yet, looking for a way"]
        )
        self.pass_time(SEEK_S + 0.2)
        tried = "no neighbour is linked that could be asked for a way; its address is not known"
        self.assertEqual(
            alice.screen[1:], [f"#1 to @carol@UnB: failed: no_route: no link with it within 5 s; {tried}"]
        )
        self.assertTrue(alice.session.is_idle)

    def test_linked_later(self) -> None:
        """A message that waited for a link shows the same number all the way."""
        self.rendezvous()
        alice, _ = (self.user(name, **self.listed_at()) for name in ("alice", "bob"))
        alice.types("/msg @bob early")
        self.pass_time(1)
        waiting, sent, confirmed = [line for line in alice.screen if line.startswith("#")]
        self.assertEqual(waiting, "#1 to @bob@UnB: not linked yet, looking for a way")
        self.assertEqual(sent, "#1 to @bob@UnB: sent")
        self.assertRegex(confirmed, r"^#1 to @bob@UnB: confirmed in [\d.]+ ms$")

    def test_not_confirmed(self) -> None:
        """A peer that never confirms: `not confirmed`, with how often and how long it was tried."""
        alice = self.user("alice")
        self.plain_peer(alice)
        alice.screen.clear()
        alice.types("/msg @carol hello?")
        self.pass_time(24)
        sent, ended = alice.screen
        self.assertEqual(sent, "#1 to @carol@UnB: sent")
        self.assertRegex(
            ended,
            "^#1 to @carol@UnB: not confirmed: sent 3 times in 2[0-9] s, and no confirmation came; "
            "this peer does not offer confirmations, so it may have arrived$",
        )

    def test_confirmed_late(self) -> None:
        """A message that was confirmed at the second try says so."""
        alice = self.user("alice")
        peer = self.plain_peer(alice)
        alice.types("/msg @carol hello?")
        self.pass_time(5.5)
        sent = json.loads(peer.got.splitlines()[-1])
        self.tell(peer, type="ACK", msg_id=sent["msg_id"])
        self.assertRegex(alice.screen[-1], r"^#1 to @carol@UnB: confirmed in 5\d\d\d ms, after 2 tries$")

    def test_refused_by_the_peer(self) -> None:
        """A peer's refusal shows its code and what it says, both made harmless."""
        alice = self.user("alice")
        peer = self.plain_peer(alice)
        alice.types("/msg @carol hello?")
        self.pass_time(0.5)
        sent = json.loads(peer.got.splitlines()[-1])
        self.tell(peer, type="ERROR", code="no\nway: sent", ref=sent["msg_id"], detail="go\x1b[31m")
        self.assertEqual(
            alice.screen[-1],
            "#1 to @carol@UnB: failed: no␊way:<U+0020>sent: the peer says no␊way: sent: go␛[31m",
        )

    def test_program_ends(self) -> None:
        """What is open when the node stops is told as not confirmed."""
        alice = self.user("alice")
        alice.types("/msg @carol hello?")
        self.leave(alice.villager)
        self.assertEqual(
            alice.screen[-1],
            "#1 to @carol@UnB: not confirmed: p2pchat was stopped before a confirmation came",
        )
        self.assertEqual(alice.types("/msg @carol again", "/msg * again"), ["p2pchat is stopping"] * 2)

    def test_refused_before_it_is_sent(self) -> None:
        """A text that is too long and a message to oneself are refused, and nothing is sent."""
        alice, bob = self.meet("alice", "bob")
        for line, words in (
            (
                "/msg @bob " + "x" * 40_000,
                r"^message too long: 40\d\d\d bytes on the wire, the limit is 32768$",
            ),
            ("/msg * " + "x" * 40_000, r"^message too long: 40\d\d\d bytes on the wire, the limit is 32768$"),
            ("/msg @alice hi", "^alice@UnB is yourself$"),
        ):
            (shown,) = alice.types(line)
            self.assertRegex(shown, words)
        self.pass_time(1)
        self.assertEqual((bob.screen, alice.session.is_idle), ([], True))

    def test_mistakes_send_nothing(self) -> None:
        """No mistake sends anything, also where a message was sent before; each is told in one line."""
        alice, bob = self.meet("alice", "bob")
        alice.types("/msg @bob hi")
        self.pass_time(1)
        before = len(alice.screen), len(bob.screen), alice.node.counters()
        for line in MISTAKES:
            (shown,) = alice.types(line)
            self.assertRegex(shown, "Example: /|/help shows all commands")
        self.pass_time(1)
        self.assertEqual((len(alice.screen) - len(MISTAKES), len(bob.screen)), before[:2])
        self.assertEqual(alice.node.counters(), before[2])
        self.assertEqual(alice.quits, 0)

    def test_mistakes_are_harmless_to_look_at(self) -> None:
        """What was mistyped or pasted cannot steer the display when it is repeated."""
        (shown,) = self.user("alice").types("/\x1b[2J\u202e hi")
        self.assertEqual(shown, "There is no command /␛[2J<U+202E>. /help shows all commands.")

    def test_nothing_typed(self) -> None:
        """An empty line does nothing."""
        self.assertEqual(self.user("alice").types("", "  ", "\t"), [])

    def test_busy(self) -> None:
        """When as much as may be open is open, no more input is to be read until something ends."""
        self.patch(session_module, "MAX_OPEN", 3)
        alice = self.user("alice")
        alice.types("/msg @carol one", "/msg @dave two")
        self.assertFalse(alice.session.is_busy)
        alice.types("/msg * three")
        self.assertTrue(alice.session.is_busy)
        self.pass_time(SEEK_S + 0.2)
        self.assertEqual((alice.session.is_busy, alice.session.is_idle), (False, True))


class ArrivingTests(ConsoleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.alice = self.user("alice")
        self.peer = self.plain_peer(self.alice)
        self.numbers = itertools.count()
        self.alice.screen.clear()

    def sends(self, **fields: Any) -> list[str]:
        """Let the plain peer send a message; return what alice is shown."""
        before = len(self.alice.screen)
        given = {"type": "PUB", "msg_id": f"m{next(self.numbers)}", "src": "carol@UnB", "payload": "hi"}
        self.tell(self.peer, **given | fields)
        return self.alice.screen[before:]

    def test_destinations(self) -> None:
        """Section 9.12: every way to write the destination of a PUB is shown as what it means."""
        for dst, shown in (
            ({"dst": "*"}, "*"),
            ({"dst": "#UnB"}, "#UnB"),
            ({"dst": "UnB"}, "#UnB"),
            ({"dst": "alice@UnB"}, "@alice@UnB"),
            ({"dest": "#UnB"}, "#UnB"),
            ({"dst": None}, "*"),
            ({}, "*"),
        ):
            self.assertEqual(self.sends(**dst), [f"[12:34:56] carol@UnB to {shown}: hi"])

    def test_not_for_us(self) -> None:
        """What is for another namespace is not shown."""
        self.assertEqual(self.sends(dst="#Giga"), [])

    def test_one_to_one(self) -> None:
        """A message to us alone shows our name; sent twice it is shown once."""
        for shown in (["[12:34:56] carol@UnB to @alice@UnB: hi"], []):
            self.assertEqual(self.sends(type="SEND", msg_id="same", dst="alice@UnB"), shown)

    def test_another_source(self) -> None:
        """A message that claims to be from somebody else shows who brought it."""
        (shown,) = self.sends(src="bob@UnB", dst="*")
        self.assertEqual(shown, "[12:34:56] bob@UnB (via carol@UnB) to *: hi")

    def test_harmless(self) -> None:
        """Accents, any script and emoji arrive as they were sent."""
        for text in HARMLESS:
            self.assertEqual(self.sends(payload=text), [f"[12:34:56] carol@UnB to *: {text}"])

    @given(nasty_json_text.filter(bool), nasty_json_text)
    def test_anything(self, src: str, payload: str) -> None:
        """Whatever text comes over the wire, it is one line in which nothing steers."""
        (shown,) = self.sends(src=src, payload=payload)
        self.assert_harmless(shown)

    @given(nasty_json_text, nasty_json_text, nasty_json_text)
    def test_any_complaint(self, code: str, detail: str, ref: str) -> None:
        """Whatever a peer complains about, likewise."""
        self.pass_time(1)
        (shown,) = self.sends(type="ERROR", code=code, detail=detail, ref=ref)
        self.assert_harmless(shown)
        self.assertTrue(shown.startswith("* carol@UnB reports an error: "))

    @given(nasty_json_text)
    def test_watched(self, payload: str) -> None:
        """A traced line is one line too, before that which it means."""
        self.alice.node.watching = True
        traced, shown = self.sends(payload=payload, extra=payload)
        self.assert_harmless(traced)
        self.assertTrue(traced.startswith('<- carol@UnB {"type": "PUB"'))
        self.assert_harmless(shown)

    def assert_harmless(self, line: str) -> None:
        self.assertEqual((steering(line), len(line.splitlines())), ([], 1))


class StrangeNameTests(ConsoleTestCase):
    def test_everywhere(self) -> None:
        """A strange name, version and features are harmless wherever they are shown."""
        self.rendezvous()
        alice = self.user("alice", **self.listed_at())
        name = "e\u202eve\n* bob@UnB is linked\x1b[2J@U nB"
        peer = self.stranger(alice.villager)
        features = ["metrics", "\x07\n", "\u2066"]
        self.tell(peer, type="HELLO", peer_id=name, version="1.0\n", features=features, ttl=1)
        self.pass_time(1)
        alice.types("/watch", "/peers *", "/routes", "/status")
        self.tell(peer, type="SEND", msg_id="m", src=name, dst="alice@UnB", payload="hi\r\nthere")
        self.tell(peer, type="BYE", msg_id="b", src=name, dst="alice@UnB", reason="bye\x1b[2J\n* forged")
        self.pass_time(3)
        for line in alice.screen:
            self.assertEqual((steering(line), len(line.splitlines())), ([], 1), line)
            self.assertNotIn("e\u202eve", line)
        shown = "e<U+202E>ve␊*<U+0020>bob@UnB<U+0020>is<U+0020>linked␛[2J@U<U+0020>nB"
        self.assertTrue(any(line.startswith(shown + "  10.6.6.6") for line in alice.screen))
        self.assertTrue(any(line.startswith(f"* {shown} is no longer linked: ") for line in alice.screen))


class PeersTests(ConsoleTestCase):
    def test_roster(self) -> None:
        """`/peers` shows who is registered, who is linked and how, with address, round trip and age."""
        alice, _ = self.meet("alice", "bob")
        alice.types("/ping bob")
        self.pass_time(2)
        heading, row = alice.types("/peers")
        self.assertEqual(heading.split(), ["peer", "address", "registered", "state", "rtt", "age"])
        self.assertRegex(row, r"^bob@UnB  10\.0\.1\.2:\d+ +yes +linked directly  2\.0 ms  [78] s$")

    def test_scopes(self) -> None:
        """`/peers` shows the own namespace, `#ns` another one, `*` all, sorted."""
        alice, *_ = self.meet("alice", "dave", "bob", "carol@Giga")
        for line, names in (
            ("/peers", ["bob@UnB", "dave@UnB"]),
            ("/peers #Giga", ["carol@Giga"]),
            ("/peers *", ["bob@UnB", "carol@Giga", "dave@UnB"]),
        ):
            self.assertEqual([row.split()[0] for row in alice.types(line)[1:]], names)

    def test_nobody(self) -> None:
        """Where nobody is known, that is what it says."""
        alice = self.user("alice")
        self.assertEqual(
            alice.types("/peers", "/peers *", "/peers #Gi\u202ega"),
            [f"Nobody else is known in {scope}." for scope in ("#UnB", "*", "#Gi<U+202E>ga")],
        )

    def test_not_linked(self) -> None:
        """Who is registered and not linked shows why, and when it is tried again."""
        alice, bob = self.meet("alice", "bob")
        self.crash(bob.villager)
        alice.types("/disconnect bob")
        self.pass_time(3)
        (row,) = alice.types("/peers")[1:]
        self.assertRegex(
            row, r"^bob@UnB  10\.0\.1\.2:7070  yes  +not linked; not dialled: disconnected by the user +- +-$"
        )

    def test_plain(self) -> None:
        """A plain peer is shown as such, and as not registered where it is not."""
        alice = self.user("alice")
        self.plain_peer(alice)
        (row,) = alice.types("/peers")[1:]
        self.assertRegex(row, r"^carol@UnB  10\.6\.6\.6:\d+  no +linked directly, plain  - +1 s$")


class ConnectTests(ConsoleTestCase):
    def test_disconnect_and_connect(self) -> None:
        """`/disconnect` says BYE and keeps the peer away, `/connect` dials and says what came of it."""
        alice, bob = self.meet("alice", "bob")
        self.assertEqual(
            alice.types("/disconnect bob"),
            [
                "* bob@UnB is no longer linked: disconnected by the user",
                "BYE to bob@UnB. No link with it is taken before /connect bob@UnB.",
            ],
        )
        self.pass_time(40)
        self.assertEqual(bob.node.neighbours, {})
        self.assertEqual(
            alice.types("/disconnect bob"),
            ["There is no link with bob@UnB. No link with it is taken before /connect bob@UnB."],
        )
        self.assertEqual(alice.types("/connect bob"), ["Dialling bob@UnB..."])
        self.pass_time(1)
        self.assertIn("bob@UnB is linked, at 10.0.1.2:7070.", alice.screen)
        self.assertEqual(alice.types("/connect bob"), ["bob@UnB is linked already."])

    def test_unknown(self) -> None:
        """A peer whose address nobody knows cannot be dialled."""
        alice = self.user("alice")
        self.assertEqual(alice.types("/connect carol"), [
            "Dialling carol@UnB...",
            "That did not work: carol@UnB is not in the roster, so its address is not known",
        ])  # fmt: skip
        self.assertTrue(alice.session.is_idle)

    def test_refused(self) -> None:
        """Where nobody listens any more, the reason is told."""
        alice, bob = self.meet("alice", "bob")
        self.kill(bob.villager)
        self.pass_time(1)
        alice.types("/connect bob")
        self.assertFalse(alice.session.is_idle)
        self.pass_time(1)
        self.assertIn("That did not work: connection refused", alice.screen[-1])

    def test_yourself(self) -> None:
        """A command about a peer that names oneself says so, and does nothing."""
        alice = self.user("alice")
        for name in ("connect", "disconnect", "who", "ping", "metrics"):
            self.assertEqual(
                alice.types(f"/{name} alice"),
                ["alice@UnB is you yourself. Name another peer, or see /status."],
            )
        self.assertTrue(alice.session.is_idle)


class AskingTests(ConsoleTestCase):
    def test_routes(self) -> None:
        """`/routes` shows each link with its address, round trip, queue, counts and age."""
        alice, _ = self.meet("alice", "bob")
        heading, row, end = alice.types("/routes")
        self.assertEqual(heading.split(), ["neighbour", "address", "way", "rtt", "queue", "in", "out", "age"])
        self.assertRegex(row, r"^bob@UnB    10\.0\.1\.2:\d+ +(dialled|accepted) +\S+.* 0 +\d+ +\d+ +\d s$")
        self.assertEqual(end, "No routes over others are known: each neighbour is its own next hop.")

    def test_no_routes(self) -> None:
        """Without a link there is nothing to show."""
        self.assertEqual(self.user("alice").types("/routes"), ["No peer is linked, so there are no routes."])

    def test_who(self) -> None:
        """`/who` shows how a peer would be reached, where it is registered, and every link with it."""
        alice, _ = self.meet("alice", "bob")
        self.plain_peer(alice)
        shown = alice.types("/who bob")
        self.assertEqual(shown[:2], ["bob@UnB: linked directly", "  rendezvous: registered at 10.0.1.2:7070"])
        self.assertRegex(
            shown[2],
            r"^  link: 10\.0\.1\.2:\d+, dialled by (us|it), rtt .*, offers ack, metrics, relay, who_has$",
        )
        shown = alice.types("/who carol")
        self.assertEqual(shown[0], "carol@UnB: linked directly, plain")
        self.assertRegex(shown[2], "dialled by it, rtt -, offers nothing$")
        self.assertEqual(
            alice.types("/who dave")[:2],
            ["dave@UnB: not linked; its address is not known", "  rendezvous: not registered there"],
        )

    def test_who_is_gone(self) -> None:
        """A peer that went shows the last failure and the next try."""
        alice, bob = self.meet("alice", "bob")
        self.kill(bob.villager)
        self.pass_time(20)
        self.assertRegex(
            alice.types("/who bob")[0],
            r"^bob@UnB: not linked; next try in \d+ s; last try: .*refused",
        )
        self.network.cut(alice.villager.ip, bob.villager.ip)
        alice.types("/connect bob")
        self.assertRegex(alice.types("/who bob")[0], "^bob@UnB: not linked; dialling now")

    def test_ping(self) -> None:
        """`/ping` measures a round trip."""
        alice, _ = self.meet("alice", "bob")
        self.assertEqual((alice.types("/ping bob"), alice.session.is_idle), ([], False))
        self.pass_time(1)
        self.assertEqual(alice.screen, ["PONG from bob@UnB after 2.0 ms"])
        self.assertTrue(alice.session.is_idle)

    def test_ping_fails(self) -> None:
        """A peer that is not linked, is silent, or goes meanwhile: each is told."""
        alice = self.user("alice")
        self.assertEqual(alice.types("/ping bob"), ["That did not work: no link with bob@UnB"])
        peer = self.plain_peer(alice)
        alice.screen.clear()
        alice.types("/ping carol")
        self.pass_time(5.1)
        self.assertEqual(alice.screen, ["No answer within 5 s."])
        alice.types("/ping carol")
        assert peer.transport is not None
        peer.transport.loseConnection()
        self.pass_time(1)
        self.assertTrue(any(line.startswith("That did not work: ") for line in alice.screen), alice.screen)

    def test_metrics(self) -> None:
        """`/metrics` shows what was counted, with a peer how that peer sees the link."""
        alice, _ = self.meet("alice", "bob")
        shown = alice.types("/metrics")
        self.assertEqual({line.split()[0]: int(line.split()[1]) for line in shown}, alice.node.counters())
        alice.screen.clear()
        alice.types("/metrics bob")
        self.pass_time(1)
        self.assertRegex(
            alice.screen[0],
            r"^bob@UnB sees: rtt .*, \d lines sent to us, \d received from us, last at 2026-01-02T03:04:05Z$",
        )

    def test_metrics_fail(self) -> None:
        """A peer without that feature, or without a link, is told."""
        alice = self.user("alice")
        self.plain_peer(alice)
        self.assertEqual(alice.types("/metrics carol", "/metrics dave"), [
            "That did not work: carol@UnB does not offer metrics",
            "That did not work: no link with dave@UnB",
        ])  # fmt: skip

    def test_strange_metrics(self) -> None:
        """Whatever a peer says of the link is one harmless line."""
        alice = self.user("alice")
        peer = self.plain_peer(alice, "carol@UnB", "metrics")
        for rtt_ms, last_seen, shown in ((None, None, "rtt not measured"), (1e300, "\n\u202e", "␊<U+202E>")):
            alice.types("/metrics carol")
            self.pass_time(0.5)
            asked = json.loads(peer.got.splitlines()[-1])
            self.tell(
                peer, type="METRICS", msg_id=asked["msg_id"], rtt_ms=rtt_ms, last_seen=last_seen,
                sent_count=10**18, recv_count=-1,
            )  # fmt: skip
            self.assertIn(shown, alice.screen[-1])

    def test_status(self) -> None:
        """`/status` shows who we are, the port, the rendezvous, links and open messages."""
        alice, _ = self.meet("alice", "bob")
        alice.types("/msg @carol hi")
        self.assertEqual(alice.types("/status"), [
            "You are alice@UnB, for 6 s.",
            "Listening on port 7070, known to others as 7070.",
            f"Rendezvous: {RENDEZVOUS}, registered.",
            "Linked: 1 of 1 known peers.",
            "Messages that wait for their outcome: 1.",
        ])  # fmt: skip

    def test_status_of_the_rendezvous(self) -> None:
        """The rendezvous is shown as it is: none, not yet, not working, hosted here."""
        self.assertIn("Rendezvous: none.", self.user("alice").types("/status"))
        bob = self.user("bob", advertise_port=9999, **self.listed_at())
        shown = bob.types("/status")
        self.assertIn(f"Rendezvous: {RENDEZVOUS}, not registered yet.", shown)
        self.assertIn("Listening on port 7070, known to others as 9999.", shown)
        self.pass_time(1)
        self.assertIn(f"Rendezvous: {RENDEZVOUS}, not working: connection refused.", bob.types("/status"))
        (host,) = map(User, self.join_shared("carol"))
        self.pass_time(3)
        self.assertIn("Rendezvous: 127.0.0.1:5000, registered, hosted by this peer.", host.types("/status"))


class SwitchTests(ConsoleTestCase):
    def test_watch(self) -> None:
        """`/watch` shows every line that arrives, until it is typed again."""
        alice = self.user("alice")
        peer = self.plain_peer(alice)
        self.assertEqual(alice.types("/watch"), ["Watching what arrives; /watch again ends it."])
        self.tell(peer, type="PING", msg_id="p1")
        self.assertEqual(alice.screen[-1], '<- carol@UnB {"type": "PING", "msg_id": "p1"}')
        self.assertEqual(alice.types("/watch"), ["Not watching."])
        self.tell(peer, type="PING", msg_id="p2")
        self.assertEqual(alice.screen[-1], "Not watching.")

    def test_log(self) -> None:
        """`/log` sets the level."""
        alice = self.user("alice")
        for level in LOG_LEVELS:
            self.assertEqual(alice.types(f"/log {level}"), [f"The log gets {level} and above."])
        self.assertEqual(alice.levels, list(LOG_LEVELS))

    def test_help(self) -> None:
        """`/help` shows a line for each command."""
        shown = self.user("alice").types("/help")
        self.assertEqual(len(shown), 14)
        self.assertTrue(all(line.startswith("/") for line in shown[:-1]))

    def test_quit(self) -> None:
        """`/quit` ends the program; nothing that was typed behind it is carried out."""
        alice, bob = self.meet("alice", "bob")
        self.assertEqual(alice.types("/quit", "/msg @bob oops", "/quit", "oops"), [])
        self.pass_time(1)
        self.assertEqual((alice.quits, bob.screen), (1, []))


class DefectTests(ConsoleTestCase):
    def test_command_that_breaks(self) -> None:
        """A defect of ours in a command is logged, and the user is told; the session goes on."""
        alice = self.user("alice")
        with mock.patch.object(type(alice.node), "counters", side_effect=ZeroDivisionError):
            (shown,) = alice.types("/metrics")
        self.assertEqual(
            shown, "Something failed inside p2pchat; the log says what. Nothing else was changed."
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(alice.types("/status")), 5)

    def test_question_that_breaks(self) -> None:
        """The same where it shows only in the answer; and the question is not open for ever."""
        alice = self.user("alice")
        broken: Deferred[float] = fail(ZeroDivisionError())
        with mock.patch.object(type(alice.node), "ping", return_value=broken):
            (shown,) = alice.types("/ping bob")
        self.assertIn("Something failed inside p2pchat; the log says what.", shown)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(alice.session.is_idle)

    def test_no_such_command(self) -> None:
        """A command that nobody carries out is a defect of ours too."""
        alice = self.user("alice")
        with mock.patch.object(commands, "parse", return_value=PeerId("x@y")):
            self.assertIn("Something failed", alice.types("/x")[0])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
