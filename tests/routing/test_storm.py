"""Anything at all, in any order: nothing breaks, everything ends (docs/protocol.md, sections 4, 5 and 8)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pchat.protocol.codec import decode
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.routing import discovery, relay, routes
from p2pchat.routing.delivery import Delivery
from p2pchat.routing.quotas import Limits, Rate
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase

PEERS = (BOB, CAROL, DAVE, ERIN)
NAMES = (ALICE, *PEERS, "far@UnB", "zoe@Giga", "*", "#UnB", "", "nonsense")
KINDS = ("SEND", "PUB", "ACK", "WHO_HAS", "WHO_HAS_HIT", "ERROR", "RELAY_OK", "RELAY_FAIL", "TTL_EXPIRED")
CODES = ("no_route", "busy", "over_quota", "ttl_expired", "made up", "")

#: What may stand in the fields of a message. Few ids, so that they meet; a1 to a6 are our own.
FIELDS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(KINDS),
        "msg_id": st.sampled_from(["m1", "m2", "a1", "a2", "a3", "a4", "a5", "a6"]),
        "src": st.sampled_from(NAMES),
        "dst": st.sampled_from(NAMES),
        "payload": st.sampled_from(["hi", "olá", "\x00"]),
        "ttl": st.sampled_from([8, 7, 2, 1, 0, -1, 99, 10**30, None]),
    },
    optional={
        "attempt": st.sampled_from([1, 2, 10**30]),
        "from": st.sampled_from(NAMES),
        "hops": st.sampled_from([-1, 0, 1, 7, 8, 10**30]),
        "require_ack": st.booleans(),
        "code": st.sampled_from(CODES),
        "reason": st.sampled_from(CODES),
        "color": st.sampled_from(["é", [{"x": None}]]),
    },
)

#: What may happen to a peer, or be said to it.
EVENTS = ("up", "plain up", "down", "full", "send", "send", "publish", "lost")

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["up", "plain up", "down", "full", "send", "publish", "lost"]), st.sampled_from(PEERS)
    )
    | st.tuples(st.sampled_from(PEERS), FIELDS)
    | st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 2.6, 6.0, 40.0, 70.0])),
    min_size=20,
    max_size=60,
)


class StormTests(RouterTestCase):
    """The router among four peers that say anything."""

    def setUp(self) -> None:
        super().setUp()
        self.near: dict[PeerId, Neighbour] = {}
        self.all: list[Neighbour] = []
        self.sent: list[Delivery] = []
        self.router.hood.limits = Limits(*[Rate(1.0, 5.0)] * 5)

    @given(STEPS)
    @settings(deadline=None)
    def test_whatever_happens(self, steps: list[tuple[Any, Any]]) -> None:
        """Nothing but refusals is raised; tables keep their bounds; each message of ours ends once."""
        self.patch(routes, "MAX_ROUTES", 6)
        self.patch(relay, "MAX_PARKED", 2)
        self.patch(discovery, "MAX_QUESTIONS", 2)
        self.setUp()
        for peer_id in PEERS:
            self.step("plain up" if peer_id == ERIN else "up", peer_id)
        for what, about in steps:
            self.step(what, about)
            self.check_bounds()
        for peer_id in list(self.near):
            self.step("down", peer_id)
        self.pass_time(200.0)
        sizes = self.router.sizes()
        del sizes["messages_seen"]
        self.assertEqual(sizes, dict.fromkeys(sizes, 0))
        self.check_outcomes()
        self.check_lines()

    def pass_time(self, seconds: float) -> None:
        """Let time pass in few steps."""
        for _ in range(10):
            self.now_s += seconds / 10
            self.router.tick()

    def step(self, what: Any, about: Any) -> None:
        """Let one thing happen, where it can."""
        near = self.near.get(about) if isinstance(about, PeerId) else None
        if what == "time":
            self.pass_time(about)
        elif what in ("up", "plain up") and near is None:
            self.near[about] = self.link(about, plain=what == "plain up")
            self.all.append(self.near[about])
        elif what == "send":
            self.sent.append(self.router.send(about, "hi"))
        elif what == "publish":
            self.router.publish(ToAll(), "hi")
        elif what in self.near:
            self.say(self.near[what], about)
        elif near is not None:
            self.befall(what, near)

    def befall(self, what: str, near: Neighbour) -> None:
        """Let something happen to a neighbour."""
        if what == "down":
            self.router.neighbour_down(self.near.pop(near.peer_id), "fell")
            self.say(near, {"type": "ACK", "msg_id": "a1"})
            self.say(near, {"type": "SEND", "msg_id": "m3", "src": DAVE, "dst": ERIN, "payload": "late"})
        elif what == "lost":
            self.router.link_lost(near, "fell")
        elif what == "full":
            near.full = not near.full

    def say(self, neighbour: Neighbour, fields: dict[str, Any]) -> None:
        """Let a message arrive, if it is one; it may be refused by name, and by nothing else."""
        line = json.dumps(fields, ensure_ascii=False).encode()
        try:
            self.router.received(neighbour, decode(line), line)
        except ProtocolError as problem:
            self.assertIn(problem.code, (ErrorCode.BAD_FORMAT, ErrorCode.UNAUTHORIZED))

    def check_bounds(self) -> None:
        """Assert that no table is longer than it may be."""
        sizes = self.router.sizes()
        self.assertLessEqual(sizes["routes"], 6 + len(self.near))
        self.assertLessEqual(sizes["messages_parked"], 2)
        self.assertLessEqual(sizes["questions_open"], 2)
        self.assertEqual(sizes["pending"], len(self.sent) - len(self.house.settlements))

    def check_outcomes(self) -> None:
        """Assert that each message of ours has one outcome, with its name and its reason."""
        settled = sorted(each.msg_id for each in self.house.settlements)
        self.assertEqual(settled, sorted(each.msg_id for each in self.sent))
        for each in self.house.settlements:
            self.assertTrue(each.is_over)
            self.assertTrue(each.took_s >= 0 if not each.code else each.why)
            self.assertLessEqual(each.tries, 6)
        self.assertEqual(len(self.house.began), len({each.msg_id for each in self.house.began}))

    def check_lines(self) -> None:
        """Assert that all that was written can be read, and suits who got it (9.1, 9.4)."""
        for neighbour in self.all:
            for line in neighbour.lines:
                self.assertLessEqual(len(line), MAX_LINE + 1)
                message, ttl = decode(line[:-1]), json.loads(line)["ttl"]
                self.assertIsInstance(ttl, int)
                if neighbour.plain:
                    self.assertEqual((ttl, line.isascii()), (1, True))
                    self.assertIn(type(message).__name__, ("Send", "Pub", "Ack", "Error", "WhoHasHit"))
                else:
                    self.assertTrue(0 <= ttl <= 8)
            for source, _line in neighbour.passed_on:
                self.assertNotEqual(source, neighbour.peer_id)
