"""The records of a rendezvous server: replaced, found, removed, expired, bounded."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.rendezvous.answers import Client, answer
from p2pchat.rendezvous.registry import Limits, OverQuota, Record, Registry

ALICE = "192.0.2.1"
BOB = "192.0.2.2"


class RegistryTestCase(SynchronousTestCase):
    """A registry on a clock that stands still."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.registry = self.make()

    def make(self, limits: Limits | None = None) -> Registry:
        return Registry(self.clock.seconds, limits)

    def register(
        self, name: str, namespace: str = "UnB", ip: str = ALICE, port: int = 7070, ttl_s: int = 60
    ) -> Record:
        return self.registry.register(
            ip=ip, namespace=namespace, name=name, port=port, ttl_s=ttl_s, observed_port=50000
        )

    def names(self, namespace: str | None = None) -> list[str]:
        return [record.name for record in self.registry.discover(namespace)]

    def leftovers(self) -> tuple[int, int, int, int]:
        """How much is held: records, addresses, namespaces, expiries."""
        registry = self.registry
        return (
            len(registry),
            len(registry._by_ip),
            len(registry._by_namespace),
            len(registry._expiries),
        )


class KeepingTests(RegistryTestCase):
    def test_found_as_registered(self) -> None:
        """A record comes back with all that was registered."""
        self.register("alice")
        (record,) = self.registry.discover()
        self.assertEqual(
            (record.ip, record.namespace, record.name, record.port, record.ttl_s, record.observed_port),
            (ALICE, "UnB", "alice", 7070, 60, 50000),
        )

    def test_discover_by_namespace(self) -> None:
        """A namespace has its own records, no namespace means all, an unknown one has none."""
        self.register("alice", "UnB")
        self.register("bob", "Giga")
        self.assertEqual(self.names("UnB"), ["alice"])
        self.assertEqual(self.names("Giga"), ["bob"])
        self.assertEqual(self.names(), ["alice", "bob"])
        self.assertEqual(self.names("unb"), [])

    def test_same_key_replaces(self) -> None:
        """The same ip, namespace and name have one record, the newest."""
        self.register("alice", port=7070)
        self.register("alice", port=7071)
        self.assertEqual([record.port for record in self.registry.discover()], [7071])
        self.assertEqual([record.port for record in self.registry.discover("UnB")], [7071])
        self.assertEqual(len(self.registry), 1)

    def test_any_part_of_the_key_tells_records_apart(self) -> None:
        """Another ip, namespace or name is another record."""
        self.register("alice")
        self.register("alice", ip=BOB)
        self.register("alice", namespace="Giga")
        self.register("alicia")
        self.assertEqual(len(self.registry), 4)


class UnregisterTests(RegistryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.register("alice", "UnB", port=1)
        self.register("alice", "Giga", port=2)
        self.register("anna", "UnB", port=2)
        self.register("alice", "UnB", ip=BOB, port=1)

    def left(self) -> list[tuple[str, str, str]]:
        return [record.key for record in self.registry.discover()]

    def test_everything_of_the_address(self) -> None:
        """Without filters all records of the address go, and no other's."""
        self.assertEqual(self.registry.unregister(ALICE), 3)
        self.assertEqual(self.left(), [(BOB, "UnB", "alice")])

    def test_by_one_filter(self) -> None:
        """Each filter alone removes what matches it."""
        self.assertEqual(self.registry.unregister(ALICE, namespace="Giga"), 1)
        self.assertEqual(self.registry.unregister(ALICE, name="anna"), 1)
        self.assertEqual(self.registry.unregister(ALICE, port=1), 1)
        self.assertEqual(self.left(), [(BOB, "UnB", "alice")])

    def test_all_filters_have_to_match(self) -> None:
        """A record that matches only some of the filters stays."""
        self.assertEqual(self.registry.unregister(ALICE, "UnB", "alice", 2), 0)
        self.assertEqual(self.registry.unregister(ALICE, "UnB", "alice", 1), 1)
        self.assertEqual(self.registry.unregister(ALICE, namespace="UnB", port=1), 0)
        self.assertEqual(len(self.registry), 3)

    def test_nothing_matches(self) -> None:
        """Unknown addresses and names remove nothing."""
        self.assertEqual(self.registry.unregister("198.51.100.1"), 0)
        self.assertEqual(self.registry.unregister(ALICE, "UnB", "bob"), 0)
        self.assertEqual(len(self.registry), 4)

    def test_leaves_nothing_behind(self) -> None:
        """When the last record went, so did its address and its namespace."""
        self.registry.unregister(ALICE)
        self.registry.unregister(BOB)
        self.assertEqual(self.leftovers()[:3], (0, 0, 0))
        self.assertEqual(self.registry.answer_bytes(), 0)


class ExpiryTests(RegistryTestCase):
    def test_lives_until_its_ttl_is_over(self) -> None:
        """A record is there just before its ttl ends and gone when it ends."""
        self.register("alice", ttl_s=60)
        self.clock.advance(59.9)
        self.assertEqual(self.names(), ["alice"])
        self.clock.advance(0.1)
        self.assertEqual(self.names(), [])

    def test_expires_in(self) -> None:
        """What is left is whole seconds, rounded up: the ttl at first, 1 to the end."""
        record = self.register("alice", ttl_s=60)
        left = [record.expires_in_s(now_s) for now_s in (0, 0.5, 1, 58.9, 59, 59.999)]
        self.assertEqual(left, [60, 60, 59, 2, 1, 1])

    @given(st.lists(st.floats(-2, 12) | st.integers(-2, 12), min_size=1))
    def test_entry(self, moments_s: list[float]) -> None:
        """An entry tells what is left when it is asked for, whenever that was before."""
        self.clock.advance(0.3)
        record = self.register("alice", ttl_s=10)
        told = [json.loads(record.entry(now_s))["expires_in"] for now_s in moments_s]
        self.assertEqual(told, [record.expires_in_s(now_s) for now_s in moments_s])

    def test_listing_is_kept(self) -> None:
        """A listing is written anew only in another second, or where something changed."""
        self.register("alice", ttl_s=10)
        first = self.registry.listing()
        self.clock.advance(0.9)
        self.assertIs(self.registry.listing(), first)
        self.clock.advance(0.1)
        self.assertNotEqual(self.registry.listing(), first)
        self.register("bob")
        self.assertEqual(self.registry.listing().count(b'"name"'), 2)
        self.registry.unregister(ALICE)
        self.assertEqual(self.registry.listing(), b"")

    def test_expires_in_is_never_above_the_ttl(self) -> None:
        """Neither rounding nor a clock that was set back shows more than was granted."""
        self.clock.advance(0.1 + 0.2)
        record = self.register("alice", ttl_s=60)
        self.assertEqual(record.expires_in_s(self.clock.seconds()), 60)
        self.assertEqual(record.expires_in_s(-5.0), 60)

    def test_renewed_in_time(self) -> None:
        """Registering again counts from then."""
        self.register("alice", ttl_s=60)
        self.clock.advance(50)
        self.register("alice", ttl_s=60)
        self.clock.advance(50)
        self.assertEqual(self.names(), ["alice"])
        self.clock.advance(10)
        self.assertEqual(self.names(), [])

    def test_renewed_with_a_shorter_ttl(self) -> None:
        """The newest ttl counts also where it ends sooner, and the older one's end harms nobody."""
        self.register("alice", ttl_s=100)
        self.register("alice", ttl_s=10)
        self.clock.advance(10)
        self.assertEqual(self.registry.expire(), 1)
        self.clock.advance(90)
        self.assertEqual(self.registry.expire(), 0)
        self.assertEqual(self.leftovers(), (0, 0, 0, 0))

    def test_dead_records_leave_memory(self) -> None:
        """`expire` forgets what is over and nothing else."""
        for index in range(10):
            self.register(f"peer{index}", f"ns{index}", f"192.0.2.{index}", ttl_s=10 + index)
        self.clock.advance(14)
        self.assertEqual(self.registry.expire(), 5)
        self.assertEqual(self.leftovers(), (5, 5, 5, 5))
        self.clock.advance(100)
        self.assertEqual(self.registry.expire(), 5)
        self.assertEqual(self.leftovers(), (0, 0, 0, 0))

    def test_renewals_do_not_pile_up(self) -> None:
        """A peer that registers again and again with a long ttl takes the memory of a few."""
        for _ in range(1000):
            self.register("alice", ttl_s=86400)
        self.assertEqual(self.names(), ["alice"])
        self.assertTrue(self.leftovers()[3] <= 103, self.leftovers())
        self.clock.advance(86400)
        self.assertEqual(self.names(), [])

    def test_every_question_sees_the_living_only(self) -> None:
        """Nothing that is over is removed, weighed or counted against a limit."""
        self.registry = self.make(Limits(records=1))
        self.register("alice", ttl_s=1)
        self.clock.advance(1)
        self.assertEqual(self.registry.answer_bytes(), 0)
        self.register("bob", ttl_s=1)
        self.clock.advance(1)
        self.assertEqual(self.registry.unregister(ALICE), 0)
        self.register("carol", ttl_s=1)
        self.assertEqual(self.names(), ["carol"])


class LimitTests(RegistryTestCase):
    def refuse(self, limit: str, name: str, namespace: str = "UnB", ip: str = ALICE) -> str:
        """Assert that a record is refused by that limit, counted, and kept out; return the text."""
        before = self.leftovers(), self.registry.refused[limit]
        problem = self.assertRaises(OverQuota, self.register, name, namespace, ip)
        self.assertEqual(problem.limit, limit)
        self.assertEqual((self.leftovers(), self.registry.refused[limit] - 1), before)
        return str(problem)

    def test_records_in_all(self) -> None:
        """One record more than the registry holds is refused."""
        self.registry = self.make(Limits(records=2))
        self.register("alice")
        self.register("bob", ip=BOB)
        self.assertIn("2 records", self.refuse("records", "carol", ip="192.0.2.3"))

    def test_records_per_ip(self) -> None:
        """One address is refused what another one still gets."""
        self.registry = self.make(Limits(records_per_ip=2))
        self.register("alice")
        self.register("anna")
        self.assertIn("2 records from one address", self.refuse("records_per_ip", "ada"))
        self.register("bob", ip=BOB)

    def test_bytes_in_all(self) -> None:
        """Names that make the longest answer too long are refused."""
        self.registry = self.make(Limits(answer_bytes=400))
        self.register("a" * 64)
        self.refuse("answer_bytes", "b" * 64, "c" * 64, BOB)

    def test_bytes_per_ip(self) -> None:
        """One address cannot fill the longest answer."""
        self.registry = self.make(Limits(answer_bytes_per_ip=400))
        self.register("a" * 64)
        self.refuse("answer_bytes_per_ip", "b" * 64, "c" * 64)
        self.register("b" * 64, "c" * 64, BOB)

    def test_renewal_is_never_refused(self) -> None:
        """Who is in a full registry may stay in it."""
        self.registry = self.make(Limits(records=1, records_per_ip=1, answer_bytes=200))
        self.register("alice", port=1)
        self.register("alice", port=2)
        self.assertEqual([record.port for record in self.registry.discover()], [2])

    def test_room_comes_back(self) -> None:
        """What expired or was removed makes room."""
        self.registry = self.make(Limits(records=1))
        self.register("alice", ttl_s=5)
        self.refuse("records", "bob")
        self.clock.advance(5)
        self.register("bob")
        self.registry.unregister(ALICE)
        self.register("carol")

    def test_defaults(self) -> None:
        """One address may register 12,000 peers, two fill the registry."""
        for index in range(12_000):
            self.register(f"peer{index}")
        self.refuse("records_per_ip", "one more")
        for index in range(8_000):
            self.register(f"peer{index}", ip=BOB)
        self.refuse("records", "one more", ip=BOB)


class ManyRecordsTests(RegistryTestCase):
    def test_ten_thousand(self) -> None:
        """10,000 peers of one address are registered, found, removed by name and expired."""
        for index in range(10_000):
            self.register(f"peer{index}", f"ns{index % 10}", ttl_s=100 + index % 100)
        self.assertEqual(len(self.registry.discover()), 10_000)
        self.assertEqual(len(self.registry.discover("ns3")), 1_000)
        for index in range(0, 10_000, 2):
            self.assertEqual(self.registry.unregister(ALICE, f"ns{index % 10}", f"peer{index}"), 1)
        self.assertEqual(len(self.registry), 5_000)
        self.clock.advance(150)
        self.assertEqual(self.registry.expire(), 2_500)
        self.clock.advance(50)
        self.assertEqual(self.registry.expire(), 2_500)
        self.assertEqual(self.leftovers(), (0, 0, 0, 0))


class WeightTests(RegistryTestCase):
    @given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
    def test_no_entry_is_longer_than_it_weighs(self, name: str, namespace: str) -> None:
        """Whatever the names are, the answer to DISCOVER is not longer than was reckoned."""
        self.registry = self.make()
        ip = "2001:db8:1111:2222:3333:4444:5555:6666"
        self.registry.register(
            ip=ip, namespace=namespace, name=name, port=65535, ttl_s=86400, observed_port=65535
        )
        got = answer(b'{"type":"DISCOVER"}', Client(ip, 1), self.registry, room=10_000)
        around = len('{"status":"OK","peers":[]}\n')
        self.assertEqual(len(json.loads(got.line)["peers"]), 1)
        self.assertTrue(len(got.line) <= self.registry.answer_bytes() + around, got)
