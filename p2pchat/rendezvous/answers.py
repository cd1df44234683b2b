"""One request line to one reply line (docs/protocol.md, section 7). No I/O.

The order of the checks and the fields of the replies are those of the server in use, which clients
written by others know; the table in section 7 is the list.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import msgspec

from p2pchat.protocol.errors import ErrorCode
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.names import MAX_NAME
from p2pchat.rendezvous.registry import OverQuota, Registry, in_ascii

#: Seconds of a REGISTER without a ttl, and the range that others are brought into (section 6).
DEFAULT_TTL_S = 7200
MIN_TTL_S = 1
MAX_TTL_S = 86400

MAX_PORT = 65535

#: The longest value of a client's that a reply repeats, in characters: enough to recognise it.
_MAX_QUOTE = 64


@attrs.frozen
class Client:
    """Who asks, as the server sees it; IPv4 addresses in their own form."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"{self.ip} port {self.port}"


@attrs.frozen
class Answer:
    """What goes back.

    :param line: its newline included.
    :param refused: why the request was refused, one word of a fixed set; empty when it was not.
    """

    line: bytes
    refused: str = ""


class _Refused(Exception):
    """Ends a request.

    :param reason: becomes `Answer.refused`.
    :param fields: of the reply, beside its status.
    """

    def __init__(self, reason: str, **fields: object) -> None:
        super().__init__(reason)
        self.answer = _refusal(reason, **fields)


@attrs.frozen
class _Request:
    """A JSON object from a client, and what is needed to answer it."""

    fields: dict[str, Any]
    client: Client
    registry: Registry
    room: int


def answer(line: bytes, client: Client, registry: Registry, room: int) -> Answer:
    """Carry out one request and return what to reply; section 7 is the list.

    :param line: without its end.
    :param room: how many bytes the answer to a DISCOVER may have just now.
    """
    try:
        fields = _read(line)
        command = _COMMANDS.get(_command_name(fields))
        if command is None:
            raise _Refused("unknown_command", message="Unknown command")
        return Answer(_line(command(_Request(fields, client, registry, room))))
    except _Refused as refused:
        return refused.answer


def _read(line: bytes) -> dict[str, Any]:
    if not line.strip():
        raise _Refused("empty_line", message="Empty request line")
    try:
        fields = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        raise _Refused("invalid_json", error="invalid_json", message="Unknown command") from None
    if not isinstance(fields, dict) or fields.get("type") is None:
        raise _Refused("missing_type", error="missing_type", message="Unknown command")
    return fields


def _command_name(fields: dict[str, Any]) -> str:
    kind = fields["type"]
    return kind.upper() if isinstance(kind, str) else ""


def _register(request: _Request) -> dict[str, object]:
    name = _name(request, "name")
    ttl_s = _ttl_s(request)
    namespace = _name(request, "namespace")
    port = _whole_number(request.fields.get("port"))
    if port is None or not 1 <= port <= MAX_PORT:
        raise _Refused("bad_port", error="bad_port")
    client = request.client
    try:
        request.registry.register(
            ip=client.ip, namespace=namespace, name=name, port=port, ttl_s=ttl_s, observed_port=client.port
        )
    except OverQuota as full:
        code = ErrorCode.OVER_QUOTA.value
        raise _Refused(code, error=code, message=str(full)) from None
    return {"status": "OK", "ttl": ttl_s, "observed_ip": client.ip, "observed_port": client.port}


def _discover(request: _Request) -> dict[str, object]:
    namespace = request.fields.get("namespace")
    if namespace == "":
        namespace = None  # all peers, as if it were missing
    if namespace is not None and not isinstance(namespace, str):
        raise _Refused("bad_namespace", error="bad_namespace")
    registry = request.registry
    if registry.answer_bytes(namespace) > request.room:
        code = ErrorCode.BUSY.value
        raise _Refused(code, error=code, message="Too many answers are waiting, try again")
    return {"status": "OK", "peers": msgspec.Raw(b"[%b]" % registry.listing(namespace))}


def _unregister(request: _Request) -> dict[str, object]:
    """Remove what matches; null is the same as not given."""
    sent = request.fields.get("port")
    port = _whole_number(sent)
    if sent is not None and port is None:
        raise _Refused("bad_port", error=f"bad_port ({_quote(sent)})")
    request.registry.unregister(
        request.client.ip, _filter(request, "namespace"), _filter(request, "name"), port
    )
    return {"status": "OK"}


_COMMANDS: dict[str, Callable[[_Request], dict[str, object]]] = {
    "REGISTER": _register,
    "DISCOVER": _discover,
    "UNREGISTER": _unregister,
}


def _name(request: _Request, field: str) -> str:
    value = request.fields.get(field)
    if isinstance(value, str) and 1 <= len(value) <= MAX_NAME:
        return value
    raise _Refused(f"bad_{field}", error=f"bad_{field}")


def _filter(request: _Request, field: str) -> str | None:
    value = request.fields.get(field)
    # What is no string matches nothing, as the empty name, which no record has, matches nothing.
    return value if value is None or isinstance(value, str) else ""


def _ttl_s(request: _Request) -> int:
    value = request.fields.get("ttl", DEFAULT_TTL_S)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("bad_ttl", error="bad_ttl")
    return int(min(max(value, MIN_TTL_S), MAX_TTL_S))


def _whole_number(value: object) -> int | None:
    """Read a port as clients write it: 7070, 7070.0 or "7070"; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return _digits(value.strip())
    return value if isinstance(value, int) else None


def _digits(text: str) -> int | None:
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        return None
    # Longer ones are no ports anyway, and int() refuses thousands of digits.
    return int(text) if len(text) <= _MAX_QUOTE else MAX_PORT + 1


def _quote(value: object) -> str:
    """Write a value as it was sent, bounded."""
    if isinstance(value, list | dict):
        return "not a number"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MAX_QUOTE else text[:_MAX_QUOTE] + "..."


def _line(fields: dict[str, object]) -> bytes:
    return in_ascii(fields) + b"\n"


def _refusal(reason: str, **fields: object) -> Answer:
    return Answer(_line({"status": "ERROR", **fields}), refused=reason)


#: Replies to what never became a request (section 7).
LINE_TOO_LONG = _refusal("line_too_long", error=ErrorCode.LINE_TOO_LONG.value, limit=MAX_LINE)
TIMED_OUT = _refusal("timeout", message="Timeout: no data received, closing connection")
TOO_MANY_CONNECTIONS = _refusal(
    "too_many_connections", error=ErrorCode.BUSY.value, message="Too many connections, try again"
)
FAILED = _refusal(
    "internal_error", error=ErrorCode.INTERNAL_ERROR.value, message="The server failed to answer this"
)

#: The reason that is counted where a client did not take its reply in time; there is no answer to that.
REPLY_NOT_TAKEN = "reply_not_taken"
