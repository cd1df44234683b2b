"""``p2pchat doctor``: options, and what is printed."""

from __future__ import annotations

import json
from typing import Any, TextIO

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from p2pchat.console.visible import visible
from p2pchat.doctor import ABOUT, Doctor, Finding
from p2pchat.language import ntr, tr
from p2pchat.steady import steady
from p2pchat.tap import Options

#: Exit status where something is wrong.
TROUBLE = 1


class DoctorOptions(Options):
    """What ``p2pchat doctor`` takes: the options of the peer."""

    longdesc = tr(
        "Looks whether a peer would do well that is started with the same options, and says what to do where "
        "not. It registers nowhere and changes nothing. The exit status is 0 if all is well, 1 if there is "
        "trouble, 2 if the command is wrong."
    )
    optFlags = [["json", None, tr("Print JSON, a line for each check.")]]  # noqa: RUF012

    def postOptions(self) -> None:
        """Read all values, and change nothing.

        :raises UsageError: a value is wrong; the text says what would be right.
        """
        self.read_values()

    def run(self, out: TextIO, err: TextIO) -> int:
        """Look at everything, say what is found, and return the exit status."""
        found: list[Finding] = []

        async def look(reactor: Any) -> None:
            async for finding in Doctor(steady(reactor), self).findings():
                found.append(finding)
                print(self._line(finding), file=out, flush=True)

        try:
            react(lambda reactor: Deferred.fromCoroutine(look(reactor)))
        except SystemExit as end:  # which is how it returns
            if end.code:
                raise
        troubles = sum(finding.is_well is False for finding in found)
        if not self["json"]:
            told = ntr("There is {n} trouble.", "There are {n} troubles.", troubles).format(n=troubles)
            print(told if troubles else tr("All is well, as far as can be seen before the start."), file=out)
        return TROUBLE if troubles else 0

    def _line(self, finding: Finding) -> str:
        if self["json"]:
            return json.dumps(attrs.asdict(finding))
        marks = {True: tr("ok"), False: tr("trouble"), None: tr("not checked")}
        width = max(map(len, marks.values()))
        about = ABOUT.get(finding.about, finding.about)
        return f"{marks[finding.is_well]:<{width}}  {about}: {visible(finding.text)}"
