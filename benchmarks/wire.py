"""What is said in the benchmarks, written and read by the ``json`` module or by msgspec."""

from __future__ import annotations

import json
from typing import Any, Protocol

import msgspec

from p2pchat.protocol.messages import FEATURES, ORIGIN_TTL, Ack, Hello, HelloOk, Pub, Send

#: So that a SEND line has about 240 bytes.
PAYLOAD = "The quick brown fox jumps over the lazy dog. " * 2

#: Who sends, who answers, and who stands between.
SENDER = "alice@lobby"
RECEIVER = "bob@lobby"
RELAY = "relay@lobby"

#: msg_ids are as long as ours: 32 digits.
ID_DIGITS = 32


class Codec(Protocol):
    """One way to do the JSON, and nothing else."""

    def read(self, line: bytes) -> str:
        """Decode a SEND or an ACK and return its msg_id."""

    def send(self, msg_id: str) -> bytes:
        """Encode a SEND."""

    def ack(self, msg_id: str) -> bytes:
        """Encode the ACK of a SEND."""

    def load(self, line: bytes) -> dict[str, Any]:
        """Decode a line as a relay does, which keeps fields that it does not know."""

    def dump(self, message: dict[str, Any]) -> bytes:
        """Encode it again."""


class Json:
    """The JSON that everybody has."""

    def read(self, line: bytes) -> str:
        """Decode a SEND or an ACK and return its msg_id."""
        msg_id: str = json.loads(line)["msg_id"]
        return msg_id

    def send(self, msg_id: str) -> bytes:
        """Encode a SEND."""
        fields = {
            "type": "SEND",
            "msg_id": msg_id,
            "src": SENDER,
            "dst": RECEIVER,
            "payload": PAYLOAD,
            "require_ack": True,
            "ttl": ORIGIN_TTL,
        }
        return self.dump(fields)

    def ack(self, msg_id: str) -> bytes:
        """Encode the ACK of a SEND."""
        fields = {
            "type": "ACK",
            "msg_id": msg_id,
            "from": RECEIVER,
            "src": RECEIVER,
            "dst": SENDER,
            "ttl": ORIGIN_TTL,
        }
        return self.dump(fields)

    def load(self, line: bytes) -> dict[str, Any]:
        """Decode a line into all of its fields."""
        message: dict[str, Any] = json.loads(line)
        return message

    def dump(self, message: dict[str, Any]) -> bytes:
        """Encode fields."""
        return json.dumps(message, separators=(",", ":")).encode()


class Msgspec:
    """The JSON that p2pchat uses: typed and validating, but for a relay."""

    def __init__(self) -> None:
        self._messages = msgspec.json.Decoder(Send | Ack)
        self._fields = msgspec.json.Decoder(dict[str, Any])
        self._encoder = msgspec.json.Encoder()

    def read(self, line: bytes) -> str:
        """Decode a SEND or an ACK and return its msg_id."""
        msg_id: str = self._messages.decode(line).msg_id
        return msg_id

    def send(self, msg_id: str) -> bytes:
        """Encode a SEND."""
        return self._encoder.encode(Send(msg_id, SENDER, RECEIVER, PAYLOAD, ttl=ORIGIN_TTL))

    def ack(self, msg_id: str) -> bytes:
        """Encode the ACK of a SEND."""
        return self._encoder.encode(Ack(msg_id, RECEIVER, src=RECEIVER, dst=SENDER, ttl=ORIGIN_TTL))

    def load(self, line: bytes) -> dict[str, Any]:
        """Decode a line into all of its fields."""
        return self._fields.decode(line)

    def dump(self, message: dict[str, Any]) -> bytes:
        """Encode fields."""
        return self._encoder.encode(message)


CODECS: dict[str, Codec] = {"json": Json(), "msgspec": Msgspec()}


def hello(peer_id: str, features: tuple[str, ...]) -> bytes:
    """Return the line that a dialler begins with, its end included."""
    return msgspec.json.encode(Hello(peer_id, features=features)) + b"\n"


def hello_ok() -> bytes:
    """Return the answer to a HELLO, its end included."""
    return msgspec.json.encode(HelloOk(RELAY, features=FEATURES)) + b"\n"


def pub(msg_id: str) -> bytes:
    """Return a message to all, its end included."""
    return msgspec.json.encode(Pub(msg_id, RELAY, PAYLOAD, dst="*", ttl=ORIGIN_TTL)) + b"\n"
