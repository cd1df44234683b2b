"""A peer as others wrote it, after the later edition of the specification. It imports nothing of ours.

It reads one line per ``recv`` and throws the rest away, decodes each chunk on its own, and looks hard at
every line. What arrives is printed; what is typed is sent as it is. A rule that is broken (docs/protocol.md,
9.1 to 9.8) is printed as ``VIOLATION``.

Run as ``plain_peer.py dial PORT`` or ``plain_peer.py serve PORT``.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from typing import Any

HELLO = {"peer_id": "old@lobby", "version": "1.0", "features": ["ack"], "ttl": 1}
KNOWN = {"HELLO", "HELLO_OK", "PING", "PONG", "SEND", "ACK", "PUB", "BYE", "BYE_OK", "ERROR"}


def say(connection: socket.socket, kind: str, **fields: Any) -> None:
    """Send one message."""
    connection.sendall(json.dumps({"type": kind, **fields}).encode() + b"\n")


def look_at(data: bytes) -> dict[str, Any]:
    """Read one chunk as one line, and complain of all that is wrong with it."""
    if not data.endswith(b"\n") or data.count(b"\n") != 1:
        print("VIOLATION not one line in a segment", data)
    if not data.isascii():
        print("VIOLATION not ASCII", data)
    message: dict[str, Any] = json.loads(data.split(b"\n")[0].decode())
    if type(message.get("ttl")) is not int or message["ttl"] != 1:
        print("VIOLATION ttl", data)
    if message["type"] not in KNOWN:
        print("VIOLATION type", data)
    if message["type"] in ("HELLO", "HELLO_OK") and (message["version"] != "1.0" or len(data) >= 1024):
        print("VIOLATION greeting", data)
    needed = {"SEND": ("msg_id", "src", "dst", "payload"), "BYE": ("msg_id", "src", "dst")}
    for field in needed.get(message["type"], ()):
        if not isinstance(message.get(field), str):
            print("VIOLATION", field, data)
    return message


def answer(connection: socket.socket, message: dict[str, Any]) -> None:
    """Do what the specification asks for."""
    match message["type"]:
        case "HELLO":
            say(connection, "HELLO_OK", **HELLO)
        case "PING":
            say(connection, "PONG", msg_id=message["msg_id"], timestamp="2025-01-01T00:00:00Z", ttl=1)
        case "SEND":
            say(connection, "ACK", msg_id=message["msg_id"])
        case "BYE":
            say(connection, "BYE_OK")


def listen(connection: socket.socket) -> None:
    """Read until the end."""
    while data := connection.recv(4096):
        message = look_at(data)
        print(
            "got",
            message["type"],
            message.get("payload", ""),
            message.get("dst", ""),
            message.get("code", ""),
        )
        answer(connection, message)
    print("end")


def main(way: str, port: str) -> None:
    """Connect, greet, and talk."""
    if way == "serve":
        with socket.create_server(("127.0.0.1", int(port))) as server:
            print("ready")
            connection, _ = server.accept()
    else:
        connection = socket.create_connection(("127.0.0.1", int(port)))
        say(connection, "HELLO", **HELLO)
    threading.Thread(target=listen, args=(connection,), daemon=True).start()
    for line in sys.stdin:
        connection.sendall(line.encode())


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main(*sys.argv[1:])
