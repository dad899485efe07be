"""Why: every candidate that could have done it, ranked, with what speaks for and against each. Pure.

A candidate is a version that changed, the mix of inputs, one segment, or nobody we know of: a change upstream that was
not declared. What speaks for a version: it changed inside the onset's interval, and records on its new value differ
while records that stayed on the old do not. What speaks for the inputs: they changed then too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from traces.drift.channels import Narrow, Wide
from traces.drift.frame import Frame, Matrix, Row
from traces.drift.names import channel_name
from traces.drift.observation import SCALARS, VERSIONS
from traces.drift.onset import Numbers, Onset
from traces.drift.shuffling import narrow_samples, selections, wide_samples
from traces.drift.tails import normal_tail, permutation_p

SHUFFLES = 999
MOVED = 1e-3  # p at the onset's split below which a channel is said to have moved
INPUTS_MOVED = 5e-3
INPUT_CHANNELS = ("asked", "input_tokens", "input_tokens spread")
SLACK = 6  # records beyond the interval in which a version change still counts as in time
WIDE_SLACK = 0.06  # … and of the rows compared, for the estimate of a weak onset
MIN_SHARE = 0.2  # of the records after its first, that a new value must have to be a change at all
PRICE_RATIO = 0.02
EVENT_WEIGHT = 0.85  # of a version's score: what records carry themselves says more than what was told beside them


@dataclass(frozen=True, slots=True)
class Cause:
    """A candidate: `field` is a version's name, or segment, input, price, event, upstream."""

    field: str
    text: str
    score: float
    reasons: tuple[str, ...]
    old: str = ""
    new: str = ""

    @property
    def rejected(self) -> bool:
        return self.score < 0.25


@dataclass(frozen=True, slots=True)
class Transition:
    """`field` went from `old` to `new` at row `index`; `share` of the rows after it have the new value."""

    field: str
    old: str
    new: str
    index: int
    share: float


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that a program told (`marks`): from `at` to `until` (unix seconds; None: it has no end we know of).

    `instance`: the only one it touched; empty: all.
    """

    text: str
    at: float
    until: float | None = None
    instance: str = ""


def moved(frame: Frame, wides: Sequence[Wide], narrow: Narrow, split: int, seed: int) -> dict[str, float]:
    """By channel: how likely shuffled sessions differ as much across `split` (a fixed one, so no scan is priced in)."""
    blocks = frame.blocks()
    chosen = selections(np.bincount(blocks), [len(frame) - split], SHUFFLES, seed)
    found = {}
    for wide in wides:
        samples = wide_samples(wide, blocks, chosen)[:, 0]
        found[wide.name] = permutation_p(_distance(wide.values, wide.present, split), samples)
    samples = narrow_samples(narrow, blocks, chosen)[:, 0]
    for column, name in enumerate(narrow.names):
        values, present = narrow.values[:, column : column + 1], narrow.present[:, column]
        found[name] = permutation_p(_distance(values, present, split), samples[:, column])
    return found


def _distance(values: Matrix, present: Matrix, split: int) -> float:
    n, m = float(present[:split].sum()), float(present[split:].sum())
    if not n or not m:
        return 0.0
    gap = values[split:].sum(axis=0, dtype=np.float64) / m - values[:split].sum(axis=0, dtype=np.float64) / n
    return float(n * m / (n + m) * (gap @ gap))


def transitions(rows: Sequence[Row]) -> list[Transition]:
    """Where each version field changed its value for good."""
    found = []
    for name in VERSIONS:
        values = [row.seen.versions.get(name, "") for row in rows]
        first: dict[str, int] = {}
        for index, value in enumerate(values):
            first.setdefault(value, index)
        for value, index in first.items():
            after = values[index:]
            share = after.count(value) / len(after)
            before = Counter(values[:index])
            if index and value and share >= MIN_SHARE and before:
                found.append(Transition(name, before.most_common(1)[0][0], value, index, share))
    return found


def rank(
    frame: Frame, onset: Onset, leaning: Numbers, shifts: Mapping[str, float], happenings: Sequence[Happening] = ()
) -> list[Cause]:
    """All candidates, the likeliest first; those with a score below a quarter are rejected, with the reason."""
    versions = [_version_cause(frame, onset, leaning, change) for change in transitions(frame.rows)]
    versions += [_event_cause(frame, onset, leaning, one) for one in happenings]
    inputs = _input_cause(shifts)
    price = _price_cause(frame, onset)
    segment = _segment_cause(frame, onset, leaning)
    explained = max((cause.score for cause in (*versions, inputs)), default=0.0)
    upstream = _upstream_cause(shifts, explained)
    found = [cause for cause in (*versions, inputs, price, segment, upstream) if cause]
    return sorted(found, key=lambda cause: -cause.score)


def _version_cause(frame: Frame, onset: Onset, leaning: Numbers, change: Transition) -> Cause:
    in_time, where = _in_time(len(frame), onset, change.index)
    contrast, reason = _contrast(frame, leaning, change)
    text = f"{change.field.replace('_', ' ')} changed from {change.old or 'none'} to {change.new}"
    return Cause(
        change.field, text, 0.95 * in_time * contrast, (f"It changed {where}.", reason), change.old, change.new
    )


def _in_time(n: int, onset: Onset, index: int) -> tuple[float, str]:
    """1 where a change at row `index` (of `n`) lies in the onset's interval, less the further outside; and in words."""
    slack = max(SLACK, WIDE_SLACK * n / max(1.0, onset.strength / 6))
    late = max(onset.low - slack - index, index - (onset.end or onset.high) - slack, 0.0)
    if late == 0:
        return 1.0, "inside the interval of the onset"
    return float(np.exp(-late / 10)), f"{late:.0f} records outside the interval of the onset"


def _event_cause(frame: Frame, onset: Onset, leaning: Numbers, event: Happening) -> Cause:
    """An event explains less than a version on the records themselves: it says when, and at most where."""
    at = np.array([row.seen.at for row in frame.rows])
    in_time, where = _in_time(len(frame), onset, int(np.searchsorted(at, event.at)))
    contrast, reason = _event_contrast(frame, leaning, event, at)
    return Cause("event", event.text, EVENT_WEIGHT * in_time * contrast, (f"It began {where}.", reason))


def _event_contrast(frame: Frame, leaning: Numbers, event: Happening, at: Numbers) -> tuple[float, str]:
    """Do the records it touched differ from those beside it, else before it; and, when it is over, from those after?"""
    until = np.inf if event.until is None else event.until
    touched, during = np.isfinite(leaning), (at >= event.at) & (at <= until)
    rest, others = leaning[touched & (at < event.at)], "that came before it"
    if event.instance:
        here = np.array([row.seen.versions.get("instance", "") == event.instance for row in frame.rows])
        rest, others = leaning[touched & during & ~here], f"that other instances than {event.instance} answered"
        touched &= here
    new, later = leaning[touched & during], leaning[touched & (at > until)]
    if len(new) < 10 or len(rest) < 10:
        return 0.1, f"Too few records to tell ({len(new)} in it, {len(rest)} {others})."
    p = _difference_p(rest, new)
    if p >= 1e-3 or new.mean() <= rest.mean():
        return 0.1, f"Records in it are like the {len(rest)} {others} (p {p:.1g})."
    if len(later) >= 10 and (_difference_p(later, new) >= 0.01 or later.mean() >= new.mean()):
        return 0.1, "What changed went on when it was over."
    return 1.0 if event.instance else 0.9, f"Records in it differ from {len(rest)} {others} (p {p:.1g})."


def _contrast(frame: Frame, leaning: Numbers, change: Transition) -> tuple[float, str]:
    """Do records on the new value differ from those on the old, at the same time if both go on side by side?"""
    values = np.array([row.seen.versions.get(change.field, "") for row in frame.rows])
    known = np.isfinite(leaning)
    new = leaning[known & (values == change.new)]
    after = np.arange(len(values)) >= change.index
    beside = leaning[known & after & (values == change.old)]
    if len(beside) >= 20 and len(new) >= 10:
        p = _difference_p(beside, new)
        if p < 0.01:
            return 1.0, f"Records on the new value differ from {len(beside)} that stayed on the old (p {p:.1g})."
        return 0.1, f"{len(beside)} records that stayed on the old value changed just as much (p {p:.1g})."
    before = leaning[known & ~after]
    p = _difference_p(before, new) if len(before) >= 10 and len(new) >= 10 else 1.0
    if p < 1e-3:
        return 0.9, "No record stayed on the old value; records before it differ from those after."
    return 0.1, f"Records before and after it are alike (p {p:.1g})."


def _difference_p(a: Numbers, b: Numbers) -> float:
    error = float(np.sqrt(a.var() / len(a) + b.var() / len(b)))
    return 2 * normal_tail(abs(float(a.mean() - b.mean())) / error) if error > 0 else 1.0


def _input_cause(shifts: Mapping[str, float]) -> Cause:
    tested = {name: shifts[name] for name in INPUT_CHANNELS if name in shifts}
    if not tested:
        return Cause("input", "the mix of inputs", 0.0, ("Nothing is known about the inputs.",))
    name = min(tested, key=lambda one: tested[one])
    p = min(1.0, tested[name] * len(tested))
    words = channel_name(name).lower()
    if p > INPUTS_MOVED:
        return Cause("input", "the mix of inputs", 0.0, (f"Inputs did not change at that time ({words}: p {p:.2g}).",))
    score = min(0.9, 0.5 + 0.1 * -np.log10(p / INPUTS_MOVED))
    return Cause("input", "the mix of inputs changed", float(score), (f"Inputs changed too ({words}: p {p:.1g}).",))


def _price_cause(frame: Frame, onset: Onset) -> Cause | None:
    """Whether a token began to cost something else. It moves costs, never answers."""
    table = np.column_stack((frame.scalars[:, :2], frame.scalars[:, SCALARS.index("cost")])).astype(np.float64)
    known = np.isfinite(table).all(axis=1) & (table[:, 2] > 0)
    before, after = table[: onset.index][known[: onset.index]], table[onset.index :][known[onset.index :]]
    if len(before) < 20 or len(after) < 10:
        return None
    prices = np.linalg.lstsq(before[:, :2], before[:, 2], rcond=None)[0]
    ratio = float(after[:, 2].sum() / max(float((after[:, :2] @ prices).sum()), 1e-12))
    if abs(ratio - 1) < PRICE_RATIO:
        return Cause("price", "the price of a token", 0.0, (f"The same tokens cost the same ({ratio:.2f}×).",))
    return Cause("price", f"a token costs {ratio:.2f}× what it did", 0.2, ("A price does not change an answer.",))


def _segment_cause(frame: Frame, onset: Onset, leaning: Numbers) -> Cause | None:
    """Whether one segment changed and the others did not."""
    segments = np.array([row.seen.segment for row in frame.rows])
    after = np.arange(len(frame)) >= onset.index
    known = np.isfinite(leaning)
    steps: dict[str, float] = {}
    for name in sorted(set(segments.tolist()) - {""}):
        old, new = leaning[known & ~after & (segments == name)], leaning[known & after & (segments == name)]
        if len(old) >= 20 and len(new) >= 10:
            error = float(np.sqrt(old.var() / len(old) + new.var() / len(new)))
            steps[name] = float(new.mean() - old.mean()) / error if error else 0.0
    if len(steps) < 2:
        return None
    name = max(steps, key=lambda one: steps[one])
    others = [value for other, value in steps.items() if other != name]
    if steps[name] >= 3.5 and max(others) < 2.0:
        return Cause(
            "segment", f"only the segment {name} changed", 0.45, ("The other segments did not move.",), "", name
        )
    return None


def _upstream_cause(shifts: Mapping[str, float], explained: float) -> Cause:
    """Nobody declared anything, and answers moved although questions did not: someone upstream changed something."""
    outputs = sorted(name for name, p in shifts.items() if p < MOVED and name not in INPUT_CHANNELS)
    reasons = [
        "No declared version changed inside the interval." if explained < 0.5 else "A declared change fits better."
    ]
    if outputs:
        reasons.append(f"These moved: {', '.join(channel_name(name).lower() for name in outputs[:6])}.")
    return Cause(
        "upstream", "an undeclared change upstream (model, provider or service)", 0.5 * (1 - explained), tuple(reasons)
    )
