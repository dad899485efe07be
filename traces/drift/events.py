"""What is told within a few records: repeated requests, runaway sessions, lengths that changed (`lengths`). Pure.

Each is judged against the deployment's own past, within a few records, and told once while it lasts.
"""

from collections import deque
from dataclasses import dataclass, field

from traces.drift.frame import Row
from traces.drift.lengths import LengthWatch

REPEAT_SECONDS = 120.0
REPEAT_AT = 6  # identical requests of one user, each within `REPEAT_SECONDS` of the last
REPEAT_FACTOR = 3  # … and this many times the longest such run before
SESSION_AT = 12  # calls of one session …
SESSION_FACTOR = 1.5  # … this many times the longest that ended before …
SESSION_GAP = 60.0  # … at a pace of a machine: seconds between calls (median)
GROWTH_STEPS = 8  # context that only grows, this many calls in a row, also tells a loop
GROWING = "the context growing with each"
WARM_UP = 100


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, to whom, from which record on. `count` records tell it so far."""

    kind: str  # repeated_requests, runaway_session or lengths
    who: str
    since: float
    at: float
    count: int
    first_id: str
    text: str


@dataclass(slots=True)
class Run:
    """Something that goes on: since its first record."""

    first: Row
    last_at: float
    count: int = 1
    told: bool = False
    growing: int = 0
    tokens: float = 0.0
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=15))


@dataclass(slots=True)
class EventWatch:
    """Feed every row in order of time; state is bounded by what is going on."""

    repeats: dict[tuple[str, int], Run] = field(default_factory=dict)
    sessions: dict[str, Run] = field(default_factory=dict)
    longest_repeat: int = 1
    longest_session: int = 4
    lengths: LengthWatch = field(default_factory=LengthWatch)
    n_seen: int = 0

    def take(self, row: Row) -> list[Event]:
        """What this record brings to light, usually nothing."""
        self.n_seen += 1
        if self.n_seen % 200 == 0:
            self._forget(row.seen.at)
        found = [event for event in (self._repeated(row), self._runaway(row)) if event]
        return found + self._lengths(row)

    def _repeated(self, row: Row) -> Event | None:
        key = (row.seen.user or row.seen.session, row.features.fingerprint)
        if not row.features.fingerprint or not key[0]:
            return None
        run = self.repeats.get(key)
        if run is None or row.seen.at - run.last_at > REPEAT_SECONDS:
            if run and not run.told:
                self.longest_repeat = max(self.longest_repeat, run.count)
            self.repeats[key] = Run(row, row.seen.at)
            return None
        run.count += 1
        run.last_at = row.seen.at
        if run.told or run.count < max(REPEAT_AT, REPEAT_FACTOR * self.longest_repeat):
            return None
        run.told = True
        return _event("repeated_requests", key[0], run, row, f"{run.count} identical requests, seconds apart")

    def _runaway(self, row: Row) -> Event | None:
        name = row.seen.session
        if not name:
            return None
        tokens = row.seen.scalars.get("input_tokens", 0.0)
        run = self.sessions.get(name)
        if run is None:
            self.sessions[name] = Run(row, row.seen.at, tokens=tokens)
            return None
        run.count += 1
        run.gaps.append(row.seen.at - run.last_at)
        run.growing = run.growing + 1 if tokens > run.tokens else 0
        run.last_at, run.tokens = row.seen.at, tokens
        fast = sorted(run.gaps)[len(run.gaps) // 2] <= SESSION_GAP
        long = run.count > max(SESSION_AT, SESSION_FACTOR * self.longest_session)
        looping = run.growing >= GROWTH_STEPS and run.count > self.longest_session
        if run.told or not fast or not (long or looping) or self.n_seen < WARM_UP:
            return None
        run.told = True
        growth = f", {GROWING}" if looping else ""
        return _event("runaway_session", name, run, row, f"{run.count} calls in one session{growth}")

    def _lengths(self, row: Row) -> list[Event]:
        return [
            Event(
                "lengths", shift.name, shift.rows[0].seen.at, row.seen.at, len(shift.rows), shift.rows[0].seen.id,
                shift.text,
            )
            for shift in self.lengths.take(row)
        ]  # fmt: skip

    def _forget(self, now: float) -> None:
        """Runs that ended become what is normal; those that were told do not."""
        for key, run in list(self.repeats.items()):
            if now - run.last_at > REPEAT_SECONDS:
                if not run.told:
                    self.longest_repeat = max(self.longest_repeat, run.count)
                del self.repeats[key]
        for name, run in list(self.sessions.items()):
            if now - run.last_at > 86_400:
                if not run.told:
                    self.longest_session = max(self.longest_session, run.count)
                del self.sessions[name]


def _event(kind: str, who: str, run: Run, row: Row, text: str) -> Event:
    return Event(kind, who, run.first.seen.at, row.seen.at, run.count, run.first.seen.id, text)
