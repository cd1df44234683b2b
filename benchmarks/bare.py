"""The baseline: a pair of `LineOnlyReceiver`s that does the JSON of SEND and ACK, and nothing else.

Run as ``python -m benchmarks.bare serve CODEC`` (prints its port) or ``... drive CODEC PORT``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, cast

import msgspec
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from benchmarks.drive import MESSAGES, PAYLOAD, ROUND_TRIPS, WINDOW, Drive
from p2pchat.protocol.messages import Ack, Send

reactor: Any = _reactor


class _Json:
    """The JSON that everybody has."""

    @staticmethod
    def read(line: bytes) -> Any:
        return json.loads(line)["msg_id"]

    @staticmethod
    def send(msg_id: str) -> bytes:
        fields = {
            "type": "SEND",
            "msg_id": msg_id,
            "src": "alice@lobby",
            "dst": "bob@lobby",
            "payload": PAYLOAD,
            "require_ack": True,
            "ttl": 8,
        }
        return json.dumps(fields, separators=(",", ":")).encode()

    @staticmethod
    def ack(msg_id: str) -> bytes:
        fields = {
            "type": "ACK",
            "msg_id": msg_id,
            "from": "bob@lobby",
            "src": "bob@lobby",
            "dst": "alice@lobby",
            "ttl": 8,
        }
        return json.dumps(fields, separators=(",", ":")).encode()


class _Msgspec:
    """The JSON that p2pchat uses, typed and validating."""

    read_message = msgspec.json.Decoder(Send | Ack).decode
    write_message = msgspec.json.Encoder().encode

    @classmethod
    def read(cls, line: bytes) -> str:
        msg_id: str = cls.read_message(line).msg_id
        return msg_id

    @classmethod
    def send(cls, msg_id: str) -> bytes:
        return cls.write_message(Send(msg_id, "alice@lobby", "bob@lobby", PAYLOAD, ttl=8))

    @classmethod
    def ack(cls, msg_id: str) -> bytes:
        return cls.write_message(Ack(msg_id, "bob@lobby", src="bob@lobby", dst="alice@lobby", ttl=8))


CODECS: dict[str, Any] = {"json": _Json, "msgspec": _Msgspec}


class Server(LineOnlyReceiver):
    """Answers each SEND with its ACK."""

    delimiter = b"\n"
    codec: Any

    def connectionMade(self) -> None:
        """Send small lines at once."""
        cast(ITCPTransport, self.transport).setTcpNoDelay(True)

    def lineReceived(self, line: bytes) -> None:
        """Answer."""
        self.sendLine(self.codec.ack(self.codec.read(line)))


class Client(LineOnlyReceiver):
    """Sends, and reads the ACKs."""

    delimiter = b"\n"
    codec: Any
    confirmed: Callable[[], None]
    count = 0

    def connectionMade(self) -> None:
        """Send small lines at once."""
        cast(ITCPTransport, self.transport).setTcpNoDelay(True)

    def say(self) -> None:
        """Send one message."""
        self.count += 1
        self.sendLine(self.codec.send(f"{self.count:032x}"))

    def lineReceived(self, line: bytes) -> None:
        """Take an ACK."""
        self.codec.read(line)
        self.confirmed()


async def _drive(codec: str, port: int) -> None:
    factory = Factory.forProtocol(Client)
    client: Any = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
    client.codec = CODECS[codec]
    drive = Drive(client.say, MESSAGES, WINDOW, ROUND_TRIPS, reactor.stop)
    client.confirmed = drive.confirmed
    drive.start()


def _main(what: str, codec: str, *port: str) -> None:
    if what == "serve":
        Server.codec = CODECS[codec]
        listening = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Server))
        listening.addCallback(lambda found: print(found.getHost().port, flush=True))
    else:
        reactor.callWhenRunning(lambda: Deferred.fromCoroutine(_drive(codec, int(port[0]))))
    reactor.run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
