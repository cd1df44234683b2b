"""``p2pchat identity`` and ``p2pchat namespace-key``: keys, seen, moved and made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar, TextIO

from twisted.python import usage

from p2pchat.language import tr
from p2pchat.options import EnvironmentOptions, StrictOptions, file, folder, own
from p2pchat.protocol.names import PeerId
from p2pchat.settings import DEFAULT_NAMESPACE
from p2pchat.trust.cards import fingerprint
from p2pchat.trust.identity import Identity
from p2pchat.trust.keeping import IDENTITY_FILE, keys_folder, make_folder, read_secrets
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.secretfile import KeysUnusable, write_secret

#: Exit status where something cannot be done.
FAILED = 2


class _KeysOptions(EnvironmentOptions):
    """A command about keys. What cannot be done is told in words."""

    def parseArgs(self, *words: str) -> None:
        """Take the file, where there is to be one.

        :raises UsageError: there is none, or there are several, or it is none that is expected.
        """
        if len(words) != self.takes_word:
            expected = (
                tr("expected one file, got {n} words")
                if self.takes_word
                else tr("expected nothing more, got {n} words")
            )
            raise usage.UsageError(expected.format(n=len(words)))
        if words:
            try:
                self.file = file(words[0])
            except ValueError as problem:
                raise usage.UsageError(str(problem)) from None

    def read_namespace(self) -> str:
        """Return the namespace that is meant.

        :raises UsageError: it is wrong.
        """
        return self.read("namespace", own("namespace"), DEFAULT_NAMESPACE)

    def run(self, out: TextIO, err: TextIO) -> int:
        """Do it."""
        try:
            for line in self.do():
                print(line, file=out)
        except KeysUnusable as problem:
            print(f"p2pchat: {problem}", file=err)
            return FAILED
        return 0

    def do(self) -> list[str]:
        """Do it, and return what to print.

        :raises KeysUnusable: it cannot be done; the text says why, and what to do.
        """
        raise NotImplementedError


class _IdentityOptions(_KeysOptions):
    """A command about the identity of a peer."""

    optParameters: ClassVar[list[list[Any]]] = [
        ["name", None, None, tr("The name of the peer. Required.")],
        ["namespace", None, None, tr("Its group. [default: {default}]").format(default=DEFAULT_NAMESPACE)],
        [
            "data-dir",
            None,
            None,
            tr("Its folder, if it was given one. [default: under the data folder of the user]"),
        ],
    ]

    def postOptions(self) -> None:
        """Read all values.

        :raises UsageError: one is wrong or missing.
        """
        name = self.read("name", own("name"), None)
        if name is None:
            raise usage.UsageError(
                tr("--name (or {variable}) is required: whose identity? For example: --name alice").format(
                    variable=self.variable("name")
                )
            )
        self.own = PeerId.of(name, self.read_namespace())
        self.given = self.read("data-dir", folder, None)

    @property
    def path(self) -> Path:
        """The file of the identity."""
        return keys_folder(self.given, self.own) / IDENTITY_FILE

    def identity(self) -> Identity:
        """Return the identity that is kept.

        :raises KeysUnusable: there is none.
        """
        try:
            return Identity(self.own, read_secrets(self.path))
        except FileNotFoundError:
            raise KeysUnusable(
                tr("{peer} has no key yet (there is no file {path}); it gets one at its first start").format(
                    peer=self.own, path=self.path
                )
            ) from None


class ShowOptions(_IdentityOptions):
    """What ``p2pchat identity show`` takes."""

    synopsis = tr("--name NAME [options]")
    longdesc = tr("Shows who a peer is to others.")
    optFlags: ClassVar[list[list[Any]]] = [["card", None, tr("Print its card as others get it, as JSON.")]]

    def do(self) -> list[str]:
        """Tell the key."""
        identity = self.identity()
        if self["card"]:
            return [json.dumps(identity.card.as_fields(), ensure_ascii=False)]
        return [
            tr("Peer:        {peer}").format(peer=identity.own),
            tr("Key:         {key}").format(key=identity.key.hex()),
            tr("Fingerprint: {fingerprint}").format(fingerprint=fingerprint(identity.key)),
            tr("Kept in:     {path}").format(path=self.path),
        ]


class ExportOptions(_IdentityOptions):
    """What ``p2pchat identity export`` takes."""

    takes_word = True
    synopsis = tr("FILE --name NAME [options]")
    longdesc = tr("Copies the identity of a peer into a file, to keep it safe or to move to another machine.")

    def do(self) -> list[str]:
        """Copy it."""
        self.identity()  # what is damaged is of no use there either
        _write_new(self.file, read_secrets(self.path).to_bytes())
        return [
            tr("The identity of {peer} is in {path}.").format(peer=self.own, path=self.file),
            tr("Whoever has that file can be {peer}: keep it where nobody else can read it.").format(
                peer=self.own
            ),
            tr("On another machine, p2pchat identity import takes it. Use it on one machine only."),
        ]


class ImportOptions(_IdentityOptions):
    """What ``p2pchat identity import`` takes."""

    takes_word = True
    synopsis = tr("FILE --name NAME [options]")
    longdesc = tr("Makes a peer be who is in a file that p2pchat identity export wrote.")
    optFlags: ClassVar[list[list[Any]]] = [
        ["replace", None, tr("Also where it has another identity already.")]
    ]

    def do(self) -> list[str]:
        """Copy it."""
        try:
            secrets = read_secrets(self.file)
        except FileNotFoundError:
            raise KeysUnusable(tr("There is no file {path}").format(path=self.file)) from None
        make_folder(self.path.parent)
        try:
            _write(self.path, secrets.to_bytes(), self["replace"])
        except FileExistsError:
            if read_secrets(self.path) != secrets:
                raise KeysUnusable(
                    tr(
                        "{peer} has another identity already, which would be lost. Keep a copy of it with "
                        "p2pchat identity export, and then import with --replace"
                    ).format(peer=self.own)
                ) from None
        key = Identity(self.own, secrets).key
        return [
            tr("{peer} is now who has the key {fingerprint}; a peer that runs must be started anew.").format(
                peer=self.own, fingerprint=fingerprint(key)
            )
        ]


class _GroupOptions(StrictOptions):
    """A word that is followed by one of several commands."""

    #: What is said to whoever gives none.
    expected = ""

    def postOptions(self) -> None:
        """Ask for a subcommand.

        :raises UsageError: there is none.
        """
        if self.subCommand is None:
            raise usage.UsageError(self.expected)

    def run(self, out: TextIO, err: TextIO) -> int:
        """Do it."""
        return int(self.subOptions.run(out, err))


class IdentityOptions(_GroupOptions):
    """What ``p2pchat identity`` takes."""

    synopsis = tr("show | export FILE | import FILE")
    expected = tr("expected a command: identity show, export or import")
    subCommands: ClassVar[list[list[Any]]] = [
        ["show", None, ShowOptions, tr("Show who a peer is to others.")],
        ["export", None, ExportOptions, tr("Copy its identity into a file.")],
        ["import", None, ImportOptions, tr("Make it be who is in such a file.")],
    ]


class NewNamespaceKeyOptions(_KeysOptions):
    """What ``p2pchat namespace-key new`` takes."""

    takes_word = True
    synopsis = tr("FILE [options]")
    longdesc = tr(
        "Makes a key for a namespace. Give the file to its members by a way that nobody else can read."
    )
    optParameters: ClassVar[list[list[Any]]] = [
        ["namespace", None, None, tr("The namespace. [default: {default}]").format(default=DEFAULT_NAMESPACE)]
    ]

    def postOptions(self) -> None:
        """Read all values.

        :raises UsageError: one is wrong.
        """
        self.namespace = self.read_namespace()

    def do(self) -> list[str]:
        """Make it."""
        _write_new(self.file, NamespaceKey.new(self.namespace, os.urandom).to_bytes())
        return [
            tr("A key for the namespace {namespace} is in {path}.").format(
                namespace=self.namespace, path=self.file
            ),
            tr("Give it to all members by a way that nobody else can read; they start with --namespace-key."),
            tr("Who does not have it reads nothing of what is said to all of them, and passes it on only."),
        ]


class NamespaceKeyOptions(_GroupOptions):
    """What ``p2pchat namespace-key`` takes."""

    synopsis = tr("new FILE")
    expected = tr("expected a command: namespace-key new")
    subCommands: ClassVar[list[list[Any]]] = [["new", None, NewNamespaceKeyOptions, tr("Make one.")]]


def _write_new(path: Path, data: bytes) -> None:
    try:
        _write(path, data)
    except FileExistsError:
        raise KeysUnusable(
            tr("There is a file {path} already; name another, or remove it first").format(path=path)
        ) from None


def _write(path: Path, data: bytes, replace: bool = False) -> None:
    """Write a file of keys.

    :raises FileExistsError: there is one, and it may not be replaced.
    :raises KeysUnusable: it cannot be written.
    """
    try:
        write_secret(path, data, replace)
    except FileExistsError:
        raise
    except OSError as problem:
        raise KeysUnusable(
            tr("The file {path} cannot be written ({why})").format(path=path, why=problem.strerror)
        ) from None
