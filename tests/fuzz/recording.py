"""Records real traffic between real nodes in memory: what the mutations begin with.

``python -m tests.fuzz.recording`` writes the files of ``corpus/`` again. The same code records the same
lines, byte for byte: time, identifiers and randomness are those of the village.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from p2pchat.protocol.messages import FEATURES, TYPES
from p2pchat.protocol.names import ToAll, ToNamespace
from p2pchat.rendezvous.answers import LINE_TOO_LONG, Client, answer
from p2pchat.rendezvous.registry import Registry
from p2pchat.testing import MemoryTransport
from tests.console.users import HARMLESS
from tests.fuzz.borrowed import borrow, give_back
from tests.links.peers import pong
from tests.scenarios.stories import ScenarioTestCase
from tests.test_tap_options import BAD, GOOD
from tests.village import NodeTestCase
from tools import vectors

CORPUS = Path(__file__).with_name("corpus")

#: Lines of one type that are kept. More of a type differ in their ids only.
MAX_OF_A_TYPE = 24

#: The longest line that is kept, in bytes; longer ones the mutations make themselves.
MAX_BYTES = 4096

_REQUESTS = ("REGISTER", "DISCOVER", "UNREGISTER")

#: Options of the rendezvous alone, with their values.
RENDEZVOUS_OPTIONS = (
    *(("port", text) for text in ("5001", "0", "65535", "65536", "x")),
    *(("interface", text) for text in ("127.0.0.1", "::1", "localhost")),
    *(("request-timeout", text) for text in ("1", "10", "11", "1.5")),
    ("data-dir", "folder"),
)

#: What clients written by others are known to send and ours never do (docs/protocol.md, section 9.10).
FROM_OTHERS: tuple[dict[str, Any], ...] = (
    {"type": "HELLO", "peer_id": "old@UnB", "version": 1.0, "features": None},
    {"type": "HELLO_REJECT", "reason": "full"},
    {"type": "ACK", "msg_id": "m123"},
    {"type": "BYE"},
    {"type": "BYE_OK", "msg_id": "other"},
    {"type": "PING", "msg_id": "p1", "timestamp": 1767323045.25},
    {"type": "SEND", "msg_id": "m1", "src": "old@UnB", "dest": "alice@UnB", "payload": "x", "ttl": None},
    {"type": "PUB", "msg_id": "m2", "src": "old@UnB", "dst": "UnB", "payload": "x", "require_ack": None},
    {"type": "RELAY_FAIL", "msg_id": "id-9", "src": "r@UnB", "dst": "alice@UnB", "reason": "busy"},
    {"type": "TTL_EXPIRED", "msg_id": "id-9", "src": "r@UnB", "dst": "alice@UnB", "reason": "ttl_expired"},
    {"status": "ERROR", "error": "message_too_large", "message": "at most 4096 bytes"},
    {"type": "ERROR", "code": "peer_unreachable", "ref": "id-9", "detail": "bob@UnB", "dst": "alice@UnB"},
)


#: What couriers and newcomers say and hear (docs/protocol.md, 12.4, 12.5), of which the story knows nothing.
OF_KEEPERS: tuple[dict[str, Any], ...] = (
    {
        "type": "HOLD",
        "msg_id": "m7",
        "src": "mallory@UnB",
        "dst": "erin@UnB",
        "sealed": "AQ==",
        "lock": "AQ==",
    }
    | {"for_s": 172800, "ttl": 1},
    {"type": "HOLD", "msg_id": "m7", "src": "mallory@UnB", "dst": "erin@UnB", "for_s": 0},
    {"type": "HELD", "msg_id": "id-9", "src": "mallory@UnB", "dst": "alice@UnB", "for_s": 172800},
    {"type": "HELD", "msg_id": "id-9", "src": "mallory@UnB", "dst": "alice@UnB", "reason": "over_quota"},
    {"type": "SEND", "msg_id": "m8", "src": "erin@UnB", "dst": "alice@UnB", "payload": "", "ttl": 8}
    | {"sealed": "AQ==", "courier": "mallory@UnB"},
    {"type": "ACK", "msg_id": "m7", "from": "erin@UnB", "dst": "mallory@UnB", "ttl": 8, "receipt": "AQ=="},
    {"type": "LATEST", "msg_id": "q9", "src": "mallory@UnB", "dst": "#UnB", "ttl": 1},
    {"type": "PUB", "msg_id": "m9", "src": "erin@UnB", "dst": "#UnB", "payload": "before", "past": "id-3"}
    | {"time_ms": 1767258000000, "key": "AQ==", "sig": "AQ==", "ttl": 1},
)

#: What rendezvous servers in use answer and ours does not (9.17 to 9.19), and requests that ours refuses.
FROM_OTHER_SERVERS: tuple[dict[str, Any], ...] = (
    {"status": "OK", "peers": [{"ip": "192.0.2.1", "port": "7070", "name": "old", "namespace": "UnB"}]},
    {"status": "OK", "ttl": 3600, "ip": "192.0.2.9", "port": 7070},
    {"status": "ERROR", "message": "Your IP is blocked for 60 seconds"},
    {"status": "error", "error": "peer_not_registered"},
)
REFUSED_REQUESTS = (
    b"nonsense",
    b"{}",
    b'{"type":"DANCE"}',
    b'{"type":"REGISTER","namespace":"UnB","name":"alice","port":"abc"}',
    b'{"type":"UNREGISTER","namespace":"UnB","port":"abc"}',
)

#: What users type: every command, right and wrong.
TYPED = (
    *("/help", "/help msg", "/peers", "/peers *", "/peers #UnB", "/connect bob", "/disconnect @bob@UnB"),
    *("/msg @bob hello", "/msg #UnB hello all", "/msg * hello everybody", "/msg @bob@Giga olá", "again"),
    *("/routes", "/who bob", "/ping bob@UnB", "/watch", "/status", "/metrics", "/metrics bob", "/log debug"),
    *("/quit", "/", "/ msg", "/mgs @bob hello", "/msg", "/msg bob hello", "/log loud", "/who a b", ""),
    *HARMLESS,
)


def record() -> dict[str, list[bytes]]:
    """Return the lines of each file of the corpus."""
    written = _written_by(ScenarioTestCase, _talk) + _written_by(NodeTestCase, _register)
    lines = [line for data in written for line in data.split(b"\n") if line]
    kinds = [(_kind(line), line) for line in lines]
    return {
        "peer": [
            *_few_of_each(each for each in kinds if each[0] in TYPES),
            *map(_json, FROM_OTHERS + OF_KEEPERS),
        ],
        "request": [*_few_of_each(each for each in kinds if each[0] in _REQUESTS), *REFUSED_REQUESTS],
        "reply": _few_of_each(each for each in kinds if not each[0]) + _refusals(),
        "trust": [_json(fields) for fields in _trusted()],
        "console": [line.encode() for line in TYPED],
        "options": _command_lines("P2PCHAT_", (*GOOD, *BAD)),
        "rendezvous-options": _command_lines("P2PCHAT_RENDEZVOUS_", RENDEZVOUS_OPTIONS),
    }


def read(name: str) -> list[bytes]:
    """Return the lines of one file, as they were recorded."""
    texts: list[str] = json.loads((CORPUS / f"{name}.json").read_text("ascii"))
    return [text.encode("latin-1") for text in texts]


def write() -> None:
    """Write all files: lines as JSON texts in ASCII, each byte a character, so that they can be looked at."""
    for name, lines in record().items():
        texts = [line.decode("latin-1") for line in lines]
        (CORPUS / f"{name}.json").write_text(json.dumps(texts, indent=0) + "\n", "ascii")


def _written_by(kind: type[Any], story: Any) -> list[bytes]:
    """Let a story happen; return all that anybody wrote meanwhile."""
    written: list[bytes] = []
    case = borrow(kind)
    send = MemoryTransport.write

    def write_and_note(transport: MemoryTransport, data: bytes) -> None:
        written.append(bytes(data))
        send(transport, data)

    case.patch(MemoryTransport, "write", write_and_note)
    try:
        story(case)
    finally:
        give_back(case)
    return written


def _talk(case: ScenarioTestCase) -> None:
    """Tell a story in which everything is said that peers say to each other; of erin they only hear."""
    alice, relay, bob = case.build("alice-relay-bob")
    peter = case.plain("peter", relay)
    stranger = case.plain("mallory", relay, list(FEATURES))
    peter.answers["PING"] = pong
    for text in HARMLESS:
        alice.node.send(bob.own, text)
    bob.node.send(alice.own, "back")
    bob.node.send(relay.own, "to a neighbour")
    alice.node.send(peter.own, "to a plain peer")
    case.settle()
    peter.tell(alice.own, "from afar", "m123")
    peter.cast("to all", "m124")
    for to in (ToAll(), ToNamespace("UnB")):
        case.successResultOf(alice.node.publish(to, "to many"))
    alice.node.send(type(alice.own)("erin@UnB"), "into the void")
    alice.node.ask_metrics(relay.own)
    alice.node.ping(relay.own)
    stranger.say("SEND", msg_id="m1", src="mallory@UnB", dst="bob@UnB", payload="spent", ttl=0)
    stranger.say("WHO_HAS", msg_id="w1", src="mallory@UnB", dst="bob@UnB", ttl=8)
    stranger.say("SEND", msg_id="m2", src="mallory@UnB", dst="erin@UnB", payload="lost", ttl=4)
    stranger.say("DANCE", msg_id="d1")
    stranger.wire.write(b"x" * 40000 + b"\n")
    case.settle()
    case.leave(bob)


def _register(case: NodeTestCase) -> None:
    """Let peers register, discover each other, and leave."""
    alice, _bob = case.meet("alice", "bob")
    case.join("José@Giga")
    case.pass_time(40)
    case.leave(alice)


def _trusted() -> Iterator[dict[str, Any]]:
    """Yield what alice says to bob over relays, and to many: of docs/vectors, the same each time."""
    cards, said = vectors.cards(), {example["context"]: example for example in vectors.signatures()}
    key = cards["alice"]["card"]["signing"]
    for kind, context in (("SEND", "send/1"), ("PUB", "pub/1")):
        src, dst, msg_id, time_ms, payload = said[context]["parts"]
        fields = {"type": kind, "msg_id": msg_id, "src": src, "dst": dst, "payload": payload}
        yield fields | {"ttl": 8, "time_ms": time_ms, "key": key, "sig": said[context]["sig"]}
    boxes = json.loads((vectors.FOLDER / "boxes.json").read_text("utf-8"))
    for number, box in enumerate(boxes, 1):
        fields = {"type": "SEND", "msg_id": f"m{number}", "src": str(vectors.ALICE), "dst": str(vectors.BOB)}
        yield fields | {"payload": "", "ttl": 8, "sealed": box["sealed"]}
    src, dst, msg_id, _ = said["ack/1"]["parts"]
    yield {"type": "ACK", "msg_id": msg_id, "from": src, "dst": dst, "ttl": 8, "sig": said["ack/1"]["sig"]}
    card, (src, dst, msg_id) = cards["alice"]["card"], said["hit/1"]["parts"]
    fields = {
        "type": "WHO_HAS_HIT",
        "msg_id": msg_id,
        "src": dst,
        "dst": dst,
        "via": dst,
        "ttl": 8,
        "hops": 0,
    }
    yield fields | {"card": card, "sig": said["hit/1"]["sig"]}
    yield {"type": "HELLO", "peer_id": str(vectors.ALICE), "version": "1.0", "features": [], "card": card}


def _few_of_each(kinds: Iterable[tuple[str, bytes]]) -> list[bytes]:
    """Return different lines, oldest first, a few of each kind, and those without what grows with them."""
    count: Counter[str] = Counter()
    kept = []
    for kind, line in dict.fromkeys(kinds):
        count[kind] += 1
        if count[kind] <= MAX_OF_A_TYPE and len(line) < MAX_BYTES:
            kept.append(line)
    return kept


def _kind(line: bytes) -> str:
    """Return the type of a line; nothing where it has none, as replies of a rendezvous."""
    try:
        return str(json.loads(line).get("type", ""))
    except ValueError:
        return "no JSON"


def _refusals() -> list[bytes]:
    registry, client = Registry(lambda: 0.0), Client("192.0.2.1", 40000)
    replies = [answer(line, client, registry, 0).line.strip() for line in REFUSED_REQUESTS]
    return [*replies, LINE_TOO_LONG.line.strip(), *map(_json, FROM_OTHER_SERVERS)]


def _command_lines(prefix: str, options: Iterable[Sequence[Any]]) -> list[bytes]:
    """Write each option as a command line, and as a variable: words end with NUL, as the system keeps them.

    Variables stand first; an empty word ends them.
    """
    lines = []
    for option, text, *_ in options:
        name = "" if option == "name" or "RENDEZVOUS" in prefix else "--name\0alice\0"
        variable = prefix + option.replace("-", "_").upper()
        lines += [f"\0{name}--{option}\0{text}", f"{variable}={text}\0\0{name.rstrip(chr(0))}"]
    return [line.encode("utf-8", "surrogateescape") for line in lines]


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


if __name__ == "__main__":
    write()
