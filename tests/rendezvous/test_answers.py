"""The table of docs/protocol.md, section 7, one row after the other."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.rendezvous.answers import Answer, Client, answer
from p2pchat.rendezvous.registry import Limits, Registry

ALICE = Client("203.0.113.7", 45678)
BOB = Client("203.0.113.8", 45679)

REGISTER: dict[str, Any] = {
    "type": "REGISTER",
    "namespace": "UnB",
    "name": "alice",
    "port": 7070,
    "ttl": 7200,
}

#: Values that are no name.
NOT_NAMES: list[Any] = ["", None, 5, True, ["alice"], {}, "a" * 65]

#: Any JSON value.
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


class AnswerTestCase(SynchronousTestCase):
    """Requests to a registry on a clock that stands still."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.registry = Registry(self.clock.seconds)

    def answer(self, line: bytes, client: Client = ALICE, room: int = 1 << 20) -> Answer:
        return answer(line, client, self.registry, room)

    def ask_line(self, line: bytes) -> Any:
        """Return the reply to a line; it has to be one line of ASCII."""
        reply = self.answer(line).line
        self.assertTrue(reply.isascii() and reply.endswith(b"\n") and reply.count(b"\n") == 1, reply)
        return json.loads(reply)

    def ask(self, **fields: Any) -> Any:
        return self.ask_line(json.dumps(fields).encode())

    def register(self, **changes: Any) -> Any:
        return self.ask(**{**REGISTER, **changes})

    def register_without(self, *missing: str) -> Any:
        return self.ask(**{key: value for key, value in REGISTER.items() if key not in missing})

    def names(self) -> list[str]:
        return [record.name for record in self.registry.discover()]

    def assert_error(self, reply: Any, code: str) -> None:
        self.assertEqual(reply, {"status": "ERROR", "error": code})


class RegisterTests(AnswerTestCase):
    def test_all_good(self) -> None:
        """The reply has the ttl and the address as the server sees it, nothing else."""
        expected = {"status": "OK", "ttl": 7200, "observed_ip": ALICE.ip, "observed_port": ALICE.port}
        self.assertEqual(self.register(), expected)

    def test_same_peer_replaces(self) -> None:
        """The same name from the same address has one record."""
        self.register()
        self.register(port=7071)
        self.assertEqual([record.port for record in self.registry.discover()], [7071])

    def test_bad_name(self) -> None:
        """A name is a string of 1 to 64 characters."""
        self.assert_error(self.register_without("name"), "bad_name")
        for name in NOT_NAMES:
            self.assert_error(self.register(name=name), "bad_name")
        self.assertEqual(self.register(name="é" * 64)["status"], "OK")

    def test_bad_namespace(self) -> None:
        """A namespace is a string of 1 to 64 characters."""
        self.assert_error(self.register_without("namespace"), "bad_namespace")
        for namespace in NOT_NAMES:
            self.assert_error(self.register(namespace=namespace), "bad_namespace")
        self.assertEqual(self.register(namespace="é" * 64)["status"], "OK")

    def test_bad_ttl(self) -> None:
        """A ttl is a number."""
        not_numbers: list[Any] = ["7200", "", None, True, False, [7200], {}]
        for ttl in not_numbers:
            self.assert_error(self.register(ttl=ttl), "bad_ttl")

    def test_ttl_missing(self) -> None:
        """Without a ttl it is 7200 seconds."""
        self.assertEqual(self.register_without("ttl")["ttl"], 7200)

    def test_ttl_is_brought_into_range(self) -> None:
        """A ttl is cut to whole seconds, from 1 to 86400."""
        cases = [(1, 1), (0, 1), (-5, 1), (-1e300, 1), (0.9, 1), (1.9, 1), (60.5, 60), (86400, 86400)]
        cases += [(86401, 86400), (86400.9, 86400), (1e300, 86400), (2**100, 86400)]
        for ttl, granted in cases:
            self.assertEqual(self.register(ttl=ttl)["ttl"], granted, ttl)

    def test_bad_port(self) -> None:
        """A port is a whole number from 1 to 65535."""
        self.assert_error(self.register_without("port"), "bad_port")
        not_ports: list[Any] = [0, -1, 65536, 7070.5, 1e300, 2**100, True, None, [7070], {}]
        for port in not_ports:
            self.assert_error(self.register(port=port), "bad_port")

    def test_bad_port_in_a_string(self) -> None:
        """A string has to hold the digits of a port and nothing else."""
        for port in ("", "abc", "7070.5", "7_070", "٧٠٧٠", "²", "0", "-7070", "-", "65536", "9" * 5000):
            self.assert_error(self.register(port=port), "bad_port")

    def test_port_in_other_forms(self) -> None:
        """A numeric string and a float without a fraction are ports."""
        for index, port in enumerate(("7070", " 7070 ", "07070", 7070.0)):
            self.assertEqual(self.register(name=f"peer{index}", port=port)["status"], "OK")
        self.assertEqual([record.port for record in self.registry.discover()], [7070] * 4)

    def test_order_of_the_checks(self) -> None:
        """Of several faults the first of name, ttl, namespace, port is told."""
        wrong: dict[str, Any] = {"port": 0}
        self.assert_error(self.register(**wrong), "bad_port")
        wrong["namespace"] = ""
        self.assert_error(self.register(**wrong), "bad_namespace")
        wrong["ttl"] = "x"
        self.assert_error(self.register(**wrong), "bad_ttl")
        wrong["name"] = ""
        self.assert_error(self.register(**wrong), "bad_name")

    def test_refused_leaves_no_record(self) -> None:
        """What was answered with an error is not registered."""
        self.register(port=0)
        self.assertEqual(self.names(), [])

    def test_over_quota(self) -> None:
        """A full registry says so, in a code and in words."""
        self.registry = Registry(self.clock.seconds, Limits(records=0))
        reply = self.register()
        self.assertEqual(reply["error"], "over_quota")
        self.assertEqual(set(reply), {"status", "error", "message"})

    def test_extra_fields(self) -> None:
        """Fields that we do not know are ignored."""
        self.assertEqual(self.register(version="9", msg_id=None)["status"], "OK")


class DiscoverTests(AnswerTestCase):
    def test_entry(self) -> None:
        """A peer is listed with exactly these fields."""
        self.register(ttl=60)
        self.clock.advance(1.5)
        expected = {
            "ip": ALICE.ip,
            "port": 7070,
            "name": "alice",
            "namespace": "UnB",
            "ttl": 60,
            "expires_in": 59,
            "observed_ip": ALICE.ip,
            "observed_port": ALICE.port,
        }
        reply = self.ask(type="DISCOVER", namespace="UnB")
        self.assertEqual(reply, {"status": "OK", "peers": [expected]})

    def test_unknown_namespace(self) -> None:
        """Nobody is there: an empty list, no error."""
        self.register()
        for namespace in ("Giga", "unb", "x" * 100):
            self.assertEqual(self.ask(type="DISCOVER", namespace=namespace), {"status": "OK", "peers": []})

    def test_all_peers(self) -> None:
        """A namespace that is missing, null or empty means all."""
        self.register()
        self.register(name="bob", namespace="Giga")
        for fields in ({}, {"namespace": None}, {"namespace": ""}):
            peers = self.ask(type="DISCOVER", **fields)["peers"]
            self.assertEqual([peer["name"] for peer in peers], ["alice", "bob"])

    def test_bad_namespace(self) -> None:
        """A namespace that is no string is refused, also where it counts as false."""
        not_strings: list[Any] = [5, 0, True, False, ["UnB"], [], {}]
        for namespace in not_strings:
            self.assert_error(self.ask(type="DISCOVER", namespace=namespace), "bad_namespace")

    def test_strange_names(self) -> None:
        """Names come back as they were registered, in ASCII on the wire."""
        for name in ("é", "\U0001f600", '"\\', "\x00\n\r", "a b", "@#*"):
            self.register(name=name)
            self.assertEqual(self.ask(type="DISCOVER")["peers"][-1]["name"], name)

    def test_busy(self) -> None:
        """Where there is no room for the answer, the client is asked to try again."""
        self.register()
        got = self.answer(b'{"type":"DISCOVER"}', room=100)
        self.assertEqual(got.refused, "busy")
        reply = json.loads(got.line)
        self.assertEqual(set(reply), {"status", "error", "message"})
        self.assertEqual(reply["error"], "busy")
        self.assertEqual(self.answer(b'{"type":"DISCOVER","namespace":"Giga"}', room=0).refused, "")

    def test_ten_thousand(self) -> None:
        """10,000 peers of one address are listed in one answer that clients can take."""
        for index in range(10_000):
            self.register(name=f"peer{index}")
        got = self.answer(b'{"type":"DISCOVER","namespace":"UnB"}', room=8 << 20)
        peers = json.loads(got.line)["peers"]
        self.assertEqual([peer["name"] for peer in peers], [f"peer{index}" for index in range(10_000)])
        self.assertTrue(len(got.line) < 8 << 20)


class UnregisterTests(AnswerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.register()
        self.register(name="anna", port=7071)

    def unregister(self, **fields: Any) -> None:
        self.assertEqual(self.ask(type="UNREGISTER", **fields), {"status": "OK"})

    def test_own_record(self) -> None:
        """What matches namespace, name and port is removed."""
        self.unregister(namespace="UnB", name="alice", port=7070)
        self.assertEqual(self.names(), ["anna"])

    def test_port_in_a_string(self) -> None:
        """A numeric string is a port here too."""
        self.unregister(port="7070")
        self.assertEqual(self.names(), ["anna"])

    def test_no_filter(self) -> None:
        """Where nothing is given everything of the address goes; null is not given."""
        self.unregister(namespace=None, name=None, port=None)
        self.assertEqual(self.names(), [])

    def test_of_another_address(self) -> None:
        """Nobody removes what another address registered."""
        self.assertEqual(self.answer(b'{"type":"UNREGISTER"}', BOB), Answer(b'{"status":"OK"}\n'))
        self.assertEqual(self.names(), ["alice", "anna"])

    def test_nothing_matches(self) -> None:
        """Nothing to remove is no error."""
        self.unregister(name="bob")
        self.unregister(namespace="UnB", name="alice", port=7071)
        self.unregister(namespace="", name="alice")
        self.unregister(namespace=[], name="alice")
        self.unregister(namespace="UnB", name={})
        self.unregister(name=0)
        self.assertEqual(self.names(), ["alice", "anna"])

    def test_port_out_of_range(self) -> None:
        """A number that is no port matches nothing."""
        for port in (0, -1, "-1", 65536, 2**100, 1e300, "65536", "9" * 5000):
            self.unregister(port=port)
        self.assertEqual(self.names(), ["alice", "anna"])

    def test_bad_port(self) -> None:
        """A port that is no number comes back in the error."""
        cases: list[tuple[Any, str]] = [("abc", "abc"), ("", ""), (True, "true"), (7070.5, "7070.5")]
        cases += [([], "not a number"), ({"a": [2**70]}, "not a number")]
        for port, told in cases:
            self.assert_error(self.ask(type="UNREGISTER", port=port), f"bad_port ({told})")
        self.assertEqual(self.names(), ["alice", "anna"])

    def test_bad_port_is_bounded(self) -> None:
        """A long value is not sent back whole."""
        reply = self.ask(type="UNREGISTER", port="x" * 1000)
        self.assert_error(reply, f"bad_port ({'x' * 64}...)")


class OtherRequestsTests(AnswerTestCase):
    def test_any_case(self) -> None:
        """Types are matched whatever their case."""
        self.assertEqual(self.register(type="register")["status"], "OK")
        self.assertEqual(len(self.ask(type="Discover")["peers"]), 1)
        self.assertEqual(self.ask(type="unRegister"), {"status": "OK"})
        self.assertEqual(self.names(), [])

    def test_unknown_type(self) -> None:
        """A type that is no command, or no string."""
        kinds: list[Any] = ["HELLO", "", " REGISTER", 5, 0, True, ["REGISTER"], {}]
        for kind in kinds:
            self.assertEqual(self.ask(type=kind), {"status": "ERROR", "message": "Unknown command"})

    def test_missing_type(self) -> None:
        """JSON that has no type."""
        expected = {"status": "ERROR", "error": "missing_type", "message": "Unknown command"}
        for line in (b"{}", b'{"type":null}', b"[]", b'"REGISTER"', b"5", b"null", b"true", b'{"Type":"X"}'):
            self.assertEqual(self.ask_line(line), expected, line)

    def test_not_json(self) -> None:
        """Whatever is not JSON is refused the same way."""
        expected = {"status": "ERROR", "error": "invalid_json", "message": "Unknown command"}
        lines = [b"GET / HTTP/1.1", b"{", b'{"type":"REGISTER"', b"{'type':'X'}", b"\xff\xfe", b"{} {}"]
        lines += [b'{"type":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}"]
        lines += [b'{"type":"\\ud800"}', b'{"type":"\xed\xa0\x80"}', b'{"type":"\xff"}', b"\x00"]
        lines += [b"[" * 30000, b'{"a":' * 6000]
        for line in lines:
            self.assertEqual(self.ask_line(line), expected, line[:40])

    def test_blank_line(self) -> None:
        """A line without a request."""
        for line in (b"", b" ", b"\t \r"):
            self.assertEqual(self.ask_line(line), {"status": "ERROR", "message": "Empty request line"})

    def test_reasons(self) -> None:
        """Every refusal has a reason from a fixed set, whatever the client sent."""
        cases = {
            b"": "empty_line",
            b"x": "invalid_json",
            b"{}": "missing_type",
            b'{"type":"x"}': "unknown_command",
            b'{"type":"REGISTER"}': "bad_name",
            b'{"type":"UNREGISTER","port":"x"}': "bad_port",
            b'{"type":"DISCOVER"}': "",
        }
        self.assertEqual({line: self.answer(line).refused for line in cases}, cases)

    @given(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["REGISTER", "DISCOVER", "UNREGISTER"]) | JSON_VALUES},
            optional=dict.fromkeys(("name", "namespace", "ttl", "port"), JSON_VALUES),
        )
    )
    def test_any_values(self, fields: dict[str, Any]) -> None:
        """Whatever values the fields have, there is a reply with a status."""
        line = json.dumps(fields).encode()
        self.assertIn(json.loads(self.answer(line).line)["status"], ("OK", "ERROR"))
