"""An alarm worked out: when, what moved, why. Pure. Done when the alarm comes, and again when more records are in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from traces.drift.causes import MOVED, Cause, Happening, moved, rank
from traces.drift.channels import WIDE, Panel
from traces.drift.frame import Frame, Row
from traces.drift.monitor import Alarm
from traces.drift.onset import EDGE, Numbers, Onset, onset_of
from traces.drift.shuffling import one_thread
from traces.drift.testing import JOINT, STEP

SURE = 0.8  # score of a cause that is taken at its time
CHART_POINTS = 60
LATER = 200  # records after the alarm until the onset is estimated for good


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about a change. Indexes are rows; `shifts` maps each channel to its p across the onset."""

    alarm: Alarm
    onset: Onset
    shifts: Mapping[str, float]
    causes: Sequence[Cause]
    leaning: Numbers = field(compare=False)  # of each row: 0 as before, 1 as now
    chart: Sequence[tuple[float, float]] = ()  # time, how far the records around it lean to the new (0 … 1)

    @property
    def kind(self) -> str:
        """`input shift` or `behaviour change`."""
        first = next(cause for cause in self.causes if cause.field != "event")  # which says when, not what moved
        return "input shift" if first.field == "input" else "behaviour change"


@one_thread
def work_out(rows: Sequence[Row], alarm: Alarm) -> Finding:
    """Locate, then see what else moved there, locate again by all that moved, then rank the causes."""
    frame = Frame.of(rows)
    panel, wides = Panel.fitted(frame)
    narrow = panel.narrow(frame)
    names = list(JOINT.get(alarm.channel, (alarm.channel,)))
    onset, leaning = onset_of(wides, narrow, names)
    split = min(max(onset.index, EDGE), len(frame) - EDGE)
    shifts = moved(frame, wides, narrow, split, alarm.n_seen)
    also = telling(shifts)
    if set(also) - set(names):
        onset, leaning = onset_of(wides, narrow, [*names, *(name for name in also if name not in names)])
        split = min(max(onset.index, EDGE), len(frame) - EDGE)
        shifts = moved(frame, wides, narrow, split, alarm.n_seen)
    causes = rank(frame, onset, leaning, shifts)
    if causes[0].field == "input" and "asked" in telling(shifts):
        # What is asked dates a change of inputs, where it tells; lengths and times follow it loosely.
        texts = [name for name in WIDE if shifts.get(name, 1.0) < MOVED]
        onset, leaning = onset_of(wides, narrow, texts)
    onset = _at_declared_change(rows, onset, causes[0])
    return Finding(alarm, onset, shifts, causes, leaning, _chart(rows, leaning))


def weigh_events(rows: Sequence[Row], finding: Finding, happenings: Sequence[Happening]) -> Finding:
    """The same finding, its causes ranked beside what programs told of that time."""
    if not happenings:
        return finding
    causes = rank(Frame.of(rows), finding.onset, finding.leaning, finding.shifts, happenings)
    return replace(finding, causes=causes)


def _chart(rows: Sequence[Row], leaning: Numbers) -> list[tuple[float, float]]:
    size = max(STEP, len(rows) // CHART_POINTS)
    points = []
    for start in range(0, len(rows) - size + 1, size):
        part = leaning[start : start + size]
        known = part[np.isfinite(part)]
        if len(known):
            points.append((rows[start + size // 2].seen.at, float(known.mean())))
    return points


def telling(shifts: Mapping[str, float]) -> list[str]:
    """The channels that moved for sure, as against those that moved a little with them: they date the change best."""
    clearest = min(shifts.values(), default=1.0)
    return [name for name, p in shifts.items() if p < MOVED and p <= clearest**0.5]


def _at_declared_change(rows: Sequence[Row], onset: Onset, top: Cause) -> Onset:
    """A version change that explains everything and lies in the interval is the better guess inside it."""
    if onset.end is not None or top.score < SURE or not top.new:
        return onset
    at = next((i for i, row in enumerate(rows) if row.seen.versions.get(top.field) == top.new), None)
    return replace(onset, index=at) if at is not None and onset.low <= at <= onset.high else onset
