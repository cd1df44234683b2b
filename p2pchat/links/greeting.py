"""What a HELLO or HELLO_OK tells, and when it is refused (docs/protocol.md, sections 3 and 9.11)."""

from __future__ import annotations

import attrs
from msgspec import UNSET

from p2pchat.language import tr
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import VERSION, Bye, Error, Hello, HelloOk, HelloReject, Message
from p2pchat.protocol.names import BadName, PeerId

#: The feature that tells our own kind from a plain peer (section 9).
RELAY = "relay"


@attrs.frozen
class Greeting:
    """Who is at the other end, as far as it says so.

    :param card: what it shows of itself, not read yet.
    :param remark: what was odd about it, for the log; empty where nothing was.
    :param is_ourselves: it has our own name.
    """

    peer_id: PeerId
    features: frozenset[str]
    card: object = UNSET
    is_ourselves: bool = False
    remark: str = ""

    @property
    def plain(self) -> bool:
        """Not known to be of our own kind."""
        return RELAY not in self.features


def check_hello(hello: Hello, own: PeerId) -> Greeting:
    """Read the greeting of a peer that dialled us.

    :raises ProtocolError: ``bad_format``, its peer_id or version cannot be accepted.
    """
    _check_version(hello)
    peer_id = _peer_id(hello)
    return Greeting(peer_id, frozenset(hello.features), hello.card, is_ourselves=peer_id == own)


def check_hello_ok(answer: HelloOk, own: PeerId, expected: PeerId | None) -> Greeting:
    """Read the answer of a peer that we dialled.

    A plain peer that names itself otherwise than the rendezvous does keeps the name of the
    rendezvous (9.11); one of our own kind is whom it says it is.

    :param expected: whom the rendezvous lists at that address; None where nobody said.
    :raises ProtocolError: ``bad_format``, its peer_id or version cannot be accepted.
    """
    _check_version(answer)
    features = frozenset(answer.features)
    if RELAY in features or expected is None:
        peer_id = _peer_id(answer)
        remark = f"expected {expected!a}, found {peer_id!a}" if expected not in (None, peer_id) else ""
        return Greeting(peer_id, features, answer.card, is_ourselves=peer_id == own, remark=remark)
    remark = "" if answer.peer_id == expected else f"{expected!a} calls itself {answer.peer_id[:129]!a}"
    return Greeting(expected, features, answer.card, remark=remark)


def read_hello(message: Message, own: PeerId) -> Greeting | str:
    """Read the first line of a peer that dialled us; where it ends the link without an answer, say why.

    :raises ProtocolError: it is no HELLO, or one that cannot be accepted.
    """
    if isinstance(message, Hello):
        return check_hello(message, own)
    if isinstance(message, Error):
        return "the peer sent an ERROR before its HELLO"
    raise ProtocolError(ErrorCode.UNAUTHORIZED, "expected HELLO first")


def read_hello_ok(message: Message, own: PeerId, expected: PeerId | None) -> Greeting | str:
    """Read the first line of a peer that we dialled; where it does not want us, say why.

    :raises ProtocolError: it is no HELLO_OK, or one that cannot be accepted.
    """
    if isinstance(message, HelloOk):
        return check_hello_ok(message, own, expected)
    if isinstance(message, Error | HelloReject | Bye):
        return describe_refusal(message)
    raise ProtocolError(ErrorCode.UNAUTHORIZED, "expected HELLO_OK first")


def _peer_id(message: Hello | HelloOk) -> PeerId:
    try:
        return PeerId.parse(message.peer_id)
    except BadName as problem:
        raise _bad(message, f"peer_id: {problem}") from None


def _check_version(message: Hello | HelloOk) -> None:
    if message.version.partition(".")[0].strip() != VERSION.partition(".")[0]:
        raise _bad(message, f"version {message.version[:20]!a} is not spoken here, {VERSION} is")


def _bad(message: Hello | HelloOk, detail: str) -> ProtocolError:
    return ProtocolError(ErrorCode.BAD_FORMAT, detail, kind=str(message.__struct_config__.tag))


def describe_refusal(message: Error | HelloReject | Bye) -> str:
    """Say in words why a peer that we dialled does not want us (9.15)."""
    if isinstance(message, Error):
        reason = message.reason or tr("no reason given")
        why = f"{reason} {message.detail}".rstrip()
        return tr("the peer refused: {why}").format(why=why)
    if isinstance(message, HelloReject):
        return tr("the peer refused: {why}").format(why=message.reason or tr("no reason given"))
    return tr("the peer said BYE instead of HELLO_OK")
