"""Watches one deployment (or one segment of it): rows in, alarms out. Pure; state is the rows it holds.

Costs the same for the millionth record as for the thousandth: beyond `MEMORY` rows the oldest sessions are thinned to
a sample, which stands for all that was normal before.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from traces.drift.frame import Buffer, Frame, Row
from traces.drift.shuffling import one_thread
from traces.drift.testing import STEP, Reference, confirm, steps

WARM_UP_RECORDS = 200
WARM_UP_DAYS = 5  # … on which something came
MEMORY = 1600  # rows that are compared
SAMPLE = 400  # of them, rows that stand for everything older
THIN_BY = 400
REFIT_GROWTH = 1.3
LOOK_AT = 4.2  # normal score of a channel's best window that deserves the shuffle
AGAIN_AFTER = 40  # records until a channel that was not confirmed is shuffled again, unless it stands out more
AGAIN_SCORE = 0.5
CLOSE = 0.02  # … or came this close: then sooner
SOON = 20
DAY = 86_400.0
WARM_UP_SPAN = 8 * DAY  # from the first to the newest: a first weekend is no change, nor is the day after it


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something changed: noticed when `n_seen` rows had been taken in, in `channel`, over the newest `window` rows."""

    channel: str
    p: float
    score: float
    window: int
    n_seen: int
    at: float
    also: Mapping[str, float]  # other channels that were shuffled at the same time → p


@dataclass(slots=True)
class Monitor:
    """`levels` gives each channel's false alarm probability a look; see `budget`."""

    levels: "Levels"
    only: frozenset[str] = frozenset()  # channels to look at; empty: all
    rows: list[Row] = field(default_factory=list)
    n_seen: int = 0
    reference: Reference | None = None
    buffer: Buffer | None = None
    fitted_at: int = 0  # rows, and the seed, of the reference's last fit
    fitted_seed: int = 0
    asked_at: dict[str, tuple[int, float]] = field(default_factory=dict)
    recurring: frozenset[str] = frozenset()  # channels whose season showed when an alarm was near: only these are asked

    def take(self, rows: Sequence[Row]) -> Iterator[Alarm]:
        """Take in whole steps of rows, in order; yields at most one alarm a step. The caller decides what follows."""
        for step in steps(rows):
            alarm = self.step(step)
            if alarm is not None:
                yield alarm

    @one_thread
    def step(self, rows: Sequence[Row]) -> Alarm | None:
        """Take in one step."""
        self.rows.extend(rows)
        self.n_seen += len(rows)
        self._thin()
        if len(self.rows) < WARM_UP_RECORDS or self._forming():
            return None
        new = Frame.of(rows)
        if self.reference is None or self.buffer is None:
            self.buffer = Buffer.of(self.rows)
        else:
            self.buffer.add(new, self.rows)
        if self.reference is None or len(self.rows) >= self.fitted_at * REFIT_GROWTH:
            self.reference = Reference.fit(self.buffer.view(self.rows), self.n_seen, self.only, self.recurring)
            self.fitted_at, self.fitted_seed = len(self.rows), self.n_seen
        else:
            self.reference.add(new)
        return self._look(self.reference, self.buffer)

    def _forming(self) -> bool:
        if self.rows[-1].seen.at - self.rows[0].seen.at < WARM_UP_SPAN:
            return True
        return len({int(row.seen.at // DAY) for row in self.rows[::STEP]}) < WARM_UP_DAYS

    def _look(self, reference: Reference, buffer: Buffer) -> Alarm | None:
        scores = reference.look()
        wanted = [name for name, score in scores.items() if score >= LOOK_AT and self._watched(name, score)]
        if not wanted:
            return None
        for name in wanted:
            self.asked_at[name] = (self.n_seen, scores[name])
        frame = buffer.view(self.rows)
        found = confirm(frame, wanted, self.n_seen, recurring=reference.panel.seasons)
        if any(p <= self.levels.of(name) for name, p in found.p.items()):
            found = confirm(frame, wanted, self.n_seen)  # what recurs may have shown only since the last fit
            if found.recurring - self.recurring:
                self.recurring |= found.recurring
                self.reference = None
        for name, p in found.p.items():
            if p <= CLOSE:
                self.asked_at[name] = (self.n_seen - AGAIN_AFTER + SOON, scores[name])
        name = min(found.p, key=lambda one: found.p[one] / self.levels.of(one), default="")
        if not name or found.p[name] > self.levels.of(name):
            return None
        return Alarm(
            name, found.p[name], found.scores[name], found.windows[name], self.n_seen, self.rows[-1].seen.at, found.p
        )

    def _watched(self, name: str, score: float) -> bool:
        if self.only and name not in self.only:
            return False
        asked, before = self.asked_at.get(name, (-AGAIN_AFTER, 0.0))
        return self.n_seen - asked >= AGAIN_AFTER or score >= before + AGAIN_SCORE

    def _thin(self) -> None:
        """Beyond memory, whole old sessions go, those with the highest keyed hash first: any order gives the same."""
        if len(self.rows) < MEMORY + THIN_BY:
            return
        old, recent = self.rows[: -MEMORY + SAMPLE], self.rows[-MEMORY + SAMPLE :]
        self.rows = sample_sessions(old, SAMPLE) + recent
        self.reference = None


def sample_sessions(rows: Sequence[Row], size: int) -> list[Row]:
    """Whole sessions of about `size` rows, chosen by a hash of their name, in order of time."""
    keys = [_priority(row) for row in rows]
    counts: dict[int, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    kept: set[int] = set()
    total = 0
    for key in sorted(counts):
        if total >= size:
            break
        kept.add(key)
        total += counts[key]
    return [row for row, key in zip(rows, keys, strict=True) if key in kept]


def _priority(row: Row) -> int:
    return zlib.crc32((row.seen.session or row.seen.id).encode()) * 0x9E3779B1 & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Levels:
    """The share of the budget of each channel: what answers are like comes first."""

    level: float
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)

    def of(self, channel: str) -> float:
        """The p below which this channel alarms."""
        return self.level * self.weights.get(channel, self.weights.get(channel.partition(":")[0], 0.3))


WEIGHTS: Mapping[str, Any] = {
    "answers": 1.0,
    "answered": 1.0,
    "style": 1.0,
    "asked": 1.0,
    "refusal": 1.0,
    "trigger": 0.5,
}
