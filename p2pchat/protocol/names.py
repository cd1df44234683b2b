"""Names of peers and destinations (docs/protocol.md, section 1)."""

from __future__ import annotations

import json
import unicodedata

import attrs

from p2pchat.language import tr

#: Characters, not bytes; the rendezvous server refuses longer ones.
MAX_NAME = 64

#: Bytes of a name of ours in ASCII-only JSON, six for most foreign letters, twelve for an emoji. With
#: two of these a HELLO stays under the 1024 bytes that some peers read (9.2).
MAX_ESCAPED = 384


class BadName(ValueError):
    """A name that cannot be used; the text says what would be right."""


class PeerId(str):
    """``name@namespace``. Equal to the plain string on the wire, so it can be a key beside it."""

    __slots__ = ()

    @classmethod
    def of(cls, name: str, namespace: str) -> PeerId:
        """Join a name and a namespace that others use.

        :raises BadName: one of them is empty or longer than 64 characters, or no peer_id says both.
        """
        for what, value in (("name", name), ("namespace", namespace)):
            if not 1 <= len(value) <= MAX_NAME:
                raise BadName(f"a {what} has 1 to {MAX_NAME} characters, this one has {len(value)}")
        if "@" in namespace:
            # The last one divides a peer_id, so others read other parts out of it.
            return cls.parse(f"{name}@{namespace}")
        return cls(f"{name}@{namespace}")

    @classmethod
    def parse(cls, text: str) -> PeerId:
        """Read a ``name@namespace`` that others sent; the last ``@`` divides it.

        :raises BadName: there is no ``@``, or a part is empty or too long.
        """
        name, at, namespace = text.rpartition("@")
        if not at:
            raise BadName("a peer_id is written name@namespace")
        return cls.of(name, namespace)

    @property
    def name(self) -> str:
        """The part before the last ``@``."""
        return self.rpartition("@")[0]

    @property
    def namespace(self) -> str:
        """The part after the last ``@``."""
        return self.rpartition("@")[2]


def check_own(what: str, text: str) -> str:
    """Return *text* if we would use it as our own name or namespace.

    Stricter than what is accepted from others: our own names must be easy to type and to read.

    :param what: ``name`` or ``namespace``, for the message.
    :raises BadName: it is empty, too long, or has a character that commands or screens trip over.
    """
    kind = {"name": tr("name"), "namespace": tr("namespace")}[what]
    if not 1 <= len(text) <= MAX_NAME:
        problem = tr("a {kind} has 1 to {most} characters, this one has {n}")
        raise BadName(problem.format(kind=kind, most=MAX_NAME, n=len(text)))
    for char in text:
        if char in "@#*/\\" or char.isspace() or unicodedata.category(char).startswith("C"):
            problem = tr("a {kind} has no @, #, *, slash, space or control character; found {char!a}")
            raise BadName(problem.format(kind=kind, char=char))
    if text.startswith("."):
        raise BadName(tr("a {kind} does not start with a dot").format(kind=kind))
    escaped = len(json.dumps(text)) - 2
    if escaped > MAX_ESCAPED:
        problem = tr("a {kind} has at most {most} bytes when escaped, this one has {n}")
        raise BadName(problem.format(kind=kind, most=MAX_ESCAPED, n=escaped))
    return text


@attrs.frozen
class ToPeer:
    """One peer: ``@name`` or ``@name@namespace``."""

    peer_id: PeerId

    def __str__(self) -> str:
        return f"@{self.peer_id}"


@attrs.frozen
class ToNamespace:
    """All peers of a namespace: ``#namespace``."""

    namespace: str

    def __str__(self) -> str:
        return f"#{self.namespace}"


@attrs.frozen
class ToAll:
    """All peers: ``*``."""

    def __str__(self) -> str:
        return "*"


Destination = ToPeer | ToNamespace | ToAll


def parse_peer(text: str, own_namespace: str) -> PeerId:
    """Read ``name``, ``@name``, ``name@namespace`` or ``@name@namespace`` as a user types it.

    :raises BadName: it is none of these.
    """
    text = text.removeprefix("@")
    return PeerId.parse(text) if "@" in text else PeerId.of(text, own_namespace)


def parse_destination(text: str, own_namespace: str) -> Destination:
    """Read a destination as a user types it.

    :raises BadName: it is not ``@peer``, ``#namespace`` or ``*``.
    """
    if text == "*":
        return ToAll()
    if text.startswith("#"):
        return ToNamespace(_namespace(text[1:]))
    if text.startswith("@"):
        return ToPeer(parse_peer(text, own_namespace))
    raise BadName(tr("a destination is @peer, #namespace or *"))


def _namespace(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME:
        problem = tr("a {kind} has 1 to {most} characters, this one has {n}")
        raise BadName(problem.format(kind=tr("namespace"), most=MAX_NAME, n=len(text)))
    return text
