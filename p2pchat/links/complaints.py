"""Lines that are wrong: answered, as far as that costs us little, and told in the log once."""

from __future__ import annotations

from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from p2pchat.addresses import Address
from p2pchat.allowance import Allowance
from p2pchat.protocol.errors import ErrorCode, ProtocolError, UnknownType
from p2pchat.protocol.messages import Error, Message
from p2pchat.protocol.names import PeerId

#: Complaints about bad lines that one link gets per second; those about unknown types have
#: one a second by section 4. What is beyond is counted only, so that garbage costs us little.
COMPLAINTS_PER_S = 10


class Accused(Protocol):
    """The link that the lines came over."""

    peer_id: PeerId
    address: Address
    bad_lines: int

    def send(self, message: Message) -> None:
        """Send a message about the link itself."""


@attrs.define
class Complaints:
    """What one link is told of its bad lines. The link creates and owns it."""

    _log = Logger()

    _clock: IReactorTime
    _allowed: Allowance = attrs.Factory(lambda: Allowance(COMPLAINTS_PER_S))
    _unknown_types: Allowance = attrs.Factory(lambda: Allowance(1))

    def about(self, problem: ProtocolError, link: Accused) -> None:
        """Answer a bad line on a link that is up."""
        if link.bad_lines == 1:
            self._log.info(
                "{peer!a} at {address} sent a bad line: {problem!a}; more of them are only counted",
                peer=link.peer_id,
                address=link.address,
                problem=str(problem),
            )
        if problem.kind == "ERROR":
            return  # an ERROR is never answered with an ERROR, a broken one neither
        allowance = self._unknown_types if isinstance(problem, UnknownType) else self._allowed
        if allowance.take(self._clock.seconds()):
            link.send(Error.about(problem, dst=link.peer_id))


def as_early(problem: ProtocolError) -> ProtocolError:
    """Return how to refuse what came instead of a greeting: `unauthorized`, unless it was meant as one."""
    if problem.kind in ("HELLO", "HELLO_OK") or problem.code != ErrorCode.BAD_FORMAT:
        return problem
    return ProtocolError(ErrorCode.UNAUTHORIZED, f"expected the handshake first; {problem.detail}")
