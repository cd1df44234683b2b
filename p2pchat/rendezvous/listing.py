"""What an answer to DISCOVER lists (docs/protocol.md, sections 6 and 9.17). No I/O.

Servers in use differ, so there are two ways to read an answer. `read_usual` takes what most servers
write, ours among them, and refuses the rest; `read_any` takes everything, at several times the cost.
What both can read, both read the same.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId

#: Peers of one reply that are used.
MAX_PEERS = 10_000

#: A host in a reply: a number or a name; everything else is not dialled.
_HOST = re.compile(r"[0-9A-Za-z_.:-]{1,253}")


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A peer as the rendezvous lists it.

    :param age_s: seconds since it registered, as far as the reply tells.
    """

    peer_id: PeerId
    address: Address
    age_s: float = 0.0


#: A ``ttl`` or an ``expires_in`` of that many seconds, thirty years, or more is nonsense and tells nothing.
_MAX_TOLD_S = 1e9

_Seconds = Annotated[float, msgspec.Meta(lt=_MAX_TOLD_S)]


class _UsualPeer(msgspec.Struct, frozen=True, gc=False):
    """A peer as most servers list it; what `read_entry` would read in another way does not fit."""

    name: str
    namespace: str
    ip: Annotated[str, msgspec.Meta(min_length=1)]
    port: int
    ttl: _Seconds = 0.0
    expires_in: Annotated[_Seconds, msgspec.Meta(gt=0)] = math.inf


class _UsualAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer to DISCOVER as most servers write it."""

    status: Literal["OK"]
    peers: list[_UsualPeer]


_usual_decoder = msgspec.json.Decoder(_UsualAnswer)


def read_usual(line: bytes) -> list[Entry]:
    """Read an answer to DISCOVER as most servers write it.

    :raises ValueError: it is written in another way, or refuses.
    :raises RecursionError: it is nested too deep.
    """
    entries = []
    for peer in _usual_decoder.decode(line).peers[:MAX_PEERS]:
        try:
            peer_id, address = _place(peer.name, peer.namespace, peer.ip, peer.port)
        except ValueError:
            continue
        entries.append(Entry(peer_id, address, max(0.0, peer.ttl - peer.expires_in)))
    return entries


def read_any(peers: list[Any]) -> list[Entry]:
    """Read the peers of an answer to DISCOVER, however they are listed."""
    entries = (read_entry(peer) for peer in peers[:MAX_PEERS])
    return [entry for entry in entries if entry is not None]


def read_entry(fields: object) -> Entry | None:
    """Read one peer of a DISCOVER reply; None where its name, address or port is unusable."""
    if not isinstance(fields, dict):
        return None
    name, namespace, port = fields.get("name"), fields.get("namespace"), fields.get("port")
    ip = fields.get("ip") or fields.get("observed_ip")
    if not (isinstance(name, str) and isinstance(namespace, str) and isinstance(ip, str)):
        return None
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) <= 5:
        port = int(port)
    if not isinstance(port, int) or isinstance(port, bool):
        return None
    ttl, expires_in = _number(fields.get("ttl")), _number(fields.get("expires_in"))
    if expires_in is not None and expires_in <= 0:
        return None
    try:
        peer_id, address = _place(name, namespace, ip, port)
    except ValueError:
        return None
    age_s = 0.0 if ttl is None or expires_in is None else max(0.0, ttl - expires_in)
    return Entry(peer_id, address, age_s)


@lru_cache(maxsize=MAX_PEERS)
def _place(name: str, namespace: str, ip: str, port: int) -> tuple[PeerId, Address]:
    """Say who is where; as many as one answer may list are remembered, since the next one lists the same.

    That what is remembered is the same object again also makes it quick to compare. What is unusable is
    not remembered: it may be of any length.

    :raises ValueError: it is unusable: nobody can have that name, or nobody can be dialled there.
    """
    if not (1 <= port <= 65535 and _HOST.fullmatch(ip)):
        raise ValueError("not an address")
    peer_id = PeerId.of(name, namespace)
    peer_id.encode()  # half a surrogate cannot be sent to anybody
    return peer_id, Address(ip, port)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < _MAX_TOLD_S else None
