"""Lengths that are no longer as they were, within a few records: questions or answers that grow or shrink. Pure.

A bet against "nothing changed". A record's rank among the lengths known gives p, the share that is at least as long
(as short); a stake on small p multiplies by e(p) = (1 − p + p ln p) / (p ln² p), which pays 1 on average while the
ranks are those of before. The wealth never falls below where it began, so it is ready when a change comes. Under no
change it reaches 1/α once in 1/α records at most; α is such that a month of the deployment's traffic has few of those.
(Vovk's calibrator; the largest of the e-processes over all beginnings, as in Shin, Ramdas and Rinaldo's e-detectors.)

That holds for records that come in any order. Two things that break it are not told: what is the doing of one session,
or of one question again and again (`events` tells those by name), and what recurs at this hour or on this weekday.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from traces.drift.frame import Row
from traces.drift.tails import binomial_tail

MEASURES = {"input_tokens": "inputs", "output_tokens": "answers"}
CHANGED_BY = {"model": "model", "prompt": "prompt", "policy": "policy", "system_version": "version of the system"}
FALSE_A_MONTH = 0.025  # of one measure in one direction, at most
MONTH = 30 * 86_400.0
LEAST_TIME = 7 * 86_400.0  # a younger deployment's traffic is not known: as if it had taken so long
WARM_UP, FIRST_TIME = 100, 8 * 86_400.0  # before that many, or in that time, nothing is unusual: a weekend is in it
KEPT, SPAN = 1_000, 14 * 86_400.0  # lengths that are usual, taken over so long a time; of more, one in so many
HELD = 60  # records of a bet that goes on; older ones become usual
SESSIONS = 4  # that a change must show in, none with more than
LARGEST_SHARE = 0.5
RECURS_P = 1e-3


def stake(p: float) -> float:
    """What a bet on small p pays; 1 on average where p is uniform."""
    if p > 0.97:
        return 0.5
    log = math.log(p)
    return (1 - p + p * log) / (p * log * log)


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of one measure: the records that show it, and in words what they are and what came with them."""

    measure: str
    longer: bool
    rows: Sequence[Row]
    text: str

    @property
    def name(self) -> str:
        return f"{MEASURES[self.measure]} {'longer' if self.longer else 'shorter'}"


@dataclass(slots=True)
class Usual:
    """One measure of a deployment: what is usual, what is held back while a bet goes on, and both bets' wealth (its
    logarithm) with the number of records since it began."""

    known: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=KEPT))  # when, how long
    n: int = 0  # that were offered to `known`
    held: list[Row] = field(default_factory=list)
    wealth: list[float] = field(default_factory=lambda: [0.0, 0.0])  # longer, shorter
    since: list[int] = field(default_factory=lambda: [0, 0])
    _sorted: list[float] = field(default_factory=list)  # the lengths of `known`; made again where it is missing

    def is_ready(self, now: float) -> bool:
        """Whether enough is known to call anything unusual."""
        return len(self.known) >= WARM_UP and now - self.known[0][0] >= FIRST_TIME

    def learn(self, at: float, length: float, every: int) -> None:
        """One more that is usual; of `every` so many, one is kept."""
        self.n += 1
        if self.n % every:
            return
        self._sort()
        if len(self.known) == KEPT:
            del self._sorted[bisect_left(self._sorted, self.known[0][1])]
        self.known.append((at, length))
        insort(self._sorted, length)

    def _sort(self) -> None:
        if len(self._sorted) != len(self.known):
            self._sorted = sorted(length for _, length in self.known)

    def bet(self, length: float) -> None:
        """Play both bets on one more record."""
        self._sort()
        n = len(self._sorted)
        at_least, at_most = n - bisect_left(self._sorted, length), bisect_right(self._sorted, length)
        for side, count in enumerate((at_least, at_most)):
            grown = max(self.wealth[side], 0.0) + math.log(stake((count + 1) / (n + 1)))
            self.wealth[side], self.since[side] = (grown, self.since[side] + 1) if grown > 0 else (0.0, 0)

    @property
    def middle(self) -> float:
        return median(length for _, length in self.known)

    def recurs(self, at: float, length: float, *, longer: bool) -> bool:
        """Whether at this hour of the day, or on this weekday, such lengths are more frequent than at other times."""
        hits = [length <= other if longer else length >= other for _, other in self.known]
        share = sum(hits) / len(hits)
        for cycle, width in ((86_400.0, 5_400.0), (7 * 86_400.0, 43_200.0)):
            here = [hit for hit, (when, _) in zip(hits, self.known, strict=True) if _apart(when, at, cycle) <= width]
            if here and binomial_tail(sum(here), len(here), share) < RECURS_P:
                return True
        return False


def _apart(a: float, b: float, cycle: float) -> float:
    """Seconds between two moments of a cycle."""
    rest = (a - b) % cycle
    return min(rest, cycle - rest)


@dataclass(slots=True)
class LengthWatch:
    """Feed every row in order of time."""

    usual: dict[str, Usual] = field(default_factory=lambda: {name: Usual() for name in MEASURES})
    versions: dict[str, list[str]] = field(default_factory=dict)  # known ones of each kind, the newest last
    began: float = 0.0
    n_seen: int = 0

    def take(self, row: Row) -> list[Shift]:
        """What this record brings to light, usually nothing. What was told is usual from then on."""
        self.n_seen += 1
        self.began = self.began or row.seen.at
        found = [self._look(name, usual, row) for name, usual in self.usual.items()]
        shifts = [shift for shift in found if shift]
        if shifts or not any(usual.held for usual in self.usual.values()):
            self._know(row)
        return shifts

    def rate(self, now: float) -> float:
        """Records a second."""
        return self.n_seen / max(now - self.began, LEAST_TIME)

    def limit(self, now: float) -> float:
        """The wealth (its logarithm) at which a change is told."""
        return math.log(self.rate(now) * MONTH / FALSE_A_MONTH)

    def _learn(self, name: str, usual: Usual, rows: Sequence[Row]) -> None:
        for row in rows:
            every = max(round(self.rate(row.seen.at) * SPAN / KEPT), 1)
            usual.learn(row.seen.at, row.seen.scalars[name], every)

    def _look(self, name: str, usual: Usual, row: Row) -> Shift | None:
        length, now = row.seen.scalars.get(name), row.seen.at
        if not length:
            return None
        if not usual.is_ready(now):
            self._learn(name, usual, [row])
            return None
        usual.bet(length)
        usual.held.append(row)
        over = len(usual.held) - HELD if any(usual.wealth) else len(usual.held)
        if over > 0:
            self._learn(name, usual, usual.held[:over])
            del usual.held[:over]
        for side, wealth in enumerate(usual.wealth):
            if wealth >= self.limit(now):
                return self._told(name, usual, now, longer=side == 0)
        return None

    def _told(self, name: str, usual: Usual, now: float, *, longer: bool) -> Shift | None:
        """The change, and a new beginning with it; nothing where it recurs, or is the doing of one session, which
        never becomes usual."""
        rows = usual.held[-usual.since[0 if longer else 1] :]
        here = median(row.seen.scalars[name] for row in rows)
        culprit, recurs = _doing_of(rows), usual.recurs(now, here, longer=longer)
        if culprit is None and not recurs:
            text = f"{MEASURES[name]} of {here:,.0f} tokens instead of {usual.middle:,.0f}; {self._cause(rows)}"
            self.usual[name] = Usual()
            self._learn(name, self.usual[name], rows)
            return Shift(name, longer, rows, text)
        kept = [row for row in usual.held if recurs or not _is_of(row, culprit)]
        usual.held, usual.wealth, usual.since = [], [0.0, 0.0], [0, 0]
        self._learn(name, usual, kept)
        return None

    def _cause(self, rows: Sequence[Row]) -> str:
        """What came with it: a version that was not known before, else nothing that anybody declared."""
        for kind, words in CHANGED_BY.items():
            (value, count), *_ = Counter(row.seen.versions.get(kind, "") for row in rows).most_common(1)
            known = self.versions.get(kind, [])
            if known and value and value not in known and 2 * count > len(rows):
                return f"{words} {value} came with it (before: {known[-1]})"
        return "no model, prompt or policy that is new came with it"

    def _know(self, row: Row) -> None:
        for kind in CHANGED_BY:
            value, known = row.seen.versions.get(kind), self.versions.setdefault(kind, [])
            if value and (not known or known[-1] != value):
                self.versions[kind] = [*(one for one in known if one != value), value][-20:]


def _doing_of(rows: Sequence[Row]) -> tuple[str, str] | None:
    """The question or the session that most of the records are of, where too few others show the same."""
    questions = Counter(str(row.features.fingerprint) for row in rows if row.features.fingerprint)
    for question, count in questions.most_common(1):
        if count > LARGEST_SHARE * len(rows):
            return "question", question
    sessions = Counter(row.seen.session or row.seen.id for row in rows)
    (largest, count), *_ = sessions.most_common(1)
    return ("session", largest) if len(sessions) < SESSIONS or count > LARGEST_SHARE * len(rows) else None


def _is_of(row: Row, culprit: tuple[str, str] | None) -> bool:
    return culprit in (("question", str(row.features.fingerprint)), ("session", row.seen.session))
