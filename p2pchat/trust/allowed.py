"""Closed groups: who may come at all."""

from __future__ import annotations

from pathlib import Path

import attrs

from p2pchat.language import tr
from p2pchat.protocol.names import BadName, PeerId
from p2pchat.trust.secretfile import KeysUnusable
from p2pchat.trust.signing import KEY_BYTES

#: The largest file; a line has at most some 200 bytes.
MAX_BYTES = 1024 * 1024


@attrs.frozen
class Allowed:
    """The peers of a closed group, some with the key that they must have.

    :param keys: by peer its public signing key, or None for the one that it comes with first.
    """

    _keys: dict[PeerId, bytes | None]

    def why_not(self, peer_id: PeerId, key: bytes | None) -> str:
        """Say why a peer may not come; nothing if it may.

        :param key: the key that it has proved to have; None where it proved none.
        """
        if peer_id not in self._keys:
            return f"{peer_id} is not one of those who may come here"
        if key is None:
            return "only who proves its key may come here, which needs TLS or a signature"
        if self._keys[peer_id] not in (None, key):
            return f"{peer_id} may come here with another key only"
        return ""


def read_allowed(path: Path) -> Allowed:
    """Read the list of a closed group: a peer a line, with its key behind it or not; ``#`` begins a comment.

    :raises KeysUnusable: it cannot be read, or a line in it is wrong.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode()
    except OSError as problem:
        raise KeysUnusable(
            tr("The file {file} cannot be read ({why})").format(file=path, why=problem.strerror)
        ) from None
    except UnicodeDecodeError:
        raise KeysUnusable(tr("The file {file} is no text in UTF-8").format(file=path)) from None
    if len(data) > MAX_BYTES:
        raise KeysUnusable(tr("The file {file} is larger than {n} bytes").format(file=path, n=MAX_BYTES))
    keys: dict[PeerId, bytes | None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            keys.update(_entry(line))
        except ValueError as problem:
            told = tr(
                "{file}, line {n}: {problem}. Expected name@namespace, and behind it the key as p2pchat "
                "identity show prints it, or nothing"
            )
            raise KeysUnusable(told.format(file=path, n=number, problem=problem)) from None
    if not keys:
        raise KeysUnusable(tr("The file {file} names nobody, so nobody could come").format(file=path))
    return Allowed(keys)


def _entry(line: str) -> dict[PeerId, bytes | None]:
    # A name may hold no # of ours, but others may have one; a comment stands behind a blank.
    words = line.partition(" #")[0].split()
    if not words or line.lstrip().startswith("#"):
        return {}
    if len(words) > 2:
        raise ValueError(tr("there are more than two words"))
    try:
        peer_id = PeerId.parse(words[0])
    except BadName as problem:
        raise ValueError(str(problem)) from None
    key = bytes.fromhex(words[1]) if len(words) == 2 else None
    if key is not None and len(key) != KEY_BYTES:
        raise ValueError(tr("a key has {n} hexadecimal digits").format(n=2 * KEY_BYTES))
    return {peer_id: key}
