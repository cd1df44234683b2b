"""``p2pchat send``, ``events`` and ``status``: to talk to peers that run, from scripts (docs/control.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, TextIO

from twisted.python import usage

from p2pchat.console import past
from p2pchat.console.amounts import duration
from p2pchat.console.visible import visible, visible_name
from p2pchat.control.client import Client, NotRunning, Refused
from p2pchat.control.place import all_folders
from p2pchat.language import ntr, tr
from p2pchat.options import EnvironmentOptions, folder, own
from p2pchat.protocol.names import BadName, PeerId, parse_peer
from p2pchat.settings import DEFAULT_NAMESPACE
from p2pchat.state import state_folder

#: Exit statuses: it did not arrive; the command was wrong or refused; no such peer runs; it may have arrived;
#: it is kept until its destination is seen.
FAILED, REFUSED, NOT_RUNNING, NOT_CONFIRMED, KEPT = 1, 2, 3, 4, 5


class RunningOptions(EnvironmentOptions):
    """A command to a peer that runs."""

    takes_word = True

    #: What the words are, and how many there must be at least.
    words: ClassVar[tuple[str, ...]] = (tr("NAME"),)
    least = 1

    optParameters: ClassVar[list[list[Any]]] = [
        [
            "namespace",
            None,
            None,
            tr("Its group, unless NAME is written name@namespace. [default: {default}]").format(
                default=DEFAULT_NAMESPACE
            ),
        ],
        [
            "data-dir",
            None,
            None,
            tr("Its folder, if it was given one. [default: under the state folder of the user]"),
        ],
    ]

    def parseArgs(self, *words: str) -> None:
        """Take the words.

        :raises UsageError: there are too few or too many.
        """
        self.given = self.in_order(words)
        if not self.least <= len(self.given) <= len(self.words):
            raise usage.UsageError(
                tr("expected {expected}, got {n} words").format(expected=" ".join(self.words), n=len(words))
            )

    def postOptions(self) -> None:
        """Find the folder of the peer.

        :raises UsageError: the name is none, or the folder cannot be one.
        """
        place = self.read("data-dir", folder, None)
        self.folder = None if place is None else Path(place).absolute()
        namespace = self.read("namespace", own("namespace"), DEFAULT_NAMESPACE)
        self.own: PeerId | None = None
        if self.given:
            try:
                self.own = parse_peer(self.given[0], namespace)
            except BadName as problem:
                raise usage.UsageError(tr("NAME: {problem}").format(problem=problem)) from None

    def run(self, out: TextIO, err: TextIO) -> int:
        """Do it, and return the exit status."""
        try:
            return self.do(out, err)
        except NotRunning as problem:
            print(self._not_running(visible(str(problem))), file=err)
            return NOT_RUNNING
        except Refused as problem:
            print(f"p2pchat: {visible(str(problem))}", file=err)
            return REFUSED

    def _not_running(self, why: str) -> str:
        if self.own is None:
            return tr("p2pchat: the peer does not run here: {why}").format(why=why)
        return tr("p2pchat: {peer} does not run here: {why}").format(peer=visible_name(self.own), why=why)

    def do(self, out: TextIO, err: TextIO) -> int:
        """Do it, and return the exit status.

        :raises NotRunning: there is no such peer.
        :raises Refused: it does not do it.
        """
        raise NotImplementedError

    def client(self) -> Client:
        """Connect to the peer; where both a folder and a name were given, to nobody else than that one.

        :raises NotRunning: there is no such peer.
        :raises Refused: it does not talk to us.
        """
        if self.folder is None:
            assert self.own is not None, "without a folder a name was asked for"
            return Client(state_folder(self.own.namespace, self.own.name))
        client = Client(self.folder)
        there = client.ask("hello")["peer_id"]
        if self.own in (None, there):
            return client
        client.close()
        raise NotRunning(tr("{peer} does, in {folder}").format(peer=there, folder=self.folder))


class SendOptions(RunningOptions):
    """What ``p2pchat send`` takes."""

    words = (tr("NAME"), tr("DESTINATION"), tr("TEXT"))
    least = 3
    synopsis = tr("NAME DESTINATION TEXT [options]")
    longdesc = tr(
        "Lets a peer that runs say something to @peer, #namespace or *, and waits for what becomes of it. "
        "The exit status is 0 if it was confirmed, or went to a neighbour where it is to many; "
        "{failed} if it failed, {refused} if the command is wrong or refused, {not_running} if the peer "
        "does not run, {not_confirmed} if no confirmation came, so that it may have arrived or not, {kept} "
        "if it could not be delivered yet, and goes out when its destination is seen."
    ).format(
        failed=FAILED,
        refused=REFUSED,
        not_running=NOT_RUNNING,
        not_confirmed=NOT_CONFIRMED,
        kept=KEPT,
    )

    def do(self, out: TextIO, err: TextIO) -> int:
        """Say it, and tell what came of it."""
        _, to, text = self.given
        with self.client() as client:
            outcome = client.ask("send", to=to, text=text)
        if "neighbours" in outcome:
            count = outcome["neighbours"]
            if not count:
                print(tr("p2pchat: not sent: no peer is linked that it concerns"), file=err)
                return FAILED
            print(ntr("sent to {n} neighbour", "sent to {n} neighbours", count).format(n=count), file=out)
            return 0
        if outcome["is_confirmed"]:
            print(tr("confirmed in {ms:.1f} ms").format(ms=outcome["took_s"] * 1000), file=out)
            return 0
        if outcome.get("is_kept"):
            told = past.waits(outcome["reason"], outcome["why"])
            print(tr("p2pchat: {told}; it is kept for its destination").format(told=told), file=err)
            return KEPT
        print(f"p2pchat: {visible(outcome['reason'])}: {visible(outcome['why'])}", file=err)
        return NOT_CONFIRMED if outcome["reason"] == "not confirmed" else FAILED


class EventsOptions(RunningOptions):
    """What ``p2pchat events`` takes."""

    synopsis = tr("NAME [options]")
    longdesc = tr(
        "Prints what happens at a peer that runs, an event a line, until it is stopped or you interrupt. "
        "docs/control.md says which events there are, and what a cursor is."
    )
    optParameters: ClassVar[list[list[Any]]] = [
        ["after", None, None, tr("Cursor of the last event that was seen, or start. [default: from now on]")],
        ["kinds", None, None, tr("Only these, with commas between, as in message_arrived. [default: all]")],
    ]
    optFlags: ClassVar[list[list[Any]]] = [["json", None, tr("Print JSON, a line each.")]]

    def do(self, out: TextIO, err: TextIO) -> int:
        """Print events as they come."""
        kinds = self["kinds"] and self["kinds"].split(",")
        with self.client() as client:
            begin = client.ask("subscribe", after=self["after"], kinds=kinds)
            if begin["missed"] is None:
                print(tr("p2pchat: missed before: not known"), file=err)
            elif begin["missed"]:
                print(tr("p2pchat: missed before: {n}").format(n=begin["missed"]), file=err)
            for told in client.events():
                if told["method"] == "missed":
                    print(tr("p2pchat: missed here: {n}").format(n=told["params"]["events"]), file=err)
                else:
                    print(self._line(told["params"]), file=out, flush=True)
        return 0

    def _line(self, event: dict[str, Any]) -> str:
        if self["json"]:
            return json.dumps(event)
        return f"{event['cursor']} {event['kind']} {visible(json.dumps(event['data'], ensure_ascii=False))}"


class StatusOptions(RunningOptions):
    """What ``p2pchat status`` takes."""

    least = 0
    synopsis = tr("[NAME] [options]")
    longdesc = tr("Tells how a peer does that runs, or all of this user that are in the usual place.")
    optFlags: ClassVar[list[list[Any]]] = [["json", None, tr("Print JSON, a line for each peer.")]]

    def do(self, out: TextIO, err: TextIO) -> int:
        """Tell how they do."""
        if self.own is not None or self.folder is not None:
            with self.client() as client:
                print(self._text(client.ask("status")), file=out)
            return 0
        count = 0
        for place in all_folders():
            try:
                with Client(place) as client:
                    print(self._text(client.ask("status")), file=out)
            except NotRunning:
                continue  # it was killed, and left its socket
            count += 1
        if not count:
            print(tr("p2pchat: no peer of yours runs. Start one: twistd p2pchat --name alice"), file=err)
        return 0 if count else NOT_RUNNING

    def _text(self, status: dict[str, Any]) -> str:
        if self["json"]:
            return json.dumps(status)
        line = tr(
            "{peer}: up {uptime}, port {port}, {listed}, linked with {linked} of {known} known peers, "
            "{open} messages open"
        ).format(
            peer=visible_name(status["peer_id"]),
            uptime=duration(status["uptime_s"]),
            port=status["port"],
            listed=_listed(status["rendezvous"]),
            linked=status["neighbours"],
            known=status["known"],
            open=status["open_messages"],
        )
        return "\n".join([line, *(f"  {visible(trouble)}" for trouble in status.get("troubles", []))])


def _listed(rendezvous: dict[str, Any] | None) -> str:
    if rendezvous is None:
        return tr("no rendezvous")
    address = rendezvous["address"]
    if rendezvous["trouble"]:
        return tr("rendezvous {address} does not work").format(address=address)
    if rendezvous["is_registered"]:
        return tr("registered at {address}").format(address=address)
    return tr("not registered yet at {address}").format(address=address)
