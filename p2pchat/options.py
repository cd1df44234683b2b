"""What the two plugins share in reading their options."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.python import usage

from p2pchat import __version__
from p2pchat.addresses import Address
from p2pchat.language import tr
from p2pchat.protocol.names import check_own

_T = TypeVar("_T")
_D = TypeVar("_D")


class StrictOptions(usage.Options):
    """Options of a program of ours: what belongs to none of them is refused, in words that can be printed."""

    #: What else is said in the help. Without it, Twisted shows what ``__main__`` says about itself.
    longdesc = ""

    def __init__(self) -> None:
        super().__init__()
        # Twisted would show the docstrings, which nobody translates.
        self.docs["help"] = tr("Display this help and exit.")
        self.docs["version"] = tr("Display the version of p2pchat and exit.")

    def opt_version(self) -> None:
        """Display the version of p2pchat and exit."""
        print(f"p2pchat {__version__}")
        raise SystemExit(0)

    #: Words that belong to no option may stand in front of them, such as a file.
    takes_word = False

    #: How many did.
    _leading = 0

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read a command line.

        :raises UsageError: it is wrong; the text can be printed, whatever bytes stood there.
        """
        if self.takes_word and options:
            leading = next((at for at, word in enumerate(options) if word.startswith("-")), len(options))
            # getopt takes no option behind a word.
            options, self._leading = [*options[leading:], *options[:leading]], leading
        try:
            super().parseOptions(options)
        except usage.UsageError as problem:
            raise usage.UsageError(_printable(str(problem))) from None

    def parseArgs(self, *words: str) -> None:
        """Refuse words that belong to no option, such as a name without its ``--name``.

        :raises UsageError: there are any.
        """
        if words:
            raise usage.UsageError(
                tr("{word!a} follows no option; a value stands behind its option: --option value").format(
                    word=words[0]
                )
            )

    def in_order(self, words: Sequence[str]) -> list[str]:
        """Return the words that `parseArgs` gets in the order in which they were typed."""
        rest = len(words) - self._leading
        return [*words[rest:], *words[:rest]]


class EnvironmentOptions(StrictOptions):
    """Options whose values may also come from the environment; the command line wins.

    Values are read as text first and turned into what they mean by `read`, so that a value from
    the environment is checked exactly like one from the command line.
    """

    #: What the names of the variables begin with.
    prefix = "P2PCHAT_"

    #: The environment; a test gives its own.
    environment: Mapping[str, str] = os.environ

    @property
    def twistd(self) -> usage.Options:
        """The options of twistd itself, before ours on the command line."""
        assert self.parent is not None, "twistd makes itself the parent before it reads our options"
        return self.parent

    def variable(self, name: str) -> str:
        """Return the name of the environment variable of an option."""
        return self.prefix + name.upper().replace("-", "_")

    def raw(self, name: str) -> str | None:
        """Return an option as text: from the command line, the environment, or its default."""
        given: str | None = self[name]
        if given is not None:
            return given
        return self.environment.get(self.variable(name)) or None

    def read(self, name: str, parse: Callable[[str], _T], default: _D) -> _T | _D:
        """Return what an option means, or *default* where it was not given.

        :raises UsageError: its value is wrong; the text says where it came from, and what would be right.
        """
        text = self.raw(name)
        return default if text is None else self.parse(name, text, parse)

    def is_on(self, name: str) -> bool:
        """Whether a flag is set: on the command line, or in the environment to ``yes``.

        :raises UsageError: the environment has something else than ``yes`` or ``no``.
        """
        if self[name]:
            return True
        text = self.environment.get(self.variable(name), "") or "no"
        if text.lower() not in ("yes", "no"):
            raise usage.UsageError(
                tr("{variable}: expected yes or no, got {text!a}").format(
                    variable=self.variable(name), text=text
                )
            )
        return text.lower() == "yes"

    def parse(self, name: str, text: str, parse: Callable[[str], _T]) -> _T:
        """Return what one value of an option means.

        :raises UsageError: it is wrong.
        """
        try:
            return parse(text)
        except ValueError as problem:
            raise usage.UsageError(
                tr("--{option} (or {variable}): {problem}").format(
                    option=name, variable=self.variable(name), problem=problem
                )
            ) from None


def _printable(text: str) -> str:
    """Escape what a terminal cannot take, such as the bytes of a word that is not UTF-8."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number from *least* to *most*."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
            raise ValueError(
                tr("expected a whole number from {least} to {most}, got {text!a}").format(
                    least=least, most=most, text=text
                )
            )
        return int(text)

    return parse


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """Return what reads one of some words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(
                tr("expected {words}, got {text!a}").format(words=tr(" or ").join(words), text=text)
            )
        return text

    return parse


def own(what: str) -> Callable[[str], str]:
    """Return what reads a name of ours.

    :param what: ``name`` or ``namespace``.
    """
    return lambda text: check_own(what, text)


def interface(text: str) -> str:
    """Read an IP address of this machine.

    :raises ValueError: it is no address, or not of this machine.
    """
    try:
        version = ipaddress.ip_address(text).version
    except ValueError:
        raise ValueError(
            tr("expected an IP address of this machine, such as 127.0.0.1, got {text!a}").format(text=text)
        ) from None
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as probe:
        try:
            probe.bind((text, 0))
        except OSError as problem:
            raise ValueError(
                tr("{address} is not an address of this machine ({why})").format(
                    address=text, why=problem.strerror
                )
            ) from None
    return text


def check_port_is_free(name: str, port: int, host: str) -> None:
    """Refuse a port that is taken, before anything is started.

    :raises UsageError: it is.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as problem:
            raise usage.UsageError(
                tr("--{option}: port {port} cannot be used ({why}); choose another").format(
                    option=name, port=port, why=problem.strerror
                )
            ) from None


def address(text: str) -> Address:
    """Read ``HOST:PORT``.

    :raises ValueError: it is not written so.
    """
    return Address.parse(text)


def folder(text: str) -> str:
    """Read the path of a folder.

    :raises ValueError: no path can be written so, whatever there is.
    """
    if not text or not _is_path(text):
        raise ValueError(tr("expected a folder, got {text!a}").format(text=text))
    return text


def file(text: str) -> Path:
    """Read the path of a file.

    :raises ValueError: no path can be written so, whatever there is.
    """
    if not text or not _is_path(text):
        raise ValueError(tr("expected a file, got {text!a}").format(text=text))
    return Path(text).absolute()


def _is_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
