"""One frozen struct per message type, and their union (docs/protocol.md, sections 3, 4 and 8).

Fields have the names of the wire, but for ``from``, which is a word of Python. A field that is
`msgspec.UNSET` is left out when written. Every message carries a ``ttl``; it counts forwards and
means something only in routed messages, but some peers ask for it everywhere.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType, field

from p2pchat.protocol.errors import ErrorCode, ProtocolError

#: Forwards that a routed message may have at its origin (section 2).
ORIGIN_TTL = 8

#: The only ttl that plain peers accept (section 9).
PLAIN_TTL = 1

#: The version that we speak; another major version is refused.
VERSION = "1.0"

MsgId = Annotated[str, Meta(min_length=1, max_length=128)]

#: When something was said, in ms since 1970; what every JSON reader takes for the same number.
Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]

Seconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]

#: Characters of a peer_id at most: 64 + 1 + 64.
MAX_ADDRESS = 129

#: A peer_id, ``#namespace`` or ``*``.
Address = Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS)]


class _Wire(Struct, frozen=True, tag_field="type", gc=False):
    """What all messages share. They hold no containers of themselves, so the collector skips them."""


class Hello(_Wire, frozen=True, tag="HELLO", gc=False):
    """The dialler's first line (section 3).

    :param card: inside of TLS, who the sender is and its keys (section 11); not looked at here, so that one
        that is wrong has its answer from those who can read it.
    """

    peer_id: str
    version: str = VERSION
    features: tuple[str, ...] = ()
    ttl: int = PLAIN_TTL
    card: Any = UNSET


class HelloOk(_Wire, frozen=True, tag="HELLO_OK", gc=False):
    """The acceptor's answer; its features are those that it enables (section 3).

    :param card: as in `Hello`.
    """

    peer_id: str
    version: str = VERSION
    features: tuple[str, ...] = ()
    ttl: int = PLAIN_TTL
    card: Any = UNSET


class HelloReject(_Wire, frozen=True, tag="HELLO_REJECT", gc=False):
    """Some clients refuse a HELLO with this; we never send it (section 9.15)."""

    reason: str = ""
    ttl: int = PLAIN_TTL


class Ping(_Wire, frozen=True, tag="PING", gc=False):
    """Are you there? (section 3)"""

    msg_id: MsgId
    timestamp: str = ""
    ttl: int = PLAIN_TTL


class Pong(_Wire, frozen=True, tag="PONG", gc=False):
    """The answer to a `Ping`, with its msg_id (section 3)."""

    msg_id: MsgId
    timestamp: str = ""
    ttl: int = PLAIN_TTL


class Bye(_Wire, frozen=True, tag="BYE", gc=False):
    """The sender wants to close (section 3)."""

    msg_id: str = ""
    src: str = ""
    dst: str = ""
    reason: str | UnsetType = UNSET
    ttl: int = PLAIN_TTL


class ByeOk(_Wire, frozen=True, tag="BYE_OK", gc=False):
    """The answer to a `Bye`; both close then (section 3)."""

    msg_id: str = ""
    src: str = ""
    dst: str = ""
    ttl: int = PLAIN_TTL


class Send(_Wire, frozen=True, tag="SEND", gc=False):
    """A text from one peer to one peer (section 4).

    :param attempt: which try it is; 2 and up in resends, so that relays tell them from duplicates
        (section 5).
    :param sealed: the payload, its time and its signature, for the eyes of dst only (section 11).
    :param time_ms: where it is signed and not sealed: when it was said, in ms since 1970.
    :param key: with that, the signing key of src.
    :param sig: with that, the signature.
    :param after: the msg_id of the one before it to the same destination, where that is not confirmed yet
        (section 12.1).
    :param courier: who kept it while dst was away, and hands it over now (section 12.4).
    """

    msg_id: MsgId
    src: Address
    dst: Address
    payload: str
    require_ack: bool = True
    ttl: int = PLAIN_TTL
    attempt: int | UnsetType = UNSET
    sealed: str | UnsetType = UNSET
    time_ms: Milliseconds | UnsetType = UNSET
    key: str | UnsetType = UNSET
    sig: str | UnsetType = UNSET
    after: str | UnsetType = UNSET
    courier: str | UnsetType = UNSET

    @property
    def said(self) -> tuple[str | UnsetType, ...]:
        """What tells it from another one with its msg_id, without being opened."""
        return self.payload, self.sealed, self.sig

    @property
    def number(self) -> int:
        """Which copy it is, counted from 1; the first does not say so."""
        return 1 if self.attempt is UNSET else self.attempt


class Ack(_Wire, frozen=True, tag="ACK", gc=False):
    """The destination has the message (section 4). Some peers send the msg_id and nothing else.

    :param sig: the signature of the destination, where it goes back over relays (section 11).
    :param receipt: what only the destination can have, for the courier that kept the message (section 12.4).
    """

    msg_id: MsgId
    from_: str = field(default="", name="from")
    src: str = ""
    dst: str = ""
    ttl: int = PLAIN_TTL
    sig: str | UnsetType = UNSET
    receipt: str | UnsetType = UNSET


class Pub(_Wire, frozen=True, tag="PUB", gc=False):
    """A text from one peer to many: ``#namespace`` or ``*`` (section 4).

    Others also write the namespace without ``#``, the reader's own peer_id, or nothing (9.12).

    :param sealed: as in `Send`, for those who have the key of the namespace.
    :param time_ms: as in `Send`; so are *key* and *sig*.
    :param past: where it was said before who gets it came: the msg_id of the `Latest` that asked for it.
    """

    msg_id: MsgId
    src: Address
    payload: str
    dst: str = ""
    require_ack: bool = False
    ttl: int = PLAIN_TTL
    sealed: str | UnsetType = UNSET
    time_ms: Milliseconds | UnsetType = UNSET
    key: str | UnsetType = UNSET
    sig: str | UnsetType = UNSET
    past: str | UnsetType = UNSET

    @property
    def said(self) -> tuple[str | UnsetType, ...]:
        """What tells it from another one with its msg_id, without being opened."""
        return self.payload, self.sealed, self.sig


class WhoHas(_Wire, frozen=True, tag="WHO_HAS", gc=False):
    """Who can reach dst? Passed on from neighbour to neighbour (section 5).

    :param signed: dst itself shall answer and sign that, if it can (section 11).
    """

    msg_id: MsgId
    src: Address
    dst: Address
    ttl: int = PLAIN_TTL
    signed: bool | UnsetType = UNSET


class WhoHasHit(_Wire, frozen=True, tag="WHO_HAS_HIT", gc=False):
    """The answer to a `WhoHas`, with its msg_id; it walks back the way of the question (section 5).

    :param src: who answers.
    :param dst: who was sought.
    :param via: the next hop for whoever receives this: its sender.
    :param hops: links from *via* to *dst*; unset where the sender does not count them.
    :param card: that of *dst*, which answers itself (section 11).
    :param sig: with that, its signature over the question.
    """

    msg_id: MsgId
    src: str = ""
    dst: str = ""
    via: str = ""
    ttl: int = PLAIN_TTL
    hops: int | UnsetType = UNSET
    card: Any = UNSET
    sig: str | UnsetType = UNSET


class _Report(_Wire, frozen=True, gc=False):
    """What a relay reports on a SEND that it was given (section 4).

    :param msg_id: that of the SEND.
    :param src: the relay.
    :param dst: the source of the SEND.
    :param reason: a code of section 8, or words for people.
    """

    msg_id: MsgId
    src: str = ""
    dst: str = ""
    reason: str = ""
    ttl: int = PLAIN_TTL


class RelayOk(_Report, frozen=True, tag="RELAY_OK", gc=False):
    """It was passed on."""


class RelayFail(_Report, frozen=True, tag="RELAY_FAIL", gc=False):
    """It was not, for *reason*."""


class TtlExpired(_Report, frozen=True, tag="TTL_EXPIRED", gc=False):
    """It had no forwards left."""


class Hold(_Wire, frozen=True, tag="HOLD", gc=False):
    """Keep this message for dst, who is away, or keep it no longer (section 12.4).

    :param src: whose message it is: the sender.
    :param sealed: as in `Send`.
    :param lock: what the receipt of the destination will fit.
    :param for_s: for how many seconds; 0: no longer.
    """

    msg_id: MsgId
    src: Address
    dst: Address
    sealed: str = ""
    lock: str = ""
    for_s: Seconds = 0
    ttl: int = PLAIN_TTL


class Held(_Wire, frozen=True, tag="HELD", gc=False):
    """The answer to a `Hold`, with its msg_id (section 12.4).

    :param src: who keeps it.
    :param dst: whose message it is.
    :param for_s: for how many seconds it is kept; 0: it is not.
    :param reason: with 0, a code of section 8.
    """

    msg_id: MsgId
    src: str = ""
    dst: str = ""
    for_s: Seconds = 0
    reason: str = ""
    ttl: int = PLAIN_TTL


class Latest(_Wire, frozen=True, tag="LATEST", gc=False):
    """What was said last to a namespace? It is answered by as many `Pub`, with its msg_id (section 12.5).

    :param dst: the namespace, as in ``#UnB``.
    """

    msg_id: MsgId
    src: Address
    dst: Address
    ttl: int = PLAIN_TTL


class MetricsReq(_Wire, frozen=True, tag="METRICS_REQ", gc=False):
    """How do you see this link? (section 4)"""

    msg_id: MsgId
    src: str = ""
    dst: str = ""
    ttl: int = PLAIN_TTL


class Metrics(_Wire, frozen=True, tag="METRICS", gc=False):
    """How the sender sees the link that this came over (section 4).

    :param rtt_ms: its last round trip in milliseconds.
    :param sent_count: lines that it sent over the link.
    :param recv_count: lines that it received.
    :param last_seen: when it last received one, ``YYYY-MM-DDTHH:MM:SSZ``.
    """

    msg_id: MsgId
    src: str = ""
    dst: str = ""
    rtt_ms: float | None = None
    sent_count: int = 0
    recv_count: int = 0
    last_seen: str | None = None
    ttl: int = PLAIN_TTL


class Error(_Wire, frozen=True, tag="ERROR", gc=False):
    """Something was wrong (section 8). Written in both forms of the specification at once."""

    status: str = "ERROR"
    error: str = ""
    code: str = ""
    ref: str = ""
    detail: str = ""
    dst: str = ""
    ttl: int = ORIGIN_TTL
    limit: int | UnsetType = UNSET

    #: Longest detail that we send, in characters: it is for people, and may quote what a peer sent.
    MAX_DETAIL: ClassVar[int] = 300

    @property
    def reason(self) -> str:
        """The code, from whichever of the two forms the sender used."""
        return self.code or self.error

    @classmethod
    def about(cls, problem: ProtocolError, dst: str = "") -> Error:
        """Make the answer to a line that was wrong.

        :param dst: the peer that caused it, so that the error can find its way back.
        """
        return cls.make(problem.code, problem.detail, ref=problem.ref, dst=dst, limit=problem.limit)

    @classmethod
    def make(
        cls, code: ErrorCode, detail: str, *, ref: str = "", dst: str = "", limit: int | None = None
    ) -> Error:
        """Fill both forms of the specification."""
        return cls(
            error=code.value,
            code=code.value,
            ref=ref,
            detail=detail[: cls.MAX_DETAIL],
            dst=dst,
            limit=UNSET if limit is None else limit,
        )


Message = (
    Hello
    | HelloOk
    | HelloReject
    | Ping
    | Pong
    | Bye
    | ByeOk
    | Send
    | Ack
    | Pub
    | WhoHas
    | WhoHasHit
    | RelayOk
    | RelayFail
    | TtlExpired
    | Hold
    | Held
    | Latest
    | MetricsReq
    | Metrics
    | Error
)

#: Type names on the wire.
TYPES: frozenset[str] = frozenset(str(kind.__struct_config__.tag) for kind in Message.__args__)

#: What we offer in HELLO and HELLO_OK. A peer that lists ``relay`` is of our own kind (section 9).
FEATURES = ("ack", "relay", "who_has", "metrics")

#: The feature of those that keep messages for peers that are away (section 12.4).
COURIER = "courier"

#: The feature of those that tell newcomers what was said last to their namespace (section 12.5).
PAST = "past"

#: The feature that makes a link go on in TLS, where both ends list it (section 3).
TLS = "tls"
