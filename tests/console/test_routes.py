"""What `/routes`, `/who` and `/peers` show of peers that are reached through others."""

from __future__ import annotations

import re

from p2pchat.console import session as session_module
from p2pchat.routing.routes import EXPIRY_S
from tests.console.relays import RelayedTestCase


class RoutesTests(RelayedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.alice = self.user("alice")
        for relay in ("r1@UnB", "r2@UnB"):
            self.relay(self.alice, relay)

    def rows(self) -> list[list[str]]:
        """Return the rows about routes over others, in columns."""
        shown = self.alice.types("/routes")
        (start,) = [number for number, line in enumerate(shown) if line.startswith("destination")]
        return [re.split("  +", line) for line in shown[start + 1 :]]

    def columns(self) -> list[str]:
        """Return the columns of the only route."""
        (row,) = self.rows()
        return row

    def test_learned(self) -> None:
        """A route that nobody used shows who, through whom, how far, and how long it is kept."""
        self.brings("r1@UnB", "dave@UnB")
        self.assertEqual(
            self.columns(), ["dave@UnB", "r1@UnB", "2", "-", "not tried yet", "-", "0 s", "4 min 59 s"]
        )

    def test_quality(self) -> None:
        """A route that was used shows its round trip, and how many messages were confirmed."""
        self.brings("r1@UnB", "dave@UnB")
        self.alice.types("/msg @dave one")
        self.answer(
            "r1@UnB",
            lambda send: {
                "type": "ACK", "msg_id": send["msg_id"], "from": "dave@UnB", "dst": "alice@UnB", "ttl": 7
            },
            1.0,
        )  # fmt: skip
        self.alice.types("/msg @dave two")
        self.pass_time(24)
        columns = next(row for row in self.rows() if row[1] == "r1@UnB")
        self.assertRegex(columns[3], "^5[0-9][0-9] ms$")
        self.assertEqual(columns[4], "1 of 4 confirmed")
        self.assertRegex(columns[5], "^2[0-9] s ago$")

    def test_sorted(self) -> None:
        """Routes are sorted by destination; of several ways the one that is taken comes first."""
        for dst in ("zoe@UnB", "dave@UnB"):
            self.brings("r1@UnB", dst)
        self.brings("r2@UnB", "dave@UnB")
        self.alice.types("/msg @dave hi")
        self.pass_time(6)
        self.assertEqual(
            [row[:2] for row in self.rows()],
            [["dave@UnB", "r2@UnB"], ["dave@UnB", "r1@UnB"], ["zoe@UnB", "r1@UnB"]],
        )

    def test_expired(self) -> None:
        """A route that is over and not yet swept away shows no time below nothing."""
        self.brings("r1@UnB", "dave@UnB")
        route = next(route for route in self.alice.node.router.routes if route.dst == "dave@UnB")
        route.touched_at_s -= EXPIRY_S + 3
        self.assertEqual(self.columns()[-1], "0 s")

    def test_many(self) -> None:
        """Of a table that is too long the first rows are shown, and how many more there are."""
        self.patch(session_module, "MAX_ROWS", 3)
        for number in range(5):
            self.brings("r1@UnB", f"d{number}@UnB")
        *rows, more = self.rows()
        self.assertEqual(
            ([row[0] for row in rows], more), (["d0@UnB", "d1@UnB", "d2@UnB"], ["... and 2 more."])
        )

    def test_who(self) -> None:
        """`/who` shows each way, which one is taken, and why not the others."""
        for relay in ("r1@UnB", "r2@UnB"):
            self.brings(relay, "dave@UnB")
        self.alice.types("/msg @dave hi")
        self.pass_time(6)
        shown = self.alice.types("/who dave")
        self.assertEqual(shown, [
            "dave@UnB: reached through r2@UnB",
            "  key: this peer looks at no keys",
            "  rendezvous: not registered there",
            "  link: not linked; its address is not known",
            "  way: through r2@UnB, 2 hops, not tried yet",
            "  other way: through r1@UnB, 2 hops, 0 of 1 confirmed; "
            "not taken: more messages in a row were not confirmed over it",
        ])  # fmt: skip

    def test_who_cannot_be_dialled(self) -> None:
        """Of a peer that is reached through others `/who` says why there is no link."""
        self.rendezvous()
        zoe, bob, carol = (self.user(name, **self.listed_at()) for name in ("zoe", "bob", "carol"))
        self.network.cut(zoe.villager.ip, carol.villager.ip)
        self.pass_time(40)
        zoe.types("/msg @carol hi")
        self.pass_time(1)
        state, _, rendezvous, link, way = zoe.types("/who carol")
        self.assertEqual(state, f"carol@UnB: reached through {bob.own}")
        self.assertEqual(rendezvous, f"  rendezvous: registered at {carol.villager.ip}:7070")
        self.assertRegex(link, r"^  link: not linked; (next try in \d+ s|dialling now); last try: no answer$")
        self.assertRegex(way, "^  way: through bob@UnB, 2 hops, rtt .*; no other is known$")

    def test_who_is_linked(self) -> None:
        """The direct link is a way too, and its own reason."""
        self.brings("r1@UnB", "r2@UnB")
        *_, way, other = self.alice.types("/who r2")
        self.assertEqual(way, "  way: directly, not tried yet")
        self.assertEqual(
            other,
            "  other way: through r1@UnB, 2 hops, not tried yet; not taken: the direct link is preferred",
        )
        self.assertEqual(self.alice.types("/who r1")[-1], "  way: directly, not tried yet; no other is known")

    def test_who_is_unknown(self) -> None:
        """Without a way, `/who` says what a message would try: what there is to try."""
        self.assertEqual(
            self.alice.types("/who dave")[-1],
            "  way: none is known; a message would ask the neighbours for one",
        )
        self.assertEqual(
            self.user("bob").types("/who dave")[-1],
            "  way: none is known, and nobody is linked who could be asked for one",
        )
        self.rendezvous()
        zoe = self.user("zoe", **self.listed_at())
        carol = self.user("carol", **self.listed_at())
        self.pass_time(6)
        self.kill(carol.villager)
        self.pass_time(1)
        self.assertEqual(
            zoe.types("/who carol")[-1],
            "  way: none is known; a message would dial it; nobody is linked who could be asked for one",
        )

    def test_peers(self) -> None:
        """`/peers` shows who is reached through others too, with the round trip and age of the way."""
        alice, _, _ = self.chain()
        alice.types("/msg @carol hi")
        self.pass_time(2)
        _, direct, relayed = alice.types("/peers")
        self.assertRegex(direct, "^bob@UnB .* linked directly, unsecured ")
        self.assertRegex(relayed, r"^carol@UnB  - +no +reached through bob@UnB +[\d.]+ ms  [12] s$")
        self.assertIn("Linked: 1 of 2 known peers; 1 more is reached through others.", alice.types("/status"))
        self.alice.types("/peers *")
        self.brings("r1@UnB", "dave@UnB")
        self.brings("r1@UnB", "zoe@Giga")
        status = "Linked: 2 of 4 known peers; 2 more are reached through others."
        self.assertIn(status, self.alice.types("/status"))
