"""What hypothesis draws for the tests of this room: messages, JSON values, bytes in chunks."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from p2pchat.protocol import messages as m

TEXTS = st.text(max_size=30)
MSG_IDS = st.text(min_size=1, max_size=128)
ADDRESSES = st.text(min_size=1, max_size=129)
NUMBERS = st.integers(-(10**30), 10**30)
FEATURES = st.lists(TEXTS, max_size=4).map(tuple)

CARDS = st.dictionaries(TEXTS, TEXTS | NUMBERS, max_size=3) | st.just(msgspec.UNSET)
SEALS = TEXTS | st.just(msgspec.UNSET)
TIMES_MS = st.integers(0, 2**53 - 1) | st.just(msgspec.UNSET)
SECONDS = st.integers(0, 2**53 - 1)

#: One strategy for each type of message.
MESSAGES: dict[type[m.Message], st.SearchStrategy[m.Message]] = {
    m.Hello: st.builds(m.Hello, peer_id=TEXTS, version=TEXTS, features=FEATURES, ttl=NUMBERS, card=CARDS),
    m.HelloOk: st.builds(m.HelloOk, peer_id=TEXTS, version=TEXTS, features=FEATURES, ttl=NUMBERS, card=CARDS),
    m.HelloReject: st.builds(m.HelloReject, reason=TEXTS, ttl=NUMBERS),
    m.Ping: st.builds(m.Ping, msg_id=MSG_IDS, timestamp=TEXTS, ttl=NUMBERS),
    m.Pong: st.builds(m.Pong, msg_id=MSG_IDS, timestamp=TEXTS, ttl=NUMBERS),
    m.Bye: st.builds(
        m.Bye, msg_id=TEXTS, src=TEXTS, dst=TEXTS, reason=TEXTS | st.just(msgspec.UNSET), ttl=NUMBERS
    ),
    m.ByeOk: st.builds(m.ByeOk, msg_id=TEXTS, src=TEXTS, dst=TEXTS, ttl=NUMBERS),
    m.Send: st.builds(
        m.Send,
        msg_id=MSG_IDS,
        src=ADDRESSES,
        dst=ADDRESSES,
        payload=TEXTS,
        require_ack=st.booleans(),
        ttl=NUMBERS,
        attempt=NUMBERS | st.just(msgspec.UNSET),
        sealed=SEALS,
        time_ms=TIMES_MS,
        key=SEALS,
        sig=SEALS,
        after=SEALS,
        courier=SEALS,
    ),
    m.Ack: st.builds(
        m.Ack, msg_id=MSG_IDS, from_=TEXTS, src=TEXTS, dst=TEXTS, ttl=NUMBERS, sig=SEALS, receipt=SEALS
    ),
    m.Pub: st.builds(
        m.Pub,
        msg_id=MSG_IDS,
        src=ADDRESSES,
        payload=TEXTS,
        dst=TEXTS,
        require_ack=st.booleans(),
        ttl=NUMBERS,
        sealed=SEALS,
        time_ms=TIMES_MS,
        key=SEALS,
        sig=SEALS,
        past=SEALS,
    ),
    m.WhoHas: st.builds(
        m.WhoHas,
        msg_id=MSG_IDS,
        src=ADDRESSES,
        dst=ADDRESSES,
        ttl=NUMBERS,
        signed=st.booleans() | st.just(msgspec.UNSET),
    ),
    m.WhoHasHit: st.builds(
        m.WhoHasHit,
        msg_id=MSG_IDS,
        src=TEXTS,
        dst=TEXTS,
        via=TEXTS,
        ttl=NUMBERS,
        hops=NUMBERS | st.just(msgspec.UNSET),
        card=CARDS,
        sig=SEALS,
    ),
    m.RelayOk: st.builds(m.RelayOk, msg_id=MSG_IDS, src=TEXTS, dst=TEXTS, reason=TEXTS, ttl=NUMBERS),
    m.RelayFail: st.builds(m.RelayFail, msg_id=MSG_IDS, src=TEXTS, dst=TEXTS, reason=TEXTS, ttl=NUMBERS),
    m.TtlExpired: st.builds(m.TtlExpired, msg_id=MSG_IDS, src=TEXTS, dst=TEXTS, reason=TEXTS, ttl=NUMBERS),
    m.Hold: st.builds(
        m.Hold,
        msg_id=MSG_IDS,
        src=ADDRESSES,
        dst=ADDRESSES,
        sealed=TEXTS,
        lock=TEXTS,
        for_s=SECONDS,
        ttl=NUMBERS,
    ),
    m.Held: st.builds(m.Held, msg_id=MSG_IDS, src=TEXTS, dst=TEXTS, for_s=SECONDS, reason=TEXTS, ttl=NUMBERS),
    m.Latest: st.builds(m.Latest, msg_id=MSG_IDS, src=ADDRESSES, dst=ADDRESSES, ttl=NUMBERS),
    m.MetricsReq: st.builds(m.MetricsReq, msg_id=MSG_IDS, src=TEXTS, dst=TEXTS, ttl=NUMBERS),
    m.Metrics: st.builds(
        m.Metrics,
        msg_id=MSG_IDS,
        src=TEXTS,
        dst=TEXTS,
        rtt_ms=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        sent_count=NUMBERS,
        recv_count=NUMBERS,
        last_seen=st.none() | TEXTS,
        ttl=NUMBERS,
    ),
    m.Error: st.builds(
        m.Error,
        status=TEXTS,
        error=TEXTS,
        code=TEXTS,
        ref=TEXTS,
        detail=TEXTS,
        dst=TEXTS,
        ttl=NUMBERS,
        limit=NUMBERS | st.just(msgspec.UNSET),
    ),
}

ANY_MESSAGE = st.one_of(*MESSAGES.values())

#: One message of every type at once, so that no type is left out by chance.
ONE_OF_EACH = st.tuples(*MESSAGES.values())

#: Texts as `json` writes them, lone surrogates included.
_WILD_TEXTS = st.text(st.characters(), max_size=20)

#: Everything that `json` can write, NaN and infinities included.
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | _WILD_TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WILD_TEXTS, inner, max_size=4),
    max_leaves=8,
)

#: Names of fields: every one that some message has, those that others use, and anything.
FIELD_NAMES = (
    st.sampled_from(
        sorted(
            {name for kind in MESSAGES for name in kind.__struct_encode_fields__}
            | {"type", "dest", "message", "via", "attempt"}
        )
    )
    | _WILD_TEXTS
)


@st.composite
def mutated_objects(draw: st.DrawFn) -> bytes:
    """A valid message with some of its fields replaced by any JSON value, some removed, some added."""
    fields: dict[str, Any] = msgspec.to_builtins(draw(ANY_MESSAGE))
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
        fields.pop(name, None)
    fields.update(draw(st.dictionaries(FIELD_NAMES, JSON_VALUES, max_size=3)))
    ascii_only = draw(st.booleans())
    return json.dumps(fields, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """A valid line with a stretch of its bytes replaced by any others."""
    line = msgspec.json.encode(draw(ANY_MESSAGE))
    start = draw(st.integers(0, len(line)))
    end = draw(st.integers(start, len(line)))
    return line[:start] + draw(st.binary(max_size=8)) + line[end:]
