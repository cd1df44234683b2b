"""What an answer to DISCOVER lists, in whatever way it is written (docs/protocol.md, 6 and 9.17)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous import listing
from p2pchat.rendezvous.listing import MAX_PEERS, Entry, read_any, read_entry, read_usual
from tests.rendezvous.scripted import entry

#: Whatever a field may be in JSON, usable now and then.
VALUES: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=70)
    | st.sampled_from(["", "192.0.2.1", "7070", 7070, 7070.0, 1e9, [], {}])
)

#: Peers as servers list them, mostly in the usual way.
PEERS = st.fixed_dictionaries(
    {
        "name": st.text(max_size=70),
        "namespace": st.just("UnB"),
        "ip": st.sampled_from(["192.0.2.1", "a b", ""]),
        "port": st.integers(-1, 70_000),
    },
    optional={
        "ttl": st.integers(-10, 86_400) | st.floats(-1e10, 1e10),
        "expires_in": st.integers(-10, 86_400) | st.floats(-1e10, 1e10),
        "observed_ip": st.just("192.0.2.2"),
        "observed_port": st.integers(1, 65_535),
    },
)


def answer(*peers: Any, **fields: Any) -> bytes:
    """The line of an answer."""
    return json.dumps({"status": "OK", "peers": peers, **fields}).encode()


class UsualTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """An answer with all fields of section 6 is a usual one."""
        full = entry(ttl=60, expires_in=20, observed_ip="203.0.113.9", observed_port=40000)
        expected = [Entry(PeerId("bob@UnB"), Address("192.0.2.1", 7070), 40.0)]
        self.assertEqual(read_usual(answer(full)), expected)

    def test_without_times(self) -> None:
        """Section 9.17: so is one without ``expires_in`` or ``ttl``; the age is then not known."""
        for told in ({}, {"ttl": 60}, {"expires_in": 20}):
            self.assertEqual([found.age_s for found in read_usual(answer(entry(**told)))], [0.0])

    def test_unusable(self) -> None:
        """An entry that cannot be used is left out."""
        peers = [entry(name=""), entry(name="carol"), entry(port=0), entry(ip="a b"), entry(name="dave")]
        self.assertEqual([found.peer_id for found in read_usual(answer(*peers))], ["carol@UnB", "dave@UnB"])

    def test_most_peers(self) -> None:
        """No more than 10,000 entries are looked at."""
        peers = [entry(name=str(number)) for number in range(MAX_PEERS + 5)]
        self.assertEqual(len(read_usual(answer(*peers))), MAX_PEERS)

    def test_unusual(self) -> None:
        """What may mean something else than it seems to is refused."""
        for fields in ({"status": "ERROR"}, {"status": "ok"}, {"peers": None}, {"peers": [7]}):
            self.assertRaises(ValueError, read_usual, answer(**fields))
        unusual: list[dict[str, Any]] = [{"port": "7070"}, {"port": 7070.0}, {"port": True}, {"ip": ""}]
        unusual += [{"ttl": None}, {"ttl": 1e9}, {"expires_in": 0}, {"expires_in": "20"}, {"name": None}]
        for changed in unusual:
            self.assertRaises(ValueError, read_usual, answer(entry(**changed)))
        self.assertRaises(ValueError, read_usual, b'{"peers":[]}')

    @given(st.lists(PEERS, max_size=3))
    def test_as_any(self, peers: list[dict[str, Any]]) -> None:
        """Whatever is read as usual means the same as when it is read as any other."""
        try:
            found = read_usual(answer(*peers))
        except ValueError:
            return
        self.assertEqual(found, read_any(peers))

    @given(st.sampled_from(sorted(entry(ttl=60, expires_in=20))), VALUES)
    def test_any_value_as_any(self, field: str, value: Any) -> None:
        """So it is with any value in any field."""
        peer = entry(**{"ttl": 60, "expires_in": 20, field: value})
        try:
            found = read_usual(answer(peer))
        except ValueError:
            return
        self.assertEqual(found, read_any([peer]))


class RememberedTests(SynchronousTestCase):
    def setUp(self) -> None:
        listing._place.cache_clear()

    def test_same_again(self) -> None:
        """Who is listed again, at the same address, is the same object, in whatever way it is listed."""
        (first,) = read_usual(answer(entry(ttl=60, expires_in=20)))
        for again in (*read_usual(answer(entry(ttl=60, expires_in=19))), *read_any([entry(port="7070")])):
            self.assertIs(again.peer_id, first.peer_id)
            self.assertIs(again.address, first.address)

    def test_moved(self) -> None:
        """Who is listed elsewhere is found there."""
        for port in (7070, 7071, 7070):
            (found,) = read_usual(answer(entry(port=port)))
            self.assertEqual(found.address, Address("192.0.2.1", port))

    def test_most_peers(self) -> None:
        """No more is remembered than one answer may list."""
        read_any([entry(name=str(number)) for number in range(MAX_PEERS)])
        read_any([entry()])
        self.assertEqual(listing._place.cache_info().currsize, MAX_PEERS)

    def test_unusable(self) -> None:
        """Nothing is remembered of what cannot be used, however long it is."""
        read_any([entry(name="x" * 65), entry(ip="x" * 254), entry(name="\ud800"), entry(port=0)])
        self.assertEqual(listing._place.cache_info().currsize, 0)


class EntryTests(SynchronousTestCase):
    def test_usable(self) -> None:
        """An entry becomes a peer and its address; ``observed_port`` is never where it listens (9.17)."""
        found = read_entry(entry(ttl=60, expires_in=20, observed_ip="203.0.113.9", observed_port=40000))
        self.assertEqual(found, Entry(PeerId("bob@UnB"), Address("192.0.2.1", 7070), 40.0))

    def test_age(self) -> None:
        """Section 9.17: ``expires_in`` or ``ttl`` may be missing or wrong; the age is then not known."""
        for told, age_s in (
            ({"ttl": 60, "expires_in": 59.5}, 0.5),
            ({"ttl": 60, "expires_in": 70}, 0.0),
            ({"ttl": 60}, 0.0),
            ({"expires_in": 20}, 0.0),
            ({"ttl": "60", "expires_in": 20}, 0.0),
            ({"ttl": 60, "expires_in": None}, 0.0),
            ({"ttl": 1e300, "expires_in": 20}, 0.0),
            ({"ttl": float("nan"), "expires_in": 20}, 0.0),
        ):
            found = read_entry(entry(**told))
            assert found is not None, told
            self.assertEqual(found.age_s, age_s, told)

    def test_expired(self) -> None:
        """An entry whose time is over is skipped."""
        for expires_in in (0, -1, -0.5):
            self.assertIsNone(read_entry(entry(expires_in=expires_in)))

    def test_port(self) -> None:
        """Section 9.17: a port may be a numeric string; other than 1 to 65535 it is unusable."""
        usable: list[Any] = [1, 65535, "7070", "1", "00080"]
        for port in usable:
            self.assertIsNotNone(read_entry(entry(port=port)), port)
        foreign = "\u0667\u0660"
        unusable: list[Any] = [0, 65536, -1, "0", "", "x", "70 70", foreign, "123456", 70.0, None, True, [70]]
        for port in unusable:
            self.assertIsNone(read_entry(entry(port=port)), port)

    def test_address(self) -> None:
        """The address is in ``ip``, else in ``observed_ip``; one that cannot be dialled is unusable."""
        for told in ({"ip": "2001:db8::1"}, {"ip": "host-1.example.org"}, {"ip": "", "observed_ip": "::1"}):
            self.assertIsNotNone(read_entry(entry(**told)), told)
        for ip in ("", None, 7, "a b", "a/b", "x" * 254, "\n", "fe80::1%eth0"):
            self.assertIsNone(read_entry(entry(ip=ip)), ip)

    def test_names(self) -> None:
        """Section 1: names that the rendezvous accepts are accepted, others make an entry unusable."""
        for name in ("b", "x" * 64, "b ob", "\x1b[31m", "b@b", "é"):
            self.assertIsNotNone(read_entry(entry(name=name)), name)
        unusable: list[Any] = ["", "x" * 65, None, 7, ["bob"], "\ud800"]
        for name in unusable:
            self.assertIsNone(read_entry(entry(name=name)), name)
            self.assertIsNone(read_entry(entry(namespace=name)), name)

    def test_not_an_object(self) -> None:
        """What is no object is no entry."""
        for fields in (None, 7, "bob", [entry()]):
            self.assertIsNone(read_entry(fields))
