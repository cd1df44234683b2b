"""WHO_HAS and WHO_HAS_HIT: who can reach a peer that we have no way to (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from msgspec import UNSET, Struct
from msgspec.structs import replace

from p2pchat.language import tr, translated
from p2pchat.protocol.codec import encode, pass_on, pass_on_plain
from p2pchat.protocol.errors import MEANINGS, NO_DETAIL
from p2pchat.protocol.messages import ORIGIN_TTL, Error, WhoHas, WhoHasHit
from p2pchat.protocol.names import PeerId
from p2pchat.routing.neighbourhood import Neighbour, Neighbourhood, hops_of
from p2pchat.routing.recent import Recent
from p2pchat.routing.routes import UNKNOWN_HOPS, Route
from p2pchat.routing.trust import Trust

#: Forwards of the first question: most peers are near, and who is asked by it can be counted.
FIRST_TTL = 2

#: Seconds until everybody is asked, and between that and asking once more, for those who came meanwhile.
WIDEN_AFTER_S = 1.0
AGAIN_AFTER_S = 3.0

#: Seconds in which a way to a peer must be found before the user hears `no_route` (section 5).
SEEK_S = 5.0

#: Seconds that an answer through a neighbour that lost our last message waits for a better one. A relay
#: that swallows what it is given answers as quickly as any other.
GRACE_S = 0.3

#: Peers that are sought at once. What a user types needs one, what a script sends may need some.
MAX_QUESTIONS = 256

#: Questions about one peer whose answers are still taken: those of one search.
MAX_IDS = 3

#: Names that are listed in a text for the user.
_MAX_NAMES = 3


@attrs.define
class Question:
    """One peer that is sought. `Discovery` creates, owns and ends it; all who need that peer share it.

    :param ends_at_s: when the search is given up, in seconds of the router's clock.
    :param next_at_s: when it is asked again.
    :param asked_at_s: when it was asked last.
    :param ttl: what it was asked with last.
    :param ids: the msg_ids that were used for it, newest last; each time it is asked with one of its own.
    :param asked: neighbours that got it.
    :param doubtful_until_s: when an answer is taken that came through a neighbour that lost messages.
    :param is_answered: a way was found; further answers are learned while it lasts.
    :param said: what a neighbour said instead of an answer, for people.
    """

    dst: PeerId
    ends_at_s: float
    next_at_s: float = 0.0
    asked_at_s: float = 0.0
    ttl: int = FIRST_TTL
    ids: list[str] = attrs.Factory(list)
    asked: dict[PeerId, None] = attrs.Factory(dict)
    doubtful_until_s: float = float("inf")
    is_answered: bool = False
    said: str = ""


class _Trail(Struct, gc=False):
    """Where a question of somebody else came from, whose it is, and how good an answer was passed back.

    :param is_signed: who asked wants it proved that an answer is of who is sought.
    :param has_card: who is sought answered itself, and its card was passed back.
    """

    asker: PeerId
    src: str
    is_signed: bool
    hops: int = ORIGIN_TTL + 2
    has_card: bool = False


class Discovery:
    """Asks, passes questions on, answers. The router creates and owns it.

    :param trust: signs our answers, and knows those of others.
    :param dial: tries to get a link with a peer, if it is known where it is.
    :param found: told when there is a way to a peer that was sought; False where it is of no use.
    :param heard: told when there is a way to a peer that others seek.
    """

    def __init__(
        self,
        hood: Neighbourhood,
        trust: Trust,
        dial: Callable[[PeerId], None],
        found: Callable[[str], bool],
        heard: Callable[[str], None],
    ) -> None:
        #: Peers that were not sought because too many are.
        self.refused = 0
        self._hood = hood
        self._trust = trust
        self._dial = dial
        self._found = found
        self._heard = heard
        self._open: dict[str, Question] = {}
        self._ids: dict[str, Question] = {}
        #: ttl with which a question was passed on, by (src, msg_id, dst).
        self._passed_on: Recent[int] = Recent(hood.now())
        self._trails: Recent[_Trail] = Recent(hood.now())

    def __len__(self) -> int:
        return len(self._open)

    @property
    def remembered(self) -> int:
        """Questions of others that are remembered."""
        return len(self._passed_on) + len(self._trails)

    # We ask.

    def ask(self, dst: PeerId) -> bool:
        """Seek a peer, unless it is sought already; False where too many are."""
        now_s = self._hood.now()
        question = self._open.get(dst)
        if question is None:
            if len(self._open) >= MAX_QUESTIONS:
                self.refused += 1
                return False
            question = self._open[dst] = Question(dst, now_s + SEEK_S)
            self._put(question, FIRST_TTL)
            question.next_at_s = now_s + WIDEN_AFTER_S
        elif question.is_answered:
            # The answers were of no use; the same neighbours are not asked at once again.
            question.is_answered = False
            question.asked.clear()
            question.said = ""
            question.next_at_s = max(now_s, question.asked_at_s + WIDEN_AFTER_S)
        question.ends_at_s = now_s + SEEK_S
        return True

    def can_ask(self, but: str) -> bool:
        """Whether there is somebody to be asked.

        :param but: a neighbour of whom it is known that it has no way.
        """
        return any("who_has" in near.features for near in self._hood.relays(but))

    def noticed(self, dst: str) -> None:
        """Somebody was heard of; where that was sought and there is a way now, use it."""
        question = self._open.get(dst)
        if question is None or question.is_answered:
            return
        # What comes through a plain peer, or over a link that ends, shows no way.
        if self._hood.routes.best(dst, self._hood.now()) is not None:
            question.is_answered = self._found(dst)

    def neighbour_up(self, neighbour: Neighbour) -> None:
        """Ask a neighbour that was not there when the others were asked."""
        for question in self._open.values():
            if not question.is_answered and question.ids:
                self._put_to(neighbour, question, self._line(question))

    def refusal(self, neighbour: Neighbour, error: Error) -> bool:
        """Take an ERROR; whether it is about a question of ours."""
        question = self._ids.get(error.ref)
        if question is None:
            return False
        code = error.reason or "error"
        meaning = error.detail or translated(MEANINGS.get(code, NO_DETAIL))
        question.said = tr("{peer} says {code}: {meaning}").format(
            peer=neighbour.peer_id, code=code, meaning=meaning
        )
        return True

    def tried(self, dst: str) -> str:
        """Say what was done to find a peer, for people."""
        question = self._open.get(dst)
        if question is None or not question.asked:
            return tr("no neighbour is linked that could be asked for a way")
        names = list(question.asked)
        listed, more = ", ".join(names[:_MAX_NAMES]), len(names) - _MAX_NAMES
        if more > 0:
            listed = tr("{names} and {n} more").format(names=listed, n=more)
        told = tr("asked {peers} for a way, and none was found").format(peers=listed)
        return f"{told} ({question.said})" if question.said else told

    def tick(self) -> None:
        """Ask wider, and give up what took too long."""
        now_s = self._hood.now()
        self._passed_on.rotate(now_s)
        self._trails.rotate(now_s)
        for question in list(self._open.values()):
            if now_s >= question.ends_at_s:
                del self._open[question.dst]
                for msg_id in question.ids:
                    del self._ids[msg_id]
                continue
            if now_s >= question.doubtful_until_s:
                question.doubtful_until_s = float("inf")
                self.noticed(question.dst)
            if not question.is_answered and now_s >= question.next_at_s:
                self._put(question, ORIGIN_TTL)
                question.next_at_s = now_s + AGAIN_AFTER_S

    def _put(self, question: Question, ttl: int) -> None:
        """Ask all, and dial. Each question has a msg_id of its own, else it were a copy of the one before."""
        msg_id = self._hood.new_id()
        self._ids[msg_id] = question
        question.ids.append(msg_id)
        if len(question.ids) > MAX_IDS:
            del self._ids[question.ids.pop(0)]
        question.ttl = ttl
        question.asked_at_s = self._hood.now()
        line = self._line(question)
        for neighbour in self._hood.trusted(but=question.dst):
            self._put_to(neighbour, question, line)
        self._dial(question.dst)

    def _line(self, question: Question) -> bytes:
        message = WhoHas(question.ids[-1], self._hood.own, question.dst, question.ttl)
        return encode(self._trust.ask(message))

    def _put_to(self, neighbour: Neighbour, question: Question, line: bytes) -> None:
        if not neighbour.plain and "who_has" in neighbour.features and neighbour.write(line):
            self._hood.tally.questions_asked += 1
            question.asked[neighbour.peer_id] = None

    # Others ask.

    def on_who_has(self, neighbour: Neighbour, message: WhoHas, line: bytes) -> None:
        """Answer a question, or pass it on."""
        hood = self._hood
        ttl = min(message.ttl, ORIGIN_TTL)
        key = (message.src, message.msg_id, message.dst)
        before = self._passed_on.get(key)
        if message.src == hood.own or (before is not None and ttl <= before):
            hood.tally.duplicates += 1
            return
        hood.learn(message.src, neighbour, hops_of(ttl) if ttl > FIRST_TTL else None)
        hops = self._distance(message, neighbour)
        if hops is not None:
            hood.tally.questions_answered += 1
            hit = WhoHasHit(message.msg_id, hood.own, message.dst, hood.own, ORIGIN_TTL, hops)
            hood.answer(neighbour, self._trust.sign_hit(hit, message) if hops == 0 else hit)
        elif ttl <= 0:
            hood.tally.expired += 1
        elif not hood.quota(neighbour).questions.take(hood.now()):
            hood.over_quota(neighbour, "questions", message.msg_id, message.src)
        else:
            self._passed_on.put(key, ttl)
            self._trails.put(
                (message.msg_id, message.dst), _Trail(neighbour.peer_id, message.src, message.signed is True)
            )
            self._flood(neighbour, message, pass_on(line, ttl=ttl - 1))

    def _flood(self, neighbour: Neighbour, message: WhoHas, line: bytes) -> None:
        for other in self._whom_to_ask(neighbour, message):
            if "who_has" in other.features and other.peer_id != message.src:
                self._hood.tally.questions_passed_on += other.pass_on(line, neighbour.peer_id)

    def _whom_to_ask(self, neighbour: Neighbour, message: WhoHas) -> list[Neighbour]:
        wanted = self._hood.neighbours.get(message.dst)
        if wanted is not None and message.signed is True:
            return [wanted]  # it answers for itself, and nobody is nearer to it
        return self._hood.trusted(but=neighbour.peer_id)

    def _distance(self, question: WhoHas, asker: Neighbour) -> int | None:
        """Return how many links it is from here to who is sought, if we can vouch for it."""
        dst = question.dst
        if dst == self._hood.own:
            return 0
        if question.signed is True and not self._answers_for(dst):
            return None
        now_s = self._hood.now()
        way = self._hood.routes.best(dst, now_s, but=asker.peer_id)
        if way is None or way.losses(now_s) or not (way.is_direct or way.is_fresh(now_s)):
            return None
        return way.hops or UNKNOWN_HOPS

    def _answers_for(self, dst: str) -> bool:
        """Whether a peer that is to sign its answer cannot, as only its neighbours know."""
        return dst in self._hood.neighbours and not self._trust.speaks_for_itself(dst)

    # Answers.

    def on_hit(self, neighbour: Neighbour, message: WhoHasHit, line: bytes) -> None:
        """Learn from an answer, and pass it back to who asked."""
        hood = self._hood
        hops = None if message.hops is UNSET or not 0 <= message.hops <= ORIGIN_TTL else message.hops + 1
        if neighbour.plain:
            hood.tally.hits_unasked += 1
            return
        question = self._ids.get(message.msg_id)
        if question is not None and question.dst == message.dst:
            if not self._believes(message, hood.own):
                return
            self._learn(neighbour, message.dst, hops, hood.now() - question.asked_at_s)
            if hood.routes.is_doubted(neighbour.peer_id):
                question.doubtful_until_s = min(question.doubtful_until_s, hood.now() + GRACE_S)
            else:
                self.noticed(message.dst)
            return
        trail = self._trails.get((message.msg_id, message.dst))
        if trail is None or trail.asker == neighbour.peer_id or message.dst == hood.own:
            hood.tally.hits_unasked += 1
            return
        if self._believes(message, trail.src):
            self._learn(neighbour, message.dst, hops, None)
            self.noticed(message.dst)
            self._heard(message.dst)
        elif trail.is_signed:
            return  # else it is for somebody who cannot ask for more, and nothing is learned from it here
        if hood.routes.is_suspect(neighbour.peer_id, hood.now()):
            hood.tally.hits_distrusted += 1
            return
        self._pass_back(neighbour, message, line, trail, hops)

    def _believes(self, message: WhoHasHit, asker: str) -> bool:
        is_believed = self._trust.believes_hit(message, asker)
        self._hood.tally.hits_distrusted += not is_believed
        return is_believed

    def _pass_back(
        self, neighbour: Neighbour, message: WhoHasHit, line: bytes, trail: _Trail, hops: int | None
    ) -> None:
        hood = self._hood
        asker = hood.neighbours.get(trail.asker)
        # What is not nearer than an answer before tells whoever asked nothing: the next hop is the same. But
        # for the card: neighbours of who is sought that know nothing of it may answer first.
        is_nearer = (hops or ORIGIN_TTL + 1) < trail.hops
        is_first_card = message.card is not UNSET and not trail.has_card
        if asker is None or message.ttl <= 0 or not (is_nearer or is_first_card):
            return
        trail.hops = min(trail.hops, hops or ORIGIN_TTL + 1)
        trail.has_card = trail.has_card or is_first_card
        known = {"via": hood.own} if hops is None else {"via": hood.own, "hops": hops}
        if asker.plain:
            back = pass_on_plain(line, replace(message, **known))
        else:
            back = pass_on(line, ttl=min(message.ttl, ORIGIN_TTL) - 1, **known)
        hood.tally.relayed_back += asker.pass_on(back, neighbour.peer_id)

    def _learn(self, neighbour: Neighbour, dst: str, hops: int | None, rtt_s: float | None) -> None:
        route: Route | None = self._hood.routes.learn(dst, neighbour.peer_id, hops, self._hood.now())
        if route is not None and route.rtt_s is None:
            route.rtt_s = rtt_s
