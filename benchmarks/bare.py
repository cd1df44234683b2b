"""The baseline: `LineOnlyReceiver`s that do the JSON of each line, and nothing else.

Run as ``python -m benchmarks.bare CODEC serve [RELAY]``, ``... relay``, ``... crowd`` or
``... drive PORT MESSAGES``. All but the last print their port once they are ready; RELAY is the port of a
relay through which messages come.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from benchmarks.drive import Drive
from benchmarks.orders import listen_to_orders
from benchmarks.wire import CODECS, ID_DIGITS, Codec, hello_ok, pub

reactor: Any = _reactor


class _Line(LineOnlyReceiver):
    """What all of them have in common."""

    delimiter = b"\n"
    MAX_LENGTH = 32768
    codec: Codec

    def connectionMade(self) -> None:
        """Send small lines at once."""
        cast(ITCPTransport, self.transport).setTcpNoDelay(True)

    def write(self, line: bytes) -> None:
        """Send a line that has its end already."""
        cast(ITCPTransport, self.transport).write(line)


class Server(_Line):
    """Answers each SEND with its ACK."""

    def lineReceived(self, line: bytes) -> None:
        """Answer."""
        self.sendLine(self.codec.ack(self.codec.read(line)))


class Client(_Line):
    """Sends, and reads the ACKs."""

    confirmed: Callable[[], None]
    count = 0

    def say(self) -> None:
        """Send one message."""
        self.count += 1
        self.sendLine(self.codec.send(f"{self.count:0{ID_DIGITS}x}"))

    def lineReceived(self, line: bytes) -> None:
        """Take an ACK."""
        self.codec.read(line)
        self.confirmed()


class Relay(_Line):
    """One of the two connections of a relay: decodes, counts the ttl down, encodes, writes to the other."""

    ends: ClassVar[list[Relay]] = []

    def connectionMade(self) -> None:
        """Find the other end, or be there to be found."""
        super().connectionMade()
        self.ends.append(self)

    def lineReceived(self, line: bytes) -> None:
        """Pass on."""
        message = self.codec.load(line)
        if message["type"] == "HELLO":
            self.write(hello_ok())
            return
        message["ttl"] -= 1
        first, second = self.ends
        (second if self is first else first).sendLine(self.codec.dump(message))


class Listener(_Line):
    """One of a crowd: greets back, and waits for what is cast."""

    everyone: ClassVar[list[Listener]] = []

    def connectionMade(self) -> None:
        """Join the crowd."""
        super().connectionMade()
        self.everyone.append(self)

    def lineReceived(self, line: bytes) -> None:
        """Greet back."""
        self.write(hello_ok())


async def _serve(*relay_port: str) -> None:
    if relay_port:
        await _connect(Server, relay_port[0])
        print(relay_port[0], flush=True)
    else:
        await _listen(Server)


async def _relay() -> None:
    await _listen(Relay)


async def _crowd() -> None:
    listen_to_orders(_cast)
    await _listen(Listener)


def _cast() -> None:
    line = pub(os.urandom(16).hex())
    for listener in Listener.everyone:
        listener.write(line)


async def _drive(port: str, messages: str) -> None:
    client = await _connect(Client, port)
    drive = Drive(client.say, int(messages), reactor.stop)
    client.confirmed = drive.confirmed
    drive.start()


async def _listen(protocol: type[_Line]) -> None:
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    listening = await endpoint.listen(Factory.forProtocol(protocol))
    print(listening.getHost().port, flush=True)


async def _connect(protocol: type[_Line], port: str) -> Any:
    return await TCP4ClientEndpoint(reactor, "127.0.0.1", int(port)).connect(Factory.forProtocol(protocol))


_ROLES: dict[str, Callable[..., Coroutine[Deferred[Any], Any, None]]] = {
    "serve": _serve,
    "relay": _relay,
    "crowd": _crowd,
    "drive": _drive,
}


def _main(codec: str, role: str, *arguments: str) -> None:
    _Line.codec = CODECS[codec]
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(_ROLES[role](*arguments)))
    reactor.run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
