"""Load for a relay: a sender and a receiver that cost as little as they can, so that the relay is measured.

They speak just enough of the protocol to be linked with a node: HELLO, SEND and ACK. All they read of a line
is its msg_id, found by a search. The sender runs in the process that measures, the receiver in its own, as
``python -m benchmarks.generators PORT``; it prints a line once it is ready.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import sys
import time

from benchmarks.drive import MESSAGES, ROUND_TRIPS, WINDOW
from benchmarks.wire import CODECS, ID_DIGITS, RECEIVER, SENDER, hello
from p2pchat.protocol.messages import FEATURES

#: Seconds without an answer after which a message is taken to be lost.
LOST_S = 30.0

_SEND = re.compile(rb'"type":"SEND","msg_id":"([0-9a-f]+)"')
_ACK = re.compile(rb'"type":"ACK","msg_id":"([0-9a-f]+)"')


class Connection:
    """One link, blocking."""

    def __init__(self, port: int, peer_id: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), LOST_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self.write(hello(peer_id, FEATURES))
        if b'"HELLO_OK"' not in self.read():
            raise SystemExit("the relay did not greet back")

    def read(self) -> bytes:
        """Return the lines that came; empty where none will come any more."""
        while data := self._socket.recv(65536):
            lines, end, rest = (self._rest + data).rpartition(b"\n")
            self._rest = rest
            if end:
                return lines
        return b""

    def write(self, lines: bytes) -> None:
        """Send lines."""
        self._socket.sendall(lines)

    def close(self) -> None:
        """End it."""
        self._socket.close()


class Sender:
    """Sends through a relay and waits for the confirmations."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port, SENDER)
        ids = [os.urandom(ID_DIGITS // 2).hex() for _ in range(MESSAGES + ROUND_TRIPS)]
        self._lines = [CODECS["json"].send(msg_id) + b"\n" for msg_id in ids]
        self._open = {msg_id.encode() for msg_id in ids}
        self._sent = 0

    def messages_per_s(self) -> float:
        """Keep a window of messages under way; return how many were confirmed in a second."""
        to_confirm = MESSAGES
        began = time.perf_counter()
        self._send(WINDOW)
        while to_confirm:
            confirmed = self._confirmed()
            to_confirm -= confirmed
            self._send(min(confirmed, MESSAGES - self._sent))
        return MESSAGES / (time.perf_counter() - began)

    def round_trip_s(self) -> float:
        """Send one message after the other; return the median round trip."""
        took = []
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            self._send(1)
            self._confirmed()
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    def close(self) -> None:
        """End it."""
        self._connection.close()

    def _send(self, count: int) -> None:
        if count:
            self._connection.write(b"".join(self._lines[self._sent : self._sent + count]))
            self._sent += count

    def _confirmed(self) -> int:
        """Wait for confirmations; return how many messages are confirmed that were not before."""
        before = len(self._open)
        give_up_at = time.monotonic() + LOST_S
        while len(self._open) == before:
            lines = self._connection.read()
            if not lines or time.monotonic() > give_up_at:
                raise SystemExit(f"the relay hung up or lost messages; {before} are not confirmed")
            self._open.difference_update(_ACK.findall(lines))
        return before - len(self._open)


def _receive(port: int) -> None:
    connection = Connection(port, RECEIVER)
    print("ready", flush=True)
    template = CODECS["json"].ack("%s") + b"\n"
    while lines := connection.read():
        acks = [template % msg_id for msg_id in _SEND.findall(lines)]
        if acks:
            connection.write(b"".join(acks))


if __name__ == "__main__":
    _receive(int(sys.argv[1]))
