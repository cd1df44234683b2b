"""What programs can ask of a node."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, TimeoutError, fail

from p2pchat import telling
from p2pchat.control.rpc import Code
from p2pchat.links.dialler import DialFailed
from p2pchat.links.questions import LinkClosed
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId
from p2pchat.routing.discovery import SEEK_S
from p2pchat.store.store import Unreadable
from p2pchat.trust.cards import fingerprint
from tests.control.clients import ControlTestCase


class MethodTests(ControlTestCase):
    def later(self, method: str, **params: Any) -> Any:
        """Ask for something that takes a moment; return what came of it."""
        self.assertEqual(self.client.asks(method, **params), [])
        self.pass_time(1)
        [answer] = self.client.gets()
        return answer["result"]

    def test_send(self) -> None:
        """A message is answered when its outcome is known: that it was confirmed."""
        outcome = self.later("send", to="@bob", text="hi")
        self.assertTrue(outcome.pop("msg_id"))
        self.assertAlmostEqual(outcome.pop("took_s"), 0.002)
        self.assertEqual(outcome, {
            "is_confirmed": True, "is_kept": False, "is_proved": True, "tries": 1, "via": "bob@UnB",
            "reason": None, "why": None,
        })  # fmt: skip
        self.assertIn("alice@UnB to @bob@UnB: hi", self.bob.screen[-1])

    def test_send_failed(self) -> None:
        """A message that fails is answered with the reason, by its name and in words."""
        self.client.asks("send", to="@carol", text="hi")
        self.pass_time(SEEK_S + 1)
        outcome = self.client.gets()[-1]["result"]
        self.assertEqual((outcome["is_confirmed"], outcome["reason"]), (False, "no_route"))
        self.assertIn("its address is not known", outcome["why"])
        self.assertEqual((outcome["took_s"], outcome["via"]), (None, None))

    def test_send_over_at_once(self) -> None:
        """One that fails while it is said is answered, too."""
        delivery = self.alice.node.send(self.bob.own, "x")
        self.pass_time(1)
        with mock.patch.object(Node, "send", return_value=delivery):
            self.assertTrue(self.client.result("send", to="@bob", text="x")["is_confirmed"])

    def test_send_refused(self) -> None:
        """What cannot be said at all is refused."""
        problem = self.client.error("send", to="@alice", text="hi")
        self.assertEqual((problem["code"], problem["data"]), (Code.REFUSED, {"reason": "bad_format"}))
        self.assertIn("is yourself", problem["message"])

    def test_send_to_many(self) -> None:
        """To a namespace or all, it tells how many neighbours took it."""
        for to in ("#UnB", "*"):
            self.assertEqual(self.client.result("send", to=to, text="hi"), {"neighbours": 1})

    def test_gone_before_the_outcome(self) -> None:
        """Who is gone when the outcome comes gets nothing, and nobody is hurt."""
        self.client.asks("send", to="@bob", text="hi")
        self.client.protocol.connectionLost()
        self.pass_time(1)
        self.assertEqual(self.client.gets(), [])

    def test_status(self) -> None:
        """It tells who we are and how we do."""
        status = self.client.result("status")
        trust = self.alice.node.gate.trust
        assert trust is not None
        self.assertEqual(status.pop("uptime_s"), 6.0)
        self.assertEqual(status.pop("rendezvous")["is_registered"], True)
        self.assertEqual(status, {
            "peer_id": "alice@UnB", "port": 7070, "advertised_port": 7070, "neighbours": 1, "known": 1,
            "fingerprint": fingerprint(trust.identity.key), "open_messages": 0, "kept_messages": 0,
            "courier": None, "unread": {}, "troubles": [],
        })  # fmt: skip

    def test_peers(self) -> None:
        """It tells of each peer that is known how it is reached."""
        [bob] = self.client.result("peers")
        self.assertTrue(bob.pop("linked_at") and bob.pop("registered_at"))
        self.assertIsInstance(bob.pop("rtt_s"), float)
        self.assertEqual(bob, {
            "peer_id": "bob@UnB", "is_encrypted": True, "is_plain": False, "is_verified": False, "via": None,
        })  # fmt: skip

    def test_way(self) -> None:
        """It tells over whom a message would go, and who could read it."""
        for to, full, via, protection in (
            ("@bob", "@bob@UnB", None, "link"),
            ("@nobody", "@nobody@UnB", None, None),
            ("#UnB", "#UnB", None, "signed"),
            ("*", "*", None, "signed"),
        ):
            way = self.client.result("way", to=to)
            self.assertEqual(way, {"to": full, "via": via, "protection": protection})
        self.assertEqual(self.client.error("way", to="bob")["code"], Code.PARAMS)

    def test_way_over_others(self) -> None:
        """Over a relay it is sealed, if the card of the peer is known."""
        self.plain_peer(self.alice, "carol@UnB", "relay")
        routes = self.alice.node.router.routes
        for name in ("dora@UnB", "bob@UnB"):
            routes.learn(PeerId(name), PeerId("carol@UnB"), 2, self.alice.node.now_s)
        via = {"via": "carol@UnB"}
        self.assertEqual(
            self.client.result("way", to="@dora"), {"to": "@dora@UnB", "protection": "signed", **via}
        )
        self.client.result("disconnect", peer="bob")
        self.pass_time(1)
        self.assertEqual(
            self.client.result("way", to="@bob"), {"to": "@bob@UnB", "protection": "sealed", **via}
        )
        self.assertEqual(
            self.client.result("way", to="@carol"), {"to": "@carol@UnB", "via": None, "protection": "none"}
        )

    def test_seen(self) -> None:
        """What the user has seen at one surface is told to the next."""
        self.assertEqual(self.client.result("hello")["seen"], "run-0")
        self.client.result("send", to="*", text="hi")
        self.assertIsNone(self.client.result("seen", cursor="run-1"))
        self.assertEqual(self.desk.client().result("hello")["seen"], "run-1")
        self.assertEqual(self.client.error("seen", cursor="run-99")["code"], Code.PARAMS)

    def test_links(self) -> None:
        """Links are measured, ended and made."""
        self.assertAlmostEqual(self.later("ping", peer="bob")["rtt_s"], 0.002)
        self.assertEqual(self.client.result("disconnect", peer="bob"), {"was_linked": True})
        self.assertEqual(self.client.result("disconnect", peer="bob"), {"was_linked": False})
        self.assertEqual(self.client.error("ping", peer="bob")["data"], {"reason": "not_linked"})
        self.pass_time(1)
        self.assertIn(":7070", self.later("connect", peer="@bob@UnB")["address"])

    def test_refused(self) -> None:
        """What goes wrong with a link has a reason for programs."""
        for problem, reason in (
            (TimeoutError(), "timeout"),
            (LinkClosed("gone"), "link_failed"),
            (DialFailed("no"), "link_failed"),
        ):
            failed: Deferred[float] = fail(problem)
            with mock.patch.object(Node, "ping", return_value=failed):
                told = self.client.error("ping", peer="bob")
            self.assertEqual((told["code"], told["data"]), (Code.REFUSED, {"reason": reason}))

    def test_counters(self) -> None:
        """All that is counted can be had, also by programs."""
        self.assertEqual(self.client.result("counters"), json.loads(json.dumps(self.alice.node.counters())))

    def test_stop(self) -> None:
        """The program is ended once the answer is written."""
        self.assertIsNone(self.client.result("stop"))
        self.assertEqual(self.desk.stops, 1)


class KeptTests(ControlTestCase):
    """What is kept, as programs see it."""

    keep = True

    def test_outbox(self) -> None:
        """What has no outcome is listed with why, and can be given up."""
        self.client.asks("send", to="@carol", text="hi")
        self.pass_time(6)
        (sent,) = self.client.gets()
        self.assertEqual((sent["result"]["is_kept"], sent["result"]["reason"]), (True, "no_route"))
        (kept,) = self.answer("outbox")
        self.assertEqual((kept["dst"], kept["payload"], kept["state"]), ("carol@UnB", "hi", "waiting"))
        self.assertIn("no link with it", kept["why"])
        for was_kept in (True, False):
            self.assertEqual(self.answer("cancel", msg_id=kept["msg_id"]), {"was_kept": was_kept})

    def test_history(self) -> None:
        """What was said can be had, of one conversation or of all, by its words, and how much is unread."""
        self.alice.session.close()  # else it shows all that comes
        self.bob.types("/msg @alice olá", "/msg #UnB all")
        self.pass_time(1)
        self.assertEqual(self.answer("unread"), {"@bob@UnB": 1, "#UnB": 1})
        one, two = self.answer("history")
        self.assertEqual((one["text"], one["state"], two["conversation"]), ("olá", "heard", "#UnB"))
        self.assertEqual([each["text"] for each in self.answer("history", conversation="#UnB", n=1)], ["all"])
        self.assertEqual([each["text"] for each in self.answer("search", words="OLA")], ["olá"])
        hello = self.answer("hello")
        self.assertEqual(hello["greeting"][1:], ["Unread: 2 messages (#UnB 1, @bob@UnB 1): /history"])
        self.answer("seen", cursor=hello["cursor"])
        self.assertEqual(self.answer("unread"), {})
        self.assertEqual(len(self.answer("hello")["greeting"]), 1)

    def test_read(self) -> None:
        """A conversation is read by itself, at whatever surface; what came before this run counts as well."""
        self.alice.session.close()
        self.bob.types("/msg @alice olá", "/msg @alice hi", "/msg #UnB all", "/msg * everybody")
        self.pass_time(1)
        self.assertEqual(self.answer("status")["unread"], {"@bob@UnB": 2, "#UnB": 1, "*": 1})
        self.answer("read", conversation="@bob")
        self.assertEqual(self.answer("status")["unread"], {"#UnB": 1, "*": 1})
        self.assertEqual(self.answer("unread"), {"#UnB": 1, "*": 1})
        self.answer("read", conversation="@bob")
        (answer,) = self.client.asks("read", conversation="bob")
        self.assertEqual(answer["error"]["code"], Code.PARAMS)
        self.answer("seen", cursor=self.answer("hello")["cursor"])
        self.assertEqual((self.answer("status")["unread"], self.answer("unread")), ({}, {}))

    def test_unread_is_bounded(self) -> None:
        """Of very many conversations it is counted in some."""
        self.patch(telling, "MAX_UNREAD", 1)
        self.alice.session.close()
        self.bob.types("/msg @alice 1", "/msg #UnB 2", "/msg @alice 3")
        self.pass_time(1)
        self.assertEqual(self.answer("status")["unread"], {"@bob@UnB": 2})

    def test_unreadable(self) -> None:
        """Where the history cannot be read, programs are greeted, and told why they get none."""
        self.patch(self.alice.node.store, "unread", lambda: fail(Unreadable("no disk")))
        self.patch(self.alice.node.store, "latest", lambda *_given: fail(Unreadable("no disk")))
        self.assertEqual(len(self.answer("hello")["greeting"]), 1)
        (answer,) = self.client.asks("history")
        self.assertEqual(
            (answer["error"]["message"], answer["error"]["data"]), ("no disk", {"reason": "unreadable"})
        )

    def test_how_much(self) -> None:
        """A number of messages that is none is refused with what it may be."""
        for n in (0, 101):
            for method, params in (("history", {}), ("search", {"words": "x"})):
                (answer,) = self.client.asks(method, n=n, **params)
                self.assertEqual(answer["error"]["message"], "n is 1 to 100")

    def answer(self, method: str, **params: object) -> Any:
        """Ask, and return the answer."""
        (answer,) = self.client.asks(method, **params)
        return answer["result"]
