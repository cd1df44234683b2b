"""Many links at once, all from the process that measures: fan-out, and memory of an idle link."""

from __future__ import annotations

import resource
import selectors
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.processes import Process, running
from benchmarks.wire import hello
from p2pchat.protocol.messages import FEATURES, TLS
from p2pchat.trust.certificates import certificate_of

#: Lines that reach the crowd in one run, whatever its size.
LINES = 50_000

#: Casts in one turn of the reactor, where they come in bursts.
BURST = 20

#: Orders to cast that are under way at once: enough that the one who casts never waits, and not so many
#: that a socket fills.
WINDOW = 8

#: Idle links that are weighed, and those before them that pay for what is made only once. Together they
#: are as many as a node takes.
IDLE = 500
WARM_UP = 12

#: What a plain peer offers.
PLAIN = ("ack",)

#: Files that a process with all these links opens, and some more.
FILES = 1024

#: Seconds without any line after which something is taken to be lost.
LOST_S = 30.0


class Crowd:
    """Links to one node, from this process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._count = 0
        self._selector = selectors.DefaultSelector()

    def join(self, count: int, features: tuple[str, ...], tls: ssl.SSLContext | None = None) -> None:
        """Add links. Each is up when the next one begins.

        :param tls: encrypts them, if it is given.
        """
        for _ in range(count):
            link = socket.create_connection(("127.0.0.1", self._port), LOST_S)
            self._count += 1
            if tls is not None:
                self._greet(link, (*features, TLS))
                link = tls.wrap_socket(link)
            self._greet(link, features)
            self._selector.register(link, selectors.EVENT_READ, link)

    def _greet(self, link: socket.socket, features: tuple[str, ...]) -> None:
        link.sendall(hello(f"peer{self._count}@lobby", features))
        if b'"HELLO_OK"' not in link.recv(4096):
            raise SystemExit("one of the crowd was not greeted back")

    def lines(self) -> int:
        """Wait for lines on any link; return how many came."""
        count = 0
        for key, _ in self._selector.select(LOST_S):
            count += key.data.recv(65536).count(b"\n")
        if not count:
            raise SystemExit("a cast did not arrive")
        return count

    def close(self) -> None:
        """End all links."""
        for key in list(self._selector.get_map().values()):
            key.data.close()
        self._selector.close()


@attrs.frozen
class Fanning:
    """What one run of casts to all links found.

    :param cpu_s: processor time of the server for one cast.
    :param bursts_per_s: casts in a second where `BURST` of them are made in one turn of the reactor.
    """

    casts_per_s: float
    cpu_s: float
    bursts_per_s: float


def fan_out(links: int, *kind: str) -> Fanning:
    """Let a server cast to so many links, until all lines have reached all of them.

    :param kind: what the server is.
    """
    casts = LINES // links
    with _crowd_at(*kind) as (process, crowd):
        crowd.join(links, FEATURES)
        cpu_before_s = process.cpu_s
        one_by_one_s = _cast(process, crowd, links, casts, 1)
        cpu_s = process.cpu_s - cpu_before_s
        in_bursts_s = _cast(process, crowd, links, casts, BURST)
    return Fanning(casts / one_by_one_s, cpu_s / casts, casts / in_bursts_s)


def _cast(process: Process, crowd: Crowd, links: int, casts: int, burst: int) -> float:
    """Return how many seconds it takes until all have arrived."""
    began = time.perf_counter()
    asked = arrived = 0
    while arrived < casts * links:
        while asked < min(casts, arrived // links + WINDOW * burst):
            process.tell(f"cast {burst}")
            asked += burst
        arrived += crowd.lines()
    return time.perf_counter() - began


def bytes_per_link(*kind: str, tls: ssl.SSLContext | None = None) -> float:
    """Return by how much the resident memory of a server grows for each idle link of a peer that does little.

    :param kind: what the server is.
    :param tls: encrypts the links, if it is given.
    """
    with _crowd_at(*kind) as (process, crowd):
        crowd.join(WARM_UP, PLAIN, tls)
        process.tell("memory")
        before = int(process.read())
        crowd.join(IDLE, PLAIN, tls)
        process.tell("memory")
        return (int(process.read()) - before) / IDLE


def client_tls() -> ssl.SSLContext:
    """Return what encrypts links as our own kind does: with a certificate of a signing key."""
    key = Ed25519PrivateKey.generate()
    written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with tempfile.NamedTemporaryFile() as file:
        file.write(written + certificate_of(key).public_bytes(Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context


def allow_files() -> None:
    """Raise what this process and those that it starts may open, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _crowd_at(*kind: str) -> Iterator[tuple[Process, Crowd]]:
    with running(*kind, "crowd") as process, closing(Crowd(int(process.read()))) as crowd:
        yield process, crowd
