"""Watches a deployment whole and by segment, for shifts and for events; follows an alarm until it is worked out. Pure.

Given the same rows in the same order, it says the same, however they are cut into calls: state is only what it holds.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from traces.drift.events import Event, EventWatch
from traces.drift.finding import LATER, Finding, work_out
from traces.drift.frame import Row
from traces.drift.monitor import Alarm, Levels, Monitor
from traces.drift.testing import STEP

SEGMENT_SHARE = 0.33  # of the level, for each segment: three of them spend what the whole does
MAX_SEGMENTS = 4
SEGMENT_CHANNELS = frozenset({"answers", "answered", "style", "asked", "refusal:yes"})


@dataclass(frozen=True, slots=True)
class Change:
    """A finding about the whole (`segment` empty) or about one segment. `final`: estimated with the later records."""

    segment: str
    finding: Finding
    rows: Sequence[Row]
    final: bool


Signal = Event | Change


@dataclass(slots=True)
class Watch:
    """Feed rows in order; it yields events, and changes twice: when noticed, and when more is known."""

    level: float
    whole: Monitor = field(init=False)
    segments: dict[str, Monitor] = field(default_factory=dict)
    waiting: dict[str, list[Row]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    events: EventWatch = field(default_factory=EventWatch)
    alarm: tuple[str, Alarm] | None = None

    def __post_init__(self) -> None:
        self.whole = Monitor(Levels(self.level))

    def set_level(self, level: float) -> None:
        """From now on. A watch that is followed from the start under one level says the same as one resumed."""
        self.level = level
        self.whole.levels = Levels(level)
        for monitor in self.segments.values():
            monitor.levels = Levels(level * SEGMENT_SHARE)

    def take(self, rows: Sequence[Row]) -> Iterator[Signal]:
        """Take in rows of any number; looks happen at whole steps."""
        for row in rows:
            yield from self.events.take(row)
            self.waiting.setdefault("", []).append(row)
            if len(self.waiting[""]) == STEP:
                step = self.waiting.pop("")
                yield from self._step(step)

    def _step(self, rows: Sequence[Row]) -> Iterator[Signal]:
        if self.alarm:
            yield from self._follow(rows, *self.alarm)
            return
        alarm = self.whole.step(rows)
        if alarm:
            self.alarm = ("", alarm)
        for row in rows:
            found = self._segment_step(row)
            if found and not self.alarm:
                self.alarm = found
        if self.alarm:
            segment, alarm = self.alarm
            yield Change(
                segment, work_out(self.monitor_for(segment).rows, alarm), tuple(self.monitor_for(segment).rows), False
            )

    def _segment_step(self, row: Row) -> tuple[str, Alarm] | None:
        name = row.seen.segment
        self.counts[name] += 1
        if not name or (name not in self.segments and len(self.segments) >= MAX_SEGMENTS):
            return None
        waiting = self.waiting.setdefault(name, [])
        waiting.append(row)
        if len(waiting) < STEP:
            return None
        del self.waiting[name]
        alarm = self.monitor_for(name).step(waiting)
        return (name, alarm) if alarm else None

    def monitor_for(self, segment: str) -> Monitor:
        """The monitor of a segment, made when it is new; of the whole for an empty name."""
        if not segment:
            return self.whole
        levels = Levels(self.level * SEGMENT_SHARE)
        return self.segments.setdefault(segment, Monitor(levels, only=SEGMENT_CHANNELS))

    def _follow(self, rows: Sequence[Row], segment: str, alarm: Alarm) -> Iterator[Signal]:
        """Collect what comes after an alarm; when that is enough, work it out and start anew after the onset."""
        self.whole.rows.extend(rows)
        self.whole.n_seen += len(rows)
        for row in rows:
            if row.seen.segment in self.segments:
                self.segments[row.seen.segment].rows.append(row)
                self.segments[row.seen.segment].n_seen += 1
        if self.monitor_for(segment).n_seen - alarm.n_seen >= LATER:
            yield self.finish()

    def finish(self) -> Change:
        """The open alarm worked out with all there is; the watch starts anew with the rows after the onset."""
        if self.alarm is None:
            raise ValueError("No alarm is open.")
        segment, alarm = self.alarm
        rows = tuple(self.monitor_for(segment).rows)
        finding = work_out(rows, alarm)
        onset = finding.onset
        self.restart(rows[min(onset.end or onset.index, len(rows) - 1)].seen.at)
        return Change(segment, finding, rows, True)

    def restart(self, since: float) -> None:
        """Normal is what came at `since` or later: the new reference after a change, and an expected change's."""
        self.alarm = None
        for monitor in (self.whole, *self.segments.values()):
            monitor.rows = [row for row in monitor.rows if row.seen.at >= since]
            monitor.rows = monitor.rows[len(monitor.rows) % STEP :]
            monitor.reference = None
            monitor.asked_at.clear()


def settled(change: Change) -> Change:
    """The change without its rows: what is kept of it."""
    return replace(change, rows=())
