"""What one neighbour may cost us (docs/protocol.md, section 5)."""

from __future__ import annotations

import attrs


@attrs.frozen
class Rate:
    """How much is allowed.

    :param per_s: in the long run, a second.
    :param burst: at once, after a time of silence.
    """

    per_s: float
    burst: float


@attrs.frozen
class Limits:
    """What one neighbour may make us do.

    They are far above what people type, so that scripts and relays of many peers pass, and far below what
    would keep this process busy.

    :param forwards: passing on a message to one peer. Costs about 20 microseconds.
    :param floods: passing on a message to many, which costs as much for each of our links.
    :param questions: passing on a WHO_HAS, which costs the same, or asking one for a SEND of its.
    :param answers: passing back what is said about messages that it was given. More than it may forward
        itself, since it may be the one that many talk to.
    :param complaints: telling it that a message which it brought is refused.
    :param forgeries: finding out that a message which it brought is forged, which costs ten times as much as
        passing it on. It may not know: whoever forged it may be behind it.
    """

    forwards: Rate = Rate(2000, 5000)
    floods: Rate = Rate(100, 1000)
    questions: Rate = Rate(20, 100)
    answers: Rate = Rate(4000, 10000)
    complaints: Rate = Rate(100, 1000)
    forgeries: Rate = Rate(100, 500)


#: For a neighbour whose link is ending: it gets no answer any more.
NOTHING = Limits(*[Rate(0.0, 0.0)] * 6)


@attrs.define
class Bucket:
    """A token bucket: it holds `Rate.burst` tokens, and gets `Rate.per_s` a second while it is not full.

    :param now_s: the present time, in seconds of the clock that `take` is told.
    """

    _rate: Rate
    _now_s: float
    _tokens: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tokens = self._rate.burst

    def take(self, now_s: float) -> bool:
        """Take a token; False where there is none."""
        earned = (now_s - self._now_s) * self._rate.per_s
        self._now_s = now_s
        self._tokens = min(self._rate.burst, self._tokens + earned)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@attrs.define
class Quota:
    """The buckets of one neighbour. They live as long as it is one."""

    forwards: Bucket
    floods: Bucket
    questions: Bucket
    answers: Bucket
    complaints: Bucket
    forgeries: Bucket

    @classmethod
    def full(cls, limits: Limits, now_s: float) -> Quota:
        """Make the quota of a neighbour that has cost nothing yet."""
        return cls(
            Bucket(limits.forwards, now_s),
            Bucket(limits.floods, now_s),
            Bucket(limits.questions, now_s),
            Bucket(limits.answers, now_s),
            Bucket(limits.complaints, now_s),
            Bucket(limits.forgeries, now_s),
        )
