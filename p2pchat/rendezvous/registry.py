"""Who registered, from where, until when (docs/protocol.md, section 7). No I/O; told the time."""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter
from collections.abc import Callable
from typing import NoReturn

import attrs
import msgspec

#: Under which a record is kept: ip, namespace, name.
Key = tuple[str, str, str]

#: Clients of ours read answers of up to 8 MiB (section 6); a longer roster would be of use to nobody.
#: The last KiB is for what stands around the peers in the answer.
MAX_ANSWER_BYTES = 8 * 1024 * 1024 - 1024

#: One of these per expiry is normal; replaced and removed records leave some more behind (see `Registry`).
_SPARE_EXPIRIES = 100

#: The longest an entry of a DISCOVER answer can be, without its names and addresses.
_ENTRY_BYTES = len(
    '{"ip":"","port":65535,"name":,"namespace":,"ttl":86400,'
    '"expires_in":86400,"observed_ip":"","observed_port":65535},'
)

_encoder = msgspec.json.Encoder()


@attrs.frozen
class Limits:
    """How much a `Registry` holds.

    :param records: in all. At a usual 200 bytes each that is half of the longest answer, and two addresses
        that take their full share are needed to lock others out.
    :param records_per_ip: for one address. Many peers may stand behind one address, and tests register
        10,000 from one; yet one address alone never fills the registry.
    :param answer_bytes: of all records, written as the answer to DISCOVER.
    :param answer_bytes_per_ip: of the records of one address; the same share as of the records.
    """

    records: int = 20_000
    records_per_ip: int = 12_000
    answer_bytes: int = MAX_ANSWER_BYTES
    answer_bytes_per_ip: int = MAX_ANSWER_BYTES * 6 // 10


class OverQuota(Exception):
    """A record more would exceed one of the `Limits`; the text says which, for people.

    :param limit: the name of the limit, as in `Limits`.
    """

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


def in_ascii(value: object) -> bytes:
    """Write JSON in ASCII: some clients decode each TCP chunk on its own (section 9.4)."""
    text = _encoder.encode(value)
    return text if text.isascii() else json.dumps(value, separators=(",", ":")).encode("ascii")


@attrs.frozen
class Record:
    """One registration. Created by who answers REGISTER, owned by the `Registry` until it expires.

    :param ip: the client's address as the server saw it.
    :param port: where the peer accepts links.
    :param ttl_s: seconds that it was granted.
    :param expires_at_s: when it ends, in seconds of the registry's clock.
    :param observed_port: the client's port as the server saw it.
    """

    ip: str
    namespace: str
    name: str
    port: int
    ttl_s: int
    expires_at_s: float
    observed_port: int
    #: The most bytes that it can take in an answer to DISCOVER.
    answer_bytes: int = attrs.field(init=False)
    #: What stands before and behind the ``expires_in`` of its entry.
    _around: tuple[bytes, bytes] = attrs.field(init=False, eq=False, repr=False)

    @answer_bytes.default
    def _measure(self) -> int:
        names = len(json.dumps(self.name)) + len(json.dumps(self.namespace))
        return _ENTRY_BYTES + names + 2 * len(self.ip)

    @_around.default
    def _write_around(self) -> tuple[bytes, bytes]:
        before = {
            "ip": self.ip,
            "port": self.port,
            "name": self.name,
            "namespace": self.namespace,
            "ttl": self.ttl_s,
        }
        behind = {"observed_ip": self.ip, "observed_port": self.observed_port}
        return in_ascii(before)[:-1], in_ascii(behind)[1:]

    @property
    def key(self) -> Key:
        """Under which it is kept."""
        return (self.ip, self.namespace, self.name)

    def expires_in_s(self, now_s: float) -> int:
        """Return the seconds left, rounded up: at least 1 while alive, and never more than its ttl."""
        return min(self.ttl_s, math.ceil(self.expires_at_s - now_s))

    def entry(self, now_s: float) -> bytes:
        """Return its entry in an answer to DISCOVER (section 6)."""
        before, behind = self._around
        return b'%b,"expires_in":%d,%b' % (before, self.expires_in_s(now_s), behind)


@attrs.define
class _Group:
    """Records that share something, and what they weigh. Owned by the `Registry`."""

    records: dict[Key, Record] = attrs.Factory(dict)
    answer_bytes: int = 0
    #: Their entries as they were last listed, and the second of that; nothing since they changed.
    _listing: bytes | None = None
    _listed_at_s: int = 0

    def listing(self, now_s: float) -> bytes:
        """Return the entries of all, as they are at the beginning of this second.

        Where a thousand peers are listed, thirty ask in a second; to write it for each is most of the work.
        """
        second = math.floor(now_s)
        if self._listing is None or second != self._listed_at_s:
            self._listed_at_s = second
            self._listing = b",".join([record.entry(second) for record in self.records.values()])
        return self._listing

    def put(self, record: Record) -> None:
        self._listing = None
        if record.key not in self.records:
            self.answer_bytes += record.answer_bytes  # depends on the key alone
        self.records[record.key] = record

    def drop(self, record: Record) -> None:
        self._listing = None
        del self.records[record.key]
        self.answer_bytes -= record.answer_bytes


class Registry:
    """The records of a rendezvous server, bounded. Its factory creates and owns it.

    Every call sees living records only. `expire` is also called from a timer, so that the dead do not
    stay in memory where nobody asks.

    Expiries lie in a heap. What is replaced or removed leaves its expiry there until it is due, or until
    such leftovers outnumber the records.

    :param now: returns the time in seconds, of whatever clock.
    """

    def __init__(self, now: Callable[[], float], limits: Limits | None = None) -> None:
        self.now = now
        #: How often a record was refused, by the name of the limit.
        self.refused: Counter[str] = Counter()
        self._limits = limits or Limits()
        self._all = _Group()
        self._by_ip: dict[str, _Group] = {}
        self._by_namespace: dict[str, _Group] = {}
        self._expiries: list[tuple[float, Key]] = []

    def __len__(self) -> int:
        return len(self._all.records)

    def register(
        self, *, ip: str, namespace: str, name: str, port: int, ttl_s: int, observed_port: int
    ) -> Record:
        """Keep a record for *ttl_s* seconds, in the place of one with the same ip, namespace and name.

        :raises OverQuota: there is no room for it; nothing was changed.
        """
        self.expire()
        expires_at_s = self.now() + ttl_s
        record = Record(ip, namespace, name, port, ttl_s, expires_at_s, observed_port)
        if record.key not in self._all.records:
            self._check_room(record)
        self._all.put(record)
        self._by_ip.setdefault(ip, _Group()).put(record)
        self._by_namespace.setdefault(namespace, _Group()).put(record)
        heapq.heappush(self._expiries, (expires_at_s, record.key))
        return record

    def discover(self, namespace: str | None = None) -> list[Record]:
        """Return the records of a namespace, or all, the longest known first."""
        self.expire()
        return list(self._group(namespace).records.values())

    def listing(self, namespace: str | None = None) -> bytes:
        """Return the entries of the records of a namespace, or all, as in an answer to DISCOVER."""
        self.expire()
        return self._group(namespace).listing(self.now())

    def answer_bytes(self, namespace: str | None = None) -> int:
        """Return the most bytes that the records of a namespace, or all, take in an answer."""
        self.expire()
        return self._group(namespace).answer_bytes

    def unregister(
        self, ip: str, namespace: str | None = None, name: str | None = None, port: int | None = None
    ) -> int:
        """Remove the records of *ip* that match all that is given, and return how many they were."""
        self.expire()
        matching = [
            record
            for record in self._candidates(ip, namespace, name)
            if namespace in (None, record.namespace)
            and name in (None, record.name)
            and port in (None, record.port)
        ]
        for record in matching:
            self._remove(record)
        return len(matching)

    def expire(self) -> int:
        """Forget the records whose time is over, and return how many they were.

        Costs no more than the registrations since the last call did.
        """
        now_s = self.now()
        before = len(self)
        while self._expiries and self._expiries[0][0] <= now_s:
            _, key = heapq.heappop(self._expiries)
            record = self._all.records.get(key)
            if record is not None and record.expires_at_s <= now_s:
                self._remove(record)
        if len(self._expiries) > 2 * len(self) + _SPARE_EXPIRIES:
            self._expiries = [(record.expires_at_s, key) for key, record in self._all.records.items()]
            heapq.heapify(self._expiries)
        return before - len(self)

    def _group(self, namespace: str | None) -> _Group:
        if namespace is None:
            return self._all
        return self._by_namespace.get(namespace) or _Group()

    def _candidates(self, ip: str, namespace: str | None, name: str | None) -> list[Record]:
        if namespace is not None and name is not None:  # how peers ask; thousands share an ip in tests
            record = self._all.records.get((ip, namespace, name))
            return [] if record is None else [record]
        group = self._by_ip.get(ip) or _Group()
        return list(group.records.values())

    def _remove(self, record: Record) -> None:
        self._all.drop(record)
        for groups, name in ((self._by_ip, record.ip), (self._by_namespace, record.namespace)):
            groups[name].drop(record)
            if not groups[name].records:
                del groups[name]

    def _check_room(self, record: Record) -> None:
        """Hold a new record against each limit; the narrower ones first, their texts say more."""
        limits, size = self._limits, record.answer_bytes
        same_ip = self._by_ip.get(record.ip) or _Group()
        if len(same_ip.records) >= limits.records_per_ip:
            self._refuse("records_per_ip", f"At most {limits.records_per_ip} records from one address")
        if same_ip.answer_bytes + size > limits.answer_bytes_per_ip:
            self._refuse("answer_bytes_per_ip", "The names registered from this address are too long in all")
        if len(self) >= limits.records:
            self._refuse("records", f"The server is full: it holds {limits.records} records")
        if self._all.answer_bytes + size > limits.answer_bytes:
            self._refuse("answer_bytes", "The server is full: the names it holds are too long in all")

    def _refuse(self, limit: str, message: str) -> NoReturn:
        self.refused[limit] += 1
        raise OverQuota(limit, message)
