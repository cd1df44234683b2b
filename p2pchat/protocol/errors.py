"""The error vocabulary of the protocol, in one place (docs/protocol.md, section 8)."""

from __future__ import annotations

from enum import StrEnum

from p2pchat.language import mark


class ErrorCode(StrEnum):
    """The codes that we send ourselves. From others any string is understood."""

    TTL_EXPIRED = "ttl_expired"
    NO_ROUTE = "no_route"
    OVER_QUOTA = "over_quota"
    BUSY = "busy"
    UNAUTHORIZED = "unauthorized"
    BAD_FORMAT = "bad_format"
    LINE_TOO_LONG = "line_too_long"
    INTERNAL_ERROR = "internal_error"


#: What a code means, in words, to be shown `translated`; the keys include what only others send.
MEANINGS: dict[str, str] = {
    ErrorCode.TTL_EXPIRED: mark("it ran out of hops on the way"),
    ErrorCode.NO_ROUTE: mark("no way to the peer is known"),
    ErrorCode.OVER_QUOTA: mark("more was sent than is allowed"),
    ErrorCode.BUSY: mark("too much is waiting there already; try again later"),
    ErrorCode.UNAUTHORIZED: mark("the other side does not allow it"),
    ErrorCode.BAD_FORMAT: mark("the other side could not read it"),
    ErrorCode.LINE_TOO_LONG: mark("it is longer than the other side accepts"),
    ErrorCode.INTERNAL_ERROR: mark("something failed inside the other side"),
    "peer_unreachable": mark("the peer cannot be reached from there"),
    "ack_timeout": mark("no confirmation arrived there in time"),
    "relay_not_supported": mark("the other side does not relay"),
    "who_has_timeout": mark("nobody there knows the peer"),
    "message_too_large": mark("it is larger than the other side accepts"),
    "p2p_unknown_command": mark("the other side does not know this kind of message"),
    "unknown_command": mark("the other side does not know this kind of message"),
}

#: What is said of a code that says nothing to us, where nothing comes with it.
NO_DETAIL = mark("no detail given")

#: Codes after which sending the same message again may help.
TRANSIENT: frozenset[str] = frozenset(
    {ErrorCode.BUSY, ErrorCode.OVER_QUOTA, ErrorCode.INTERNAL_ERROR, "ack_timeout"}
)

#: Codes that say that a peer has no way to the destination.
NO_WAY: frozenset[str] = frozenset(
    {ErrorCode.NO_ROUTE, "peer_unreachable", "who_has_timeout", "relay_not_supported"}
)


class ProtocolError(Exception):
    """What somebody sent, or wants to send, is not what the protocol allows.

    :param code: what to answer.
    :param detail: what was wrong and what was expected, for people.
    :param ref: the msg_id of the message at fault, empty where it is not known.
    :param limit: with ``line_too_long``, the longest line in bytes.
    :param kind: the type of the message at fault, empty where it is not known.
    """

    def __init__(
        self, code: ErrorCode, detail: str, ref: str = "", limit: int | None = None, kind: str = ""
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.ref = ref
        self.limit = limit
        self.kind = kind


class UnknownType(ProtocolError):
    """A well-formed message of a type that we do not know (docs/protocol.md, section 4)."""
