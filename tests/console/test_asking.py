"""Commands that ask: who is there, how linked, how they do."""

from __future__ import annotations

import json

from p2pchat.protocol.names import PeerId
from p2pchat.trust.cards import fingerprint
from tests.console.users import ConsoleTestCase, User
from tests.keys import identity_of
from tests.village import RENDEZVOUS


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
        self.assertRegex(row, r"^carol@UnB  10\.6\.6\.6:\d+  no +linked directly, plain, unsecured  - +1 s$")


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
        key = fingerprint(identity_of(PeerId("bob@UnB")).key)
        self.assertEqual(shown[:3], [
            "bob@UnB: linked directly",
            f"  key: {key}, not verified",
            "  rendezvous: registered at 10.0.1.2:7070",
        ])  # fmt: skip
        self.assertRegex(
            shown[3],
            r"^  link: 10\.0\.1\.2:\d+, dialled by (us|it), encrypted, rtt .*, offers ack, "
            "metrics, relay, who_has$",
        )
        shown = alice.types("/who carol")
        self.assertEqual(shown[0], "carol@UnB: linked directly, plain, unsecured")
        self.assertRegex(shown[3], "dialled by it, unsecured, rtt -, offers nothing$")
        self.assertEqual(
            alice.types("/who dave")[:3],
            [
                "dave@UnB: not linked; its address is not known",
                "  key: not known",
                "  rendezvous: not registered there",
            ],
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
            f"Your key: {fingerprint(identity_of(alice.own).key)}.",
            "Links: 1 encrypted, 0 unsecured. Keys of others: 1 known; 0 peers blocked.",
            "Messages that wait for their outcome: 1.",
            "All is well.",
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
