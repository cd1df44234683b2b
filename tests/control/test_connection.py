"""One program at the control socket: what it sends, whatever that is, and what it gets."""

from __future__ import annotations

import json
import os
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from p2pchat import events
from p2pchat.console import session as session_module
from p2pchat.control import connection as connection_module
from p2pchat.control import journal as journal_module
from p2pchat.control import listening
from p2pchat.control.connection import MAX_LINE
from p2pchat.control.rpc import Code
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId
from p2pchat.routing.delivery import Delivery
from tests.control.clients import ControlTestCase

HELLO = b'{"jsonrpc": "2.0", "id": 7, "method": "hello"}\n'


class RequestTests(ControlTestCase):
    def refused(self, raw: bytes) -> tuple[int, Any]:
        """Send what is refused; return the code and the id that it is answered with."""
        [answer] = self.client.says(raw)
        return answer["error"]["code"], answer["id"]

    def test_reply(self) -> None:
        """A request is answered in a line, with its id, whatever that is."""
        for given_id in (7, "x", None, 0, -1):
            raw = json.dumps({"jsonrpc": "2.0", "id": given_id, "method": "hello"}).encode()
            [answer] = self.client.says(raw + b"\r\n")
            self.assertEqual((answer["jsonrpc"], answer["id"]), ("2.0", given_id))
            self.assertEqual(answer["result"]["peer_id"], "alice@UnB")
            self.assertEqual(answer["result"]["version"], 1)

    def test_in_pieces(self) -> None:
        """How the stream is cut makes no difference."""
        for position in range(len(HELLO) - 1):
            self.assertEqual(self.client.says(HELLO[position : position + 1]), [])
        self.assertEqual(len(self.client.says(b"\n" + HELLO + b"\n \n" + HELLO)), 3)

    def test_notification(self) -> None:
        """Without an id it is done, and neither answered nor refused."""
        self.assertEqual(self.client.says(b'{"jsonrpc": "2.0", "method": "stop"}\n'), [])
        self.assertEqual(self.desk.stops, 1)
        for method, params in (
            ("nonsense", {}),
            ("subscribe", {"x": 1}),
            ("command", {}),
            ("ping", {"peer": "c"}),
        ):
            raw = json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode()
            self.assertEqual(self.client.says(raw + b"\n"), [])

    def test_wrong(self) -> None:
        """What is no request is told so, and the next one is answered."""
        for raw, code in (
            (b"hello", Code.PARSE), (b"{", Code.PARSE), (b"\xff\xfe", Code.PARSE), (b'"\\ud800"', Code.PARSE),
            (b"[]", Code.REQUEST), (b"{}", Code.REQUEST), (b"[" + HELLO[:-1] + b"]", Code.REQUEST),
            (b'{"jsonrpc": "1.0", "method": "hello", "id": 1}', Code.REQUEST),
            (b'{"jsonrpc": "2.0", "method": 5, "id": 1}', Code.REQUEST),
            (b'{"jsonrpc": "2.0", "method": "hello", "params": [1], "id": 1}', Code.REQUEST),
            (b'{"jsonrpc": "2.0", "method": "hello", "id": [1]}', Code.REQUEST),
            (b'{"jsonrpc": "2.0", "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", Code.REQUEST),
        ):  # fmt: skip
            self.assertEqual(self.refused(raw + b"\n"), (code, None))
        self.assertEqual(len(self.client.says(HELLO)), 1)

    def test_no_such_method(self) -> None:
        """Who asks for a method that is none hears which there are; the same for parameters."""
        problem = self.client.error("nonsense")
        self.assertEqual(problem["code"], Code.METHOD)
        for name in ("subscribe", "command", "send", "status"):
            self.assertIn(name, problem["message"])
        for method, params, words in (
            ("hello", {"x": 1}, "unknown field `x`"),
            ("send", {"to": "@bob"}, "missing required field `text`"),
            ("send", {"to": 5, "text": ""}, "`$.to`"),
            ("send", {"to": "bob", "text": "hi"}, "a destination is @peer, #namespace or *"),
            ("ping", {"peer": "@"}, "1 to 64 characters"),
            ("subscribe", {"after": "x"}, "expected a cursor"),
            ("subscribe", {"kinds": 5}, "`$.kinds`"),
            ("subscribe", {"kinds": ["message_arived"]}, "no kind of event 'message_arived'"),
            ("command", {"line": None}, "`$.line`"),
        ):
            problem = self.client.error(method, **params)
            self.assertEqual(problem["code"], Code.PARAMS)
            self.assertIn(words, problem["message"])

    def test_too_long(self) -> None:
        """A line that is too long is refused once; without an end it ends the connection."""
        self.assertEqual(self.refused(b"x" * (MAX_LINE + 1)), (Code.REQUEST, None))
        self.assertEqual(len(self.client.says(b"x" * MAX_LINE + b"\n" + HELLO)), 1)
        self.client.says(b"x" * (2 * MAX_LINE) + b"y" * 2 * 1024 * 1024)
        self.assertTrue(self.client.transport.disconnecting)
        self.assertEqual(self.client.says(HELLO), [])

    def test_defect(self) -> None:
        """A defect of ours is logged once, told, and ends nothing."""
        with mock.patch.object(Node, "counters", side_effect=KeyError("x")):
            self.assertEqual(self.client.error("counters")["code"], Code.INTERNAL)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        with mock.patch.object(Node, "counters", return_value=object()):
            self.assertEqual(self.client.error("counters")["code"], Code.INTERNAL)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertEqual(len(self.client.says(HELLO)), 1)

    @given(st.binary(max_size=200) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["jsonrpc", "method", "id", "params", "to"]), inner, max_size=4),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()))  # fmt: skip
    def test_anything(self, raw: bytes) -> None:
        """Whatever is sent, each line has at most one answer, and the next request has one."""
        answers = self.client.says(raw + b"\n" + HELLO)
        self.assertLessEqual(len(answers), raw.count(b"\n") + 2)
        self.assertIn("result", answers[-1])

    def test_many_at_once(self) -> None:
        """However many requests come in one piece, each is answered, in order."""
        raw = b"".join(HELLO.replace(b"7", b"%d" % number) for number in range(3000))
        self.assertEqual([answer["id"] for answer in self.client.says(raw)], [*range(3000)])

    def test_too_many_open(self) -> None:
        """No more is read while so many requests are open; none of them is lost."""
        self.patch(connection_module, "MAX_OPEN", 2)
        sends = [
            {"jsonrpc": "2.0", "id": number, "method": "send", "params": {"to": "@bob", "text": f"m{number}"}}
            for number in range(5)
        ]
        self.assertEqual(self.client.says(b"".join(json.dumps(one).encode() + b"\n" for one in sends)), [])
        self.assertEqual(self.client.transport.producerState, "paused")
        self.pass_time(5)
        answers = self.client.gets()
        self.assertEqual(sorted(answer["id"] for answer in answers), [0, 1, 2, 3, 4])
        self.assertTrue(all(answer["result"]["is_confirmed"] for answer in answers))
        self.assertEqual(self.client.transport.producerState, "producing")


class EventTests(ControlTestCase):
    def cursors(self, told: list[dict[str, Any]]) -> list[int]:
        return [int(one["params"]["cursor"].rpartition("-")[2]) for one in told if one["method"] == "event"]

    def hear(self, count: int = 1) -> None:
        """Let bob say something to alice."""
        for number in range(count):
            self.bob.types(f"/msg @alice n{number}")
        self.pass_time(1)

    def test_from_now(self) -> None:
        """Who subscribes gets the events from now on; of no kind but those it wants."""
        self.hear()
        other = self.desk.client()
        self.assertEqual(self.client.result("subscribe"), {"cursor": "run-1", "missed": 0})
        other.result("subscribe", kinds=["neighbour_up"])
        self.hear()
        [told] = self.client.gets()
        self.assertEqual(told["params"]["data"]["payload"], "n0")
        self.assertEqual(other.gets(), [])

    def test_comes_back(self) -> None:
        """Who was away gets what it missed, once, and then what happens."""
        self.client.result("subscribe")
        self.hear()
        [last] = self.client.gets()
        self.client.protocol.connectionLost()
        self.hear(3)
        again = self.desk.client()
        reply, *missed = again.asks("subscribe", after=last["params"]["cursor"])
        self.assertEqual(reply["result"], {"cursor": "run-1", "missed": 0})
        self.hear()
        self.assertEqual(self.cursors(missed + again.gets()), [2, 3, 4, 5])
        self.assertEqual(len(self.desk.journal.followers), 1)

    def test_of_another_run(self) -> None:
        """Who comes with a cursor of before a restart gets all there is; of more nobody knows."""
        self.hear(2)
        reply, *told = self.client.asks("subscribe", after="before-700")
        self.assertEqual((reply["result"]["missed"], self.cursors(told)), (None, [1, 2]))

    def test_again(self) -> None:
        """Who subscribes again gets each event once."""
        self.client.result("subscribe")
        self.client.result("subscribe")
        self.hear()
        self.assertEqual(len(self.client.gets()), 1)

    def test_refused_again(self) -> None:
        """A subscription that is refused changes nothing about the one before."""
        self.client.result("subscribe")
        self.client.protocol.pauseProducing()
        self.hear(2)
        self.client.protocol._take(
            b'{"jsonrpc": "2.0", "id": 9, "method": "subscribe", "params": {"after": "x"}}'
        )
        self.client.gets()
        self.client.protocol.resumeProducing()
        self.assertEqual(self.cursors(self.client.gets()), [1, 2])

    def test_not_read(self) -> None:
        """While a client does not read, events stay in the journal; of what that cannot keep, it hears."""
        self.patch(journal_module, "MAX_EVENTS", 3)
        self.client.result("subscribe")
        self.client.protocol.pauseProducing()
        self.hear(2)
        self.assertEqual(self.client.says(HELLO), [])
        self.assertEqual(self.client.transport.producerState, "paused")
        self.client.protocol.resumeProducing()
        got = self.client.gets()
        self.assertEqual(self.cursors(got[:-1]), [1, 2])
        self.assertEqual(got[-1]["id"], 7)
        self.client.protocol.pauseProducing()
        self.hear(5)
        self.client.protocol.resumeProducing()
        missed, *got = self.client.gets()
        self.assertEqual((missed["method"], missed["params"]), ("missed", {"events": 2}))
        self.assertEqual(self.cursors(got), [5, 6, 7])

    def test_full_in_between(self) -> None:
        """Where the output fills up at an event, the next ones wait."""
        self.hear(4)
        write = self.client.transport.write
        lines = []

        def write_and_fill(line: bytes) -> None:
            lines.append(line)
            write(line)
            if len(lines) == 3:
                self.client.protocol.pauseProducing()

        self.client.transport.write = write_and_fill  # type: ignore[method-assign]
        _, *told = self.client.asks("subscribe", after="start")
        self.assertEqual(self.cursors(told), [1, 2])
        self.client.protocol.resumeProducing()
        self.assertEqual(self.cursors(self.client.gets()), [3, 4])


class CommandTests(ControlTestCase):
    def test_console(self) -> None:
        """A line is carried out as at the console, and what comes of it is shown, at once and later."""
        answer, *shown = self.client.asks("command", line="/msg @bob hi")
        self.assertEqual(answer["result"], None)
        self.assertEqual(
            [(one["method"], one["params"]) for one in shown],
            [("shown", {"line": "#1 to @bob@UnB: sent"}), ("destination", {"to": "@bob@UnB"})],
        )
        self.client.asks("command", line="and again")
        self.pass_time(1)
        self.assertIn("confirmed", self.client.gets()[-1]["params"]["line"])
        self.assertEqual(self.bob.screen[-1], "[12:34:56] alice@UnB to @bob@UnB: and again")

    def test_without_events(self) -> None:
        """Who follows the events gets only what comes of commands; where the next line goes is told once."""
        for line, shown in (
            ("/msg @bob hi\nyou", [{"to": "@bob@UnB"}]),
            ("and again", []),
            ("/msg @nobody hi", [{"to": "@nobody@UnB"}]),
            ("/msg #UnB hi", [{"to": "#UnB"}]),
            ("/peers #no", [{"line": "Nobody else is known in #no."}]),
            ("/msg @alice hi", [{"line": "alice@UnB is yourself"}, {"to": "@alice@UnB"}]),
        ):
            answer, *told = self.client.asks("command", line=line, events=False)
            self.assertEqual((answer["result"], [one["params"] for one in told]), (None, shown))
        self.bob.types("/msg @alice hello")
        self.pass_time(10)
        self.assertEqual(self.client.gets(), [])
        self.assertIn("[12:34:56] alice@UnB to @bob@UnB: hi␊you", self.bob.screen)

    def test_texts(self) -> None:
        """Who follows the events may have what a console would say of them."""
        self.client.result("subscribe", texts=True, kinds=["neighbour_down"])
        told = next(one for one in self.client.asks("disconnect", peer="bob") if "method" in one)
        self.assertIn("bob@UnB is no longer linked", told["params"]["text"])

    def test_several(self) -> None:
        """Each client has a console of its own; who is gone is shown nothing any more."""
        listeners = len(self.alice.node._telling.listeners)
        other = self.desk.client()
        for client in (self.client, other):
            client.asks("command", line="/watch")
            client.asks("command", line="/watch")
        other.protocol.connectionLost()
        self.assertEqual(len(self.alice.node._telling.listeners), listeners + 1)
        self.bob.types("/msg @alice hello")
        self.pass_time(1)
        self.assertIn("hello", self.client.gets()[-1]["params"]["line"])
        self.assertEqual(other.gets(), [])

    def test_busy(self) -> None:
        """While so much of a console is open no more is read; then it goes on, and nothing is lost."""
        self.patch(session_module, "MAX_OPEN", 2)
        lines = [f"/msg @bob m{number}" for number in range(5)] + ["/ping bob", "/ping bob", "/ping bob"]
        requests = [{"jsonrpc": "2.0", "method": "command", "params": {"line": line}} for line in lines]
        self.client.says(b"".join(json.dumps(one).encode() + b"\n" for one in requests))
        self.assertEqual(self.client.transport.producerState, "paused")
        self.pass_time(5)
        self.assertEqual([line[-2:] for line in self.bob.screen], ["m0", "m1", "m2", "m3", "m4"])
        shown = [one["params"]["line"] for one in self.client.gets()]
        self.assertEqual(sum("PONG" in line for line in shown), 3)
        self.assertEqual(self.client.transport.producerState, "producing")

    def test_goes_on_later(self) -> None:
        """An answer in the middle of what the node does lets nothing more be done in the middle of that."""
        self.patch(connection_module, "MAX_OPEN", 1)
        inside: list[int] = []
        send = self.alice.node.send
        depth = 0

        def watch(event: events.Event) -> None:
            nonlocal depth
            depth += isinstance(event, events.MessageConfirmed)

        def watched_send(dst: PeerId, payload: str) -> Delivery:
            inside.append(depth)
            return send(dst, payload)

        listeners = self.alice.node._telling.listeners
        listeners.insert(0, watch)

        def leave(event: events.Event) -> None:
            nonlocal depth
            depth -= isinstance(event, events.MessageConfirmed)

        listeners.append(leave)
        self.patch(self.alice.node, "send", watched_send)
        one = {"jsonrpc": "2.0", "id": 1, "method": "send", "params": {"to": "@bob", "text": "x"}}
        self.client.says((json.dumps(one).encode() + b"\n") * 3)
        self.pass_time(5)
        self.assertEqual(inside, [0, 0, 0])

    def test_quit(self) -> None:
        """/quit ends the connection, not the node."""
        self.client.asks("command", line="/quit")
        self.assertTrue(self.client.transport.disconnecting)
        self.assertEqual((self.desk.stops, self.client.says(HELLO)), (0, []))

    def test_left_out(self) -> None:
        """What is shown while nobody reads is left out, and how much that was is told."""
        self.client.asks("command", line="/watch")
        self.client.asks("command", line="/watch")
        self.client.protocol.pauseProducing()
        self.bob.types("/msg @alice one", "/msg @alice two")
        self.pass_time(1)
        self.client.protocol.resumeProducing()
        [told] = self.client.gets()
        self.assertEqual((told["method"], told["params"]), ("left_out", {"lines": 2}))


class AdmissionTests(ControlTestCase):
    def turned_away(self) -> str:
        """Connect, and be turned away; return the reason that is told."""
        client = self.desk.client()
        [told] = client.gets()
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(client.says(HELLO), [])
        client.protocol.connectionLost()
        return str(told["error"]["data"]["reason"])

    def test_another_user(self) -> None:
        """Who is not our user is told so, and nothing else."""
        self.desk.user = os.getuid() + 1
        self.assertEqual(self.turned_away(), "unauthorized")

    def test_too_many(self) -> None:
        """So many clients are taken; more are turned away in words and counted, until one goes."""
        self.patch(listening, "MAX_CLIENTS", 2)
        second = self.desk.client()
        self.assertEqual(self.turned_away(), "busy")
        self.assertEqual(self.desk.factory.sizes(), {"control_clients": 2, "control_refused": 1})
        second.protocol.connectionLost()
        self.assertEqual(self.desk.client().says(HELLO)[0]["id"], 7)
