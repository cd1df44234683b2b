"""One request and every reply that a rendezvous may give (docs/protocol.md, 6 and 9.17 to 9.20)."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.client import (
    MAX_REPLY,
    Banned,
    Blocked,
    NobodyThere,
    Registered,
    RendezvousClient,
    RendezvousError,
)
from p2pchat.rendezvous.listing import MAX_PEERS, Entry
from p2pchat.testing import MemoryNetwork
from tests.rendezvous.scripted import KeptOpen, Reply, Reset, ScriptedServer, Silence, entry

ALICE = PeerId("alice@UnB")
AT = Address("10.0.0.99", 5000)


def line(**fields: Any) -> bytes:
    """One reply, with its end."""
    return json.dumps(fields).encode() + b"\n"


class ClientTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.server = ScriptedServer(self.network.host(AT.host))
        self.client = RendezvousClient(self.network.host("10.0.0.1"), AT)
        self.addCleanup(self.end)

    def end(self) -> None:
        self.network.advance(1)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def ask(self, request: Coroutine[Any, Any, Any], seconds: float = 0.05) -> Deferred[Any]:
        asked = Deferred.fromCoroutine(request)
        self.network.advance(seconds)
        return asked

    def discover(self, *peers: Any) -> list[Entry]:
        """The entries that are used of what a server lists."""
        self.server.always(line(status="OK", peers=list(peers)))
        found: list[Entry] = self.successResultOf(self.ask(self.client.discover()))
        return found

    def register(self, reply: Reply | None = None) -> Registered:
        self.server.say = lambda request: reply
        done: Registered = self.successResultOf(self.ask(self.client.register(ALICE, 7070, 7200)))
        return done

    def refused(self, reply: Reply, kind: type[RendezvousError] = RendezvousError) -> str:
        """What is said about a reply that is of no use; every request meets the same."""
        self.server.always(reply)
        texts = {
            str(self.failureResultOf(self.ask(request), kind).value)
            for request in (self.client.register(ALICE, 7070, 60), self.client.discover())
        }
        return " / ".join(sorted(texts))


class RequestTests(ClientTestCase):
    def test_requests_as_specified(self) -> None:
        """Section 6: the fields of the three requests, and no others."""
        for request in (
            self.client.register(ALICE, 7070, 60),
            self.client.discover(),
            self.client.unregister(ALICE, 7070),
        ):
            self.successResultOf(self.ask(request))
        ours = {"namespace": "UnB", "name": "alice", "port": 7070}
        self.assertEqual(
            [request.fields for request in self.server.requests],
            [
                {"type": "REGISTER", **ours, "ttl": 60},
                {"type": "DISCOVER"},
                {"type": "UNREGISTER", **ours},
            ],
        )

    def test_one_write(self) -> None:
        """Section 9.20: the request goes at once, in one write, with its line end."""
        self.register()
        self.assertEqual(len(self.server.writes), 1)
        self.assertTrue(self.server.writes[0].endswith(b"}\n"))

    def test_first_line_only(self) -> None:
        """Section 9.20: one line is read, what follows is ignored."""
        self.server.always(line(status="OK", peers=[entry()]) + b"garbage\n" * 1000)
        self.assertEqual(len(self.successResultOf(self.ask(self.client.discover()))), 1)

    def test_reply_without_line_end(self) -> None:
        """A reply that ends with the connection in place of a line end is used."""
        self.server.always(line(status="OK", peers=[entry()]).rstrip())
        self.assertEqual(len(self.successResultOf(self.ask(self.client.discover()))), 1)

    def test_server_keeps_the_connection(self) -> None:
        """Section 9.20: we close after the reply, though the server does not."""
        self.server.always(KeptOpen(line(status="OK", peers=[])))
        self.successResultOf(self.ask(self.client.discover()))
        self.assertEqual(list(self.network.transports), [])

    def test_silent(self) -> None:
        """A server that says nothing within 10 s is given up."""
        self.server.always(Silence())
        asked = self.ask(self.client.discover(), 9.9)
        self.assertNoResult(asked)
        self.network.advance(0.2)
        self.assertIn("no answer within 10 s", str(self.failureResultOf(asked, RendezvousError).value))

    def test_nobody_there(self) -> None:
        """A refused connection means that nobody is there."""
        self.server.close()
        self.failureResultOf(self.ask(self.client.discover()), NobodyThere)

    def test_no_way(self) -> None:
        """A server that cannot be reached at all is given up after 10 s."""
        self.network.cut("10.0.0.1", AT.host)
        failure = self.failureResultOf(self.ask(self.client.discover(), 10.1), RendezvousError)
        self.assertNotIsInstance(failure.value, NobodyThere)

    def test_not_a_host(self) -> None:
        """A name that no host can have is an error like any other."""
        client = RendezvousClient(self.network.host("10.0.0.1"), Address("a..b", 5000))
        failure = self.failureResultOf(self.ask(client.discover()), RendezvousError)
        self.flushWarnings()  # the hosts of this network resolve no names
        self.assertIn("invalid hostname", str(failure.value))

    def test_given_up_at_any_moment(self) -> None:
        """A request that is cancelled leaves no timer and no connection, however far it came."""
        self.server.always(Silence())
        for milliseconds in range(8):
            asked = self.ask(self.client.discover(), milliseconds / 1000)
            asked.cancel()
            self.failureResultOf(asked)
            self.network.advance(0.1)
            self.assertEqual((list(self.network.transports), self.network.clock.getDelayedCalls()), ([], []))


class KnockTests(ClientTestCase):
    def test_somebody_there(self) -> None:
        """A knock is a connection without a request."""
        self.successResultOf(self.ask(self.client.knock()))
        self.assertEqual((self.server.visits, self.server.requests), (1, []))

    def test_nobody_there(self) -> None:
        """A knock at nobody's door tells so."""
        self.server.close()
        self.failureResultOf(self.ask(self.client.knock()), NobodyThere)


class ReplyTests(ClientTestCase):
    def test_garbage(self) -> None:
        """Whatever is no JSON object is refused with its beginning, and no more of it."""
        for reply in (
            b"HTTP/1.1 400 Bad Request\r\n",
            b"[1]\n",
            b"7\n",
            b"\xff\xfe\n",
            b"[" * 100_000 + b"\n",
        ):
            text = self.refused(reply)
            self.assertIn("not of this protocol", text)
            self.assertLess(len(text), 300)

    def test_refusal(self) -> None:
        """Section 9.17: the error text is in ``error`` or in ``message``."""
        self.assertIn("bad_name", self.refused(line(status="ERROR", error="bad_name")))
        self.assertIn("Unknown command", self.refused(line(status="ERROR", message="Unknown command")))
        self.assertIn("bad_name", self.refused(line(error="bad_name")))
        self.assertIn("no reason given", self.refused(line(status="ERROR")))
        self.assertIn("{'a': 1}", self.refused(line(status="ERROR", error={"a": 1})))

    def test_refusal_that_cannot_be_written(self) -> None:
        """An error text with half a surrogate becomes one that can be shown."""
        self.refused(b'{"status":"ERROR","error":"\\ud800!"}\n').encode()

    def test_long_refusal(self) -> None:
        """An error text is cut at 200 characters."""
        self.assertLess(len(self.refused(line(status="ERROR", error="x" * 30_000))), 500)

    def test_banned(self) -> None:
        """Section 9.19: an empty reply and a reset look like a ban."""
        for reply in (b"", b"\n", b"  \r\n", Reset()):
            self.refused(reply, Banned)

    def test_blocked(self) -> None:
        """Section 9.19: a text with "blocked" is one, wherever it stands."""
        for reply in (
            b"You are Blocked for 60 s",
            b'"blocked"\n',
            line(status="ERROR", error="blocked"),
            line(status="ERROR", error="too_many", message="Your IP is blocked"),
            line(status="BLOCKED"),
        ):
            self.refused(reply, Blocked)

    def test_status_in_any_case(self) -> None:
        """A status is understood in any letter case, and taken for granted where it is missing."""
        for reply in (line(status="ok", ttl=9), line(ttl=9)):
            self.assertEqual(self.register(reply).ttl_s, 9)

    def test_longest_reply(self) -> None:
        """Section 6: replies are read up to 8 MiB; the 32 KiB of other lines are no limit here."""
        start, end = b'{"status":"OK","peers":[],"x":"', b'"}'
        longest = start + b"x" * (MAX_REPLY - len(start) - len(end)) + end + b"\n"
        self.server.always(longest)
        self.assertEqual(self.successResultOf(self.ask(self.client.discover())), [])
        self.server.always(longest.replace(b"x", b"xx", 1))
        self.assertIn("longer than", str(self.failureResultOf(self.ask(self.client.discover())).value))

    def test_unregister(self) -> None:
        """Section 9.18: what a server has against an UNREGISTER is told and is harmless."""
        for error in ("peer_not_registered", "peer_credentials_do_not_match", "namespace_required"):
            self.server.always(line(status="ERROR", error=error))
            asked = self.ask(self.client.unregister(ALICE, 7070))
            self.assertIn(error, str(self.failureResultOf(asked, RendezvousError).value))


class RegisterTests(ClientTestCase):
    def test_ours(self) -> None:
        """Our own server tells the ttl and our address."""
        self.assertEqual(self.register(), Registered(7200.0, "10.0.0.1"))

    def test_ttl_of_the_reply(self) -> None:
        """Section 6: the ttl of the reply counts; where it makes no sense, the one asked for."""
        for ttl, used in ((60, 60), (0.5, 0.5), (86400, 86400)):
            self.assertEqual(self.register(line(status="OK", ttl=ttl)).ttl_s, used)
        senseless: list[Any] = [None, 0, -1, 86401, "60", True, float("nan"), [], 10**400]
        for ttl in senseless:
            self.assertEqual(self.register(line(status="OK", ttl=ttl)).ttl_s, 7200)
        self.assertEqual(self.register(line(status="OK")).ttl_s, 7200)

    def test_our_address(self) -> None:
        """Section 9.17: our address is in ``observed_ip`` or in ``ip``, or it is not told."""
        for told, ip in (
            ({"observed_ip": "192.0.2.7", "ip": "10.1.1.1"}, "192.0.2.7"),
            ({"ip": "192.0.2.7"}, "192.0.2.7"),
            ({"observed_ip": None}, ""),
            ({"observed_ip": 7}, ""),
            ({}, ""),
        ):
            self.assertEqual(self.register(line(status="OK", **told)).observed_ip, ip)


class DiscoverTests(ClientTestCase):
    def test_no_list(self) -> None:
        """An answer without a list of peers is refused."""
        for reply in (line(status="OK"), line(status="OK", peers={}), line(status="OK", peers=None)):
            self.server.always(reply)
            failure = self.failureResultOf(self.ask(self.client.discover()), RendezvousError)
            self.assertIn("no list of peers", str(failure.value))

    def test_the_rest_is_used(self) -> None:
        """Section 9.17: entries that cannot be used are skipped, the rest used."""
        found = self.discover(entry(name=""), 7, entry(name="carol"), entry(port=0), entry(name="dave"))
        self.assertEqual([each.peer_id for each in found], ["carol@UnB", "dave@UnB"])

    def test_what_msgspec_refuses(self) -> None:
        """Half a surrogate in a name, NaN, or broken UTF-8: one entry is lost, not the whole roster."""
        for bad in (b'"name":"\\ud800"', b'"name":"b","ttl":NaN,"port":NaN', b'"port":1e999', b'"ip":"\xff"'):
            peers = b'[{"ip":"192.0.2.1","port":1,"name":"b","namespace":"x",' + bad + b"},"
            self.server.always(b'{"status":"OK","peers":' + peers + json.dumps(entry()).encode() + b"]}\n")
            found = self.successResultOf(self.ask(self.client.discover()))
            self.assertEqual([each.peer_id for each in found], ["bob@UnB"])

    def test_most_peers(self) -> None:
        """No more than 10,000 entries of one answer are looked at."""
        found = self.discover(*(entry(name=str(number)) for number in range(MAX_PEERS + 5)))
        self.assertEqual(len(found), MAX_PEERS)
