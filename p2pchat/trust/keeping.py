"""Where the keys of this peer are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs

from p2pchat.language import tr
from p2pchat.protocol.names import PeerId
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.secretfile import KeysUnusable, read_secret, write_secret

IDENTITY_FILE = "identity.json"
PEERS_FILE = "peers.sqlite"


def keys_folder(given: str | None, own: PeerId) -> Path:
    """Return the folder for the keys of a peer.

    :param given: the one that the user asked for; None for one under the data folder of the user.
    """
    under = platformdirs.user_data_path("p2pchat") / own.namespace / own.name
    return (Path(given) if given else under).absolute()


def make_folder(folder: Path) -> None:
    """Make a folder, for our eyes only, unless it is there.

    :raises KeysUnusable: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise KeysUnusable(
            tr("The folder {folder} for keys cannot be made ({why})").format(
                folder=folder, why=problem.strerror
            )
        ) from None


def load_identity(folder: Path, own: PeerId, random_bytes: Callable[[int], bytes]) -> Identity:
    """Read our identity; at the first start, make it.

    :raises KeysUnusable: it cannot be read, or not be kept.
    """
    make_folder(folder)
    path = folder / IDENTITY_FILE
    try:
        return Identity(own, read_secrets(path))
    except FileNotFoundError:
        pass
    try:
        write_secret(path, Secrets.new(random_bytes).to_bytes())
    except FileExistsError:
        pass  # another start was quicker; there is one identity, and it is the same for both
    except OSError as problem:
        raise KeysUnusable(
            tr("Your new key cannot be kept in {file} ({why})").format(file=path, why=problem.strerror)
        ) from None
    return Identity(own, read_secrets(path))


def read_secrets(path: Path) -> Secrets:
    """Read the file of an identity.

    :raises KeysUnusable: it cannot be read, or is damaged.
    :raises FileNotFoundError: there is none.
    """
    try:
        return Secrets.from_bytes(read_secret(path))
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise KeysUnusable(
            tr("The file {file} with your key cannot be read ({why})").format(file=path, why=problem.strerror)
        ) from None
    except ValueError as problem:
        told = tr(
            "The file {file} with your key is damaged ({problem}). If you have a copy that p2pchat identity "
            "export made, put it back with p2pchat identity import FILE --replace; without one, remove the "
            "file: you get a new key, and all who know your old one must take it with /trust"
        )
        raise KeysUnusable(told.format(file=path, problem=problem)) from None
