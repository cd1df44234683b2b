"""Feeds many inputs in one process, and sees whether one hangs or memory grows. For the long run only."""

from __future__ import annotations

import faulthandler
import gc
import resource
import signal
import sys
import time
from types import FrameType

import attrs
from twisted.logger import globalLogBeginner

from tests.fuzz.feeding import TARGETS, Tally, feed
from tests.fuzz.targets import Target

#: Seconds of CPU that one input may take. The longest, megabytes of foreign letters, take a third of it.
HANG_S = 1.0

#: Seconds after which a process is ended that hangs where Python runs no handler of signals: inside of C.
STUCK_S = 600

#: The unit of `ru_maxrss`.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Hang(BaseException):
    """An input took too long. No `Exception`, which those under test may catch."""


@attrs.frozen
class Chunk:
    """Inputs of one target that one process feeds, in one go."""

    target: str
    seed: int
    first: int
    last: int

    @property
    def command(self) -> str:
        """What feeds it again."""
        return f"python -m tests.fuzz --target {self.target} --seed {self.seed} --inputs {self.last}"


@attrs.define
class Report:
    """What became of a chunk.

    :param seconds: of CPU.
    :param watched: inputs over which memory was looked at.
    :param blocks: of memory that were allocated meanwhile and stayed.
    :param peak_bytes: by which the process was ever larger than before.
    """

    tally: Tally
    seconds: float
    watched: int
    blocks: int
    peak_bytes: int


def begin() -> None:
    """Prepare a process: what is logged is looked at by targets, and goes nowhere."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    signal.signal(signal.SIGPROF, _too_long)


def run(chunk: Chunk) -> Report:
    """Feed a chunk; memory is looked at once its first tenth has filled all caches."""
    faulthandler.dump_traceback_later(STUCK_S, exit=True)
    try:
        return _run(chunk)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _run(chunk: Chunk) -> Report:
    lasts = TARGETS[chunk.target].lasts
    warm = min(chunk.last, chunk.first + lasts * max(1, (chunk.last - chunk.first) // lasts // 10))
    began_s = time.process_time()
    tally = feed(chunk.target, chunk.seed, chunk.first, warm, take_in_time)
    before, peak = _blocks(), _peak_bytes()
    if tally.found is None:
        more = feed(chunk.target, chunk.seed, warm, chunk.last, take_in_time)
        tally = Tally(tally.accepted + more.accepted, tally.refused + more.refused, more.found)
    seconds = time.process_time() - began_s
    return Report(tally, seconds, chunk.last - warm, _blocks() - before, _peak_bytes() - peak)


def take_in_time(target: Target, pieces: list[bytes]) -> bool:
    """Feed one input.

    :raises Hang: it took too long.
    """
    _late.clear()
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        accepted = target.take(pieces)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if _late:
        # What was raised was caught by somebody who catches everything, as a Deferred does.
        raise Hang(_late[0])
    return accepted


#: Where an input was when its time was over.
_late: list[str] = []


def _too_long(_signal: int, frame: FrameType | None) -> None:
    where = "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
    _late.append(f"still busy after {HANG_S} s of CPU, at {where}")
    raise Hang(_late[0])


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
