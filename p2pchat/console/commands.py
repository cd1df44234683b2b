"""The grammar of the command line and its help (docs/protocol.md, section 10)."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import attrs

from p2pchat.language import tr
from p2pchat.protocol.names import (
    BadName,
    Destination,
    PeerId,
    ToAll,
    ToNamespace,
    parse_destination,
    parse_peer,
)

#: Messages that ``/history`` shows, unless told otherwise and at most.
DEFAULT_COUNT, MAX_COUNT = 20, 200

#: What ``/log`` takes, from most to least.
LOG_LEVELS = ("debug", "info", "warn", "error", "critical")


class Mistyped(Exception):
    """What was typed is no command; the text says what was expected, with an example."""


@attrs.frozen
class Peers:
    """Show the roster.

    :param scope: whom to show.
    """

    scope: ToNamespace | ToAll


@attrs.frozen
class Connect:
    """Dial now."""

    peer_id: PeerId


@attrs.frozen
class Disconnect:
    """Say BYE."""

    peer_id: PeerId


@attrs.frozen
class Say:
    """Send a text."""

    to: Destination
    text: str


@attrs.frozen
class Routes:
    """Show neighbours and routes."""


@attrs.frozen
class Who:
    """Show how a peer would be reached now."""

    peer_id: PeerId


@attrs.frozen
class Verify:
    """Show the safety number of us and a peer, or take note that it is the same over there.

    :param is_same: the user says that it is.
    """

    peer_id: PeerId
    is_same: bool


@attrs.frozen
class Trust:
    """Take the other key that a peer came with."""

    peer_id: PeerId


@attrs.frozen
class Block:
    """Take nothing of a peer any more."""

    peer_id: PeerId


@attrs.frozen
class Unblock:
    """Take back `Block`."""

    peer_id: PeerId


@attrs.frozen
class Outbox:
    """Show our messages that have no outcome yet."""


@attrs.frozen
class Cancel:
    """Give up some of them.

    :param number: the one that the user knows by it; None for all to *peer_id*, or all of them.
    """

    number: int | None = None
    peer_id: PeerId | None = None


@attrs.frozen
class History:
    """Show what was said last.

    :param conversation: with whom, or where; None for all.
    :param count: how much of it.
    """

    conversation: Destination | None
    count: int


@attrs.frozen
class Search:
    """Show what was said with some words."""

    words: str


@attrs.frozen
class Ping:
    """Measure a round trip."""

    peer_id: PeerId


@attrs.frozen
class Watch:
    """Switch live tracing on or off."""


@attrs.frozen
class Status:
    """Show who we are and how we do."""


@attrs.frozen
class Metrics:
    """Show our counters, or how a peer sees our link."""

    peer_id: PeerId | None


@attrs.frozen
class Log:
    """Set what the log file gets.

    :param level: one of `LOG_LEVELS`.
    """

    level: str


@attrs.frozen
class Help:
    """Show help.

    :param text: what to show.
    """

    text: str


@attrs.frozen
class Quit:
    """End."""


#: Those about the key of a peer.
AboutKeys = Verify | Trust | Block | Unblock

Command = (
    Peers
    | Connect
    | Disconnect
    | Say
    | Routes
    | Who
    | AboutKeys
    | Outbox
    | Cancel
    | History
    | Search
    | Ping
    | Watch
    | Status
    | Metrics
    | Log
    | Help
    | Quit
)


@attrs.frozen
class _Grammar:
    """One command.

    :param arguments: what follows its name, for the help.
    :param example: a whole line.
    :param does: what it does, in a line.
    :param more: what else there is to know.
    :param read: reads the arguments; raises `BadName` or `Mistyped` with what is wrong.
    """

    arguments: str
    example: str
    does: str
    read: Callable[[str, str], Command]
    more: str = ""


def parse(line: str, own_namespace: str, last: Destination | None) -> Command | None:
    """Read what was typed; None for an empty line.

    :param last: where a line without a slash goes; None where nothing was sent yet.
    :raises Mistyped: it is no command; the text says what was expected.
    """
    line = line.strip()
    if not line:
        return None
    if not line.startswith("/"):
        if last is None:
            raise Mistyped(tr("To whom? Begin with a destination, for example: /msg @bob hello"))
        return Say(last, line)
    name, rest = _cut(line[1:])
    grammar = _GRAMMARS.get(name)
    if grammar is None:
        raise Mistyped(_no_such(name) + tr(" /help shows all commands."))
    try:
        return grammar.read(rest, own_namespace)
    except (BadName, Mistyped) as problem:
        what = str(problem) if str(problem).endswith(("?", ".")) else f"{problem}."
        form = f"/{name} {grammar.arguments}".rstrip()
        expected = tr("Expected: {form}   Example: {example}").format(form=form, example=grammar.example)
        raise Mistyped(f"{what} {expected}") from None


def _cut(text: str) -> tuple[str, str]:
    """Cut off the first word; blanks of any kind end it, since what is pasted has them all."""
    if text[:1].isspace():
        return "", text.strip()
    word, *rest = text.split(maxsplit=1) or [""]
    return word, "".join(rest)


def _no_such(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), _GRAMMARS, n=1)
    problem = tr("There is no command /{name}.").format(name=name[:20])
    return problem + (tr(" Did you mean /{name}?").format(name=near[0]) if near else "")


def _nothing(rest: str, command: Command) -> Command:
    if rest:
        raise Mistyped(tr("It takes nothing more"))
    return command


def _peer(rest: str, own_namespace: str) -> PeerId:
    if not rest:
        raise Mistyped(tr("Say which peer"))
    if len(rest.split()) > 1:
        raise Mistyped(tr("It takes one peer and nothing more"))
    return parse_peer(rest, own_namespace)


def _read_peers(rest: str, own_namespace: str) -> Command:
    if len(rest.split()) > 1:
        raise Mistyped(tr("It takes one namespace or * and nothing more"))
    scope = parse_destination(rest, own_namespace) if rest else ToNamespace(own_namespace)
    if isinstance(scope, ToNamespace | ToAll):
        return Peers(scope)
    raise Mistyped(tr("It takes a namespace or *, not a peer"))


def _read_msg(rest: str, own_namespace: str) -> Command:
    to, text = _cut(rest)
    if not to:
        raise Mistyped(tr("Say to whom, and what"))
    destination = parse_destination(to, own_namespace)
    if not text:
        raise Mistyped(tr("There is no text"))
    return Say(destination, text)


def _read_log(rest: str, _: str) -> Command:
    if rest.lower() not in LOG_LEVELS:
        raise Mistyped(tr("A level is one of {levels}").format(levels=", ".join(LOG_LEVELS)))
    return Log(rest.lower())


def _read_metrics(rest: str, own_namespace: str) -> Command:
    return Metrics(_peer(rest, own_namespace) if rest else None)


def _read_cancel(rest: str, own_namespace: str) -> Command:
    if not rest:
        raise Mistyped(tr("Say which message"))
    if rest == "all":
        return Cancel()
    digits = rest.removeprefix("#")
    if _is_number(digits):
        return Cancel(number=int(digits))
    return Cancel(peer_id=_peer(rest, own_namespace))


def _read_history(rest: str, own_namespace: str) -> Command:
    *before, last = rest.split() or [""]
    count = DEFAULT_COUNT
    if _is_number(last):
        count = int(last)
        if not 1 <= count <= MAX_COUNT:
            raise Mistyped(tr("It shows 1 to {most} messages").format(most=MAX_COUNT))
    elif last:
        before.append(last)
    if len(before) > 1:
        raise Mistyped(tr("It takes a peer, a namespace or *, and a number behind it"))
    return History(_conversation(before[0], own_namespace) if before else None, count)


def _conversation(text: str, own_namespace: str) -> Destination:
    """Read a destination, or a peer as it is written elsewhere, without the @ before it."""
    is_destination = text[:1] in ("@", "#", "*")
    return parse_destination(text if is_destination else f"@{text}", own_namespace)


def _read_search(rest: str, _: str) -> Command:
    if not rest:
        raise Mistyped(tr("Say which words"))
    return Search(rest)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _read_verify(rest: str, own_namespace: str) -> Command:
    who, answer = _cut(rest)
    if answer not in ("", "yes"):
        raise Mistyped(tr("It takes one peer, and behind it yes or nothing"))
    return Verify(_peer(who, own_namespace), is_same=answer == "yes")


def _read_help(rest: str, _: str) -> Command:
    name = rest.removeprefix("/")
    if not name:
        return Help(help_text())
    grammar = _GRAMMARS.get(name)
    if grammar is None:
        raise Mistyped(_no_such(name))
    lines = [
        f"/{name} {grammar.arguments}".rstrip(),
        f"  {grammar.does}",
        tr("  Example: {example}").format(example=grammar.example),
    ]
    return Help("\n".join(lines + ([f"  {grammar.more}"] if grammar.more else [])))


def help_text() -> str:
    """Return all commands, a line each."""
    forms = {f"/{name} {grammar.arguments}".rstrip(): grammar.does for name, grammar in _GRAMMARS.items()}
    width = max(map(len, forms))
    lines = [f"{form:<{width}}  {does}" for form, does in forms.items()]
    return "\n".join([*lines, tr("A line without a slash goes to the last destination.")])


_GRAMMARS = {
    "peers": _Grammar(
        "[#namespace | *]",
        "/peers *",
        tr("show who is registered, who is linked, and how"),
        _read_peers,
        tr("Without an argument it shows your own namespace."),
    ),
    "connect": _Grammar(
        tr("peer"),
        "/connect bob",
        tr("dial a peer now, and say what came of it"),
        lambda rest, own: Connect(_peer(rest, own)),
    ),
    "disconnect": _Grammar(
        tr("peer"),
        "/disconnect bob",
        tr("say BYE to a peer, and take no link with it until /connect"),
        lambda rest, own: Disconnect(_peer(rest, own)),
    ),
    "msg": _Grammar(
        tr("@peer | #namespace | * text"),
        "/msg @bob hello",
        tr("send a text to one peer, a namespace, or all"),
        _read_msg,
        tr("A peer of another namespace is written @bob@namespace. Only messages to one peer are confirmed."),
    ),
    "routes": _Grammar(
        "",
        "/routes",
        tr("show neighbours and routes"),
        lambda rest, _: _nothing(rest, Routes()),
    ),
    "who": _Grammar(
        tr("peer"),
        "/who bob",
        tr("show what is known of a peer, and how it would be reached now"),
        lambda rest, own: Who(_peer(rest, own)),
    ),
    "verify": _Grammar(
        tr("peer [yes]"),
        "/verify bob",
        tr("show a number to compare with a peer, and with yes: it is the same"),
        _read_verify,
        tr("The same number on both sides means that nobody is between you. Verified peers are marked."),
    ),
    "trust": _Grammar(
        tr("peer"),
        "/trust bob",
        tr("take the other key that a peer came with, once you know why it has one"),
        lambda rest, own: Trust(_peer(rest, own)),
        tr("It has one if it was set up anew without its old key, or if it is somebody else."),
    ),
    "block": _Grammar(
        tr("peer"),
        "/block bob",
        tr("take no link with a peer, and show nothing of it, until /unblock"),
        lambda rest, own: Block(_peer(rest, own)),
    ),
    "unblock": _Grammar(
        tr("peer"),
        "/unblock bob",
        tr("take links and messages of a blocked peer again"),
        lambda rest, own: Unblock(_peer(rest, own)),
    ),
    "outbox": _Grammar(
        "",
        "/outbox",
        tr("show your messages that were not delivered yet"),
        lambda rest, _: _nothing(rest, Outbox()),
        tr("They are kept, and go out when their destination is seen. After 7 days they have failed."),
    ),
    "cancel": _Grammar(
        tr("number | peer | all"),
        "/cancel 3",
        tr("give up a message that was not delivered yet, all to a peer, or all"),
        _read_cancel,
        tr("/outbox shows the numbers."),
    ),
    "history": _Grammar(
        tr("[peer | #namespace | *] [number]"),
        "/history bob 50",
        tr("show what was said last, with one peer, in one namespace, or altogether"),
        _read_history,
        tr("Without a number it shows {n}. All of it: p2pchat export NAME").format(n=DEFAULT_COUNT),
    ),
    "search": _Grammar(
        tr("words"),
        "/search train tomorrow",
        tr("show what was said with all of these words"),
        _read_search,
        tr("Case and accents do not matter; tom* stands for all words that begin so."),
    ),
    "ping": _Grammar(
        tr("peer"),
        "/ping bob",
        tr("measure the round trip to a linked peer"),
        lambda rest, own: Ping(_peer(rest, own)),
    ),
    "watch": _Grammar(
        "",
        "/watch",
        tr("switch live tracing of messages received on or off"),
        lambda rest, _: _nothing(rest, Watch()),
    ),
    "status": _Grammar(
        "",
        "/status",
        tr("show who you are, the rendezvous, links and open messages"),
        lambda rest, _: _nothing(rest, Status()),
    ),
    "metrics": _Grammar(
        tr("[peer]"),
        "/metrics",
        tr("show what was counted, or how a peer sees your link"),
        _read_metrics,
    ),
    "log": _Grammar(
        tr("LEVEL"),
        "/log debug",
        tr("set what goes into the log file: {levels}").format(levels=", ".join(LOG_LEVELS)),
        _read_log,
    ),
    "help": _Grammar(tr("[command]"), "/help msg", tr("show this, or more about one command"), _read_help),
    "quit": _Grammar(
        "",
        "/quit",
        tr("say BYE to all, unregister, end"),
        lambda rest, _: _nothing(rest, Quit()),
    ),
}

#: What all commands are called.
NAMES = tuple(_GRAMMARS)
