"""JSON-RPC 2.0, a line each: requests read, replies and notifications written (docs/control.md).

Done with msgspec, which is here anyway: no library for Twisted is kept up, and what one would save is this
module.
"""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

#: What a request is known by; null is none of its own kind, but a client may send it.
Id = int | str | None


class Code(IntEnum):
    """What kind of error it was. Those of JSON-RPC itself, and one for all that a node refuses."""

    PARSE = -32700
    REQUEST = -32600
    METHOD = -32601
    PARAMS = -32602
    INTERNAL = -32603
    REFUSED = -32000


class RpcError(Exception):
    """A request that cannot be done.

    :param text: what happened, for people.
    :param reason: for programs, where it is refused, such as ``no_route``.
    """

    def __init__(self, code: Code, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.reason = code, text, reason


class Request(msgspec.Struct, frozen=True):
    """A request; without an id it is a notification, and gets no reply.

    :param params: by name. Lists are not taken.
    """

    jsonrpc: Literal["2.0"]
    method: str
    params: dict[str, Any] = {}
    id: Id | UnsetType = UNSET


def read_request(line: bytes) -> Request:
    """Read a line.

    :raises RpcError: it is no request.
    """
    try:
        return msgspec.json.decode(line, type=Request)
    except msgspec.ValidationError as problem:
        raise RpcError(Code.REQUEST, f"expected a request of JSON-RPC 2.0: {problem}") from None
    except RecursionError:
        raise RpcError(Code.REQUEST, "it is nested too deep") from None
    except ValueError as problem:
        raise RpcError(Code.PARSE, f"expected JSON in one line: {problem}") from None


def reply(request_id: Id, result: object) -> bytes:
    """Write what came of a request."""
    return _line({"jsonrpc": "2.0", "id": request_id, "result": result})


def error(request_id: Id, problem: RpcError) -> bytes:
    """Write why nothing came of one."""
    told: dict[str, Any] = {"code": int(problem.code), "message": problem.text}
    if problem.reason:
        told["data"] = {"reason": problem.reason}
    return _line({"jsonrpc": "2.0", "id": request_id, "error": told})


def notification(method: str, **params: object) -> bytes:
    """Write what nobody asked for."""
    return _line({"jsonrpc": "2.0", "method": method, "params": params})


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
