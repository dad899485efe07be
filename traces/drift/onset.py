"""When it started: the split that explains the records best, with an interval; for a ramp its start and its end. Pure.

Every record becomes one number: how far it leans from what was before towards what is now, measured without itself.
On those numbers a step and a ramp are fitted by least squares, and every place nearly as good is in the interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from traces.drift.channels import Narrow, Wide
from traces.drift.frame import Matrix, running

Numbers = np.ndarray[Any, np.dtype[np.float64]]

EDGE = 10  # records that a side needs at least
INTERVAL = 3.4  # log-likelihood below the best that is still in the interval: ln 20, and some for what was estimated
RAMP_GAIN = 6.0  # log-likelihood that a ramp must gain over a step
RAMP_MIN = 40  # records; a shorter ramp is a step
_RAMP_STEP = 10


@dataclass(frozen=True, slots=True)
class Onset:
    """`index` is the first changed row; `low` ≤ index ≤ `high` is the interval. `end`: where a ramp has arrived."""

    index: int
    low: int
    high: int
    end: int | None
    channel: str
    strength: float  # of the step, in standard errors


def leaning(values: Matrix, present: Matrix, split: int) -> Numbers:
    """Each row's place on the way from the mean before `split` to the mean after it, itself left out; NaN missing."""
    has = present > 0
    before, after = has.copy(), has.copy()
    before[split:], after[:split] = False, False
    n, m = max(int(before.sum()), 2), max(int(after.sum()), 2)
    old, new = values[before].sum(axis=0), values[after].sum(axis=0)
    squares = np.einsum("ij,ij->i", values, values)
    along_new, along_old = values @ new, values @ old
    out = np.where(
        after,
        (along_new - squares) / (m - 1) - along_old / n,
        along_new / m - (along_old - squares) / (n - 1),
    ).astype(np.float64)
    out[~has] = np.nan
    return np.asarray(out)


def best_split(values: Matrix, present: Matrix, start: int, end: int) -> int:
    """The split in [start, end] with the largest distance between the means of its sides."""
    n = np.cumsum(present, dtype=np.float64)[start - 1 : end]
    count = float(present.sum())
    mean = values.sum(axis=0) / max(count, 1.0)
    # Sums about the mean: then the gap of the means is the sum before, over n·m/count.
    sums = values[start - 1 : end] - present[start - 1 : end, None] * mean
    sums[0] += values[: start - 1].sum(axis=0) - n[0] * mean + present[start - 1] * mean
    running(sums, sums)
    squares = np.einsum("ij,ij->i", sums, sums)
    return start + int((squares / np.maximum(n * (count - n), 1)).argmax())


def _fit_steps(scores: Numbers) -> Numbers:
    """The residual sum of squares of a step at every split 0 … n."""
    n = len(scores)
    sums, squares = np.concatenate(([0.0], np.cumsum(scores))), float((scores**2).sum())
    at = np.arange(n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.nan_to_num(sums**2 / at) + np.nan_to_num((sums[-1] - sums) ** 2 / (n - at))
    return np.asarray(squares - explained)


def _fit_ramp(scores: Numbers) -> tuple[int, int, float, dict[int, float]]:
    """The best ramp (start, end, residual) and the best residual for each start, on a grid."""
    n = len(scores)
    centred = scores - scores.mean()
    total = float(centred @ centred)
    sums = np.concatenate(([0.0], np.cumsum(centred)))
    moments = np.concatenate(([0.0], np.cumsum(np.arange(n) * centred)))
    starts, ends = np.arange(EDGE, n - RAMP_MIN, _RAMP_STEP)[:, None], np.arange(EDGE + RAMP_MIN, n + 1, _RAMP_STEP)
    if not starts.size:
        return 0, n, float("inf"), {}
    length = np.maximum(ends - starts, 1)
    # Σ shape·score, Σ shape and Σ shape² of 0 … 0, 0/L … (L-1)/L, 1 … 1, all starts × ends at once.
    along = (moments[ends] - moments[starts] - starts * (sums[ends] - sums[starts])) / length - sums[ends]
    level = (length - 1) / 2 + n - ends
    power = (length - 1) * (2 * length - 1) / (6 * length) + n - ends - level**2 / n
    residuals = np.where(ends - starts >= RAMP_MIN, total - along**2 / np.maximum(power, 1e-9), np.inf)
    places, least = residuals.argmin(axis=1), residuals.min(axis=1)
    best = int(least.argmin())
    by_start = dict(zip(starts[:, 0].tolist(), least.tolist(), strict=True))
    return int(starts[best, 0]), int(ends[places[best]]), float(least[best]), by_start


def locate(scores: Numbers, channel: str) -> Onset:
    """Fit a step, and a ramp; NaN rows are left out of the fit and counted in the indexes."""
    known = np.flatnonzero(np.isfinite(scores))
    x = scores[known]
    n = len(x)
    if n < 4 * EDGE:
        return Onset(len(scores), 0, len(scores), None, channel, 0.0)
    residuals = _fit_steps(x)
    inner = residuals[EDGE : n - EDGE + 1]
    split = EDGE + int(inner.argmin())
    noise = max(float(inner.min()) / (n - 2), 1e-12)
    near = EDGE + np.flatnonzero((inner - inner.min()) / (2 * noise) <= INTERVAL)
    strength = float(np.sqrt(max(0.0, (residuals[0] - inner.min()) / noise)))
    thin = max(1, n // 400)
    start, end, residual, by_start = _fit_ramp(x[: n - n % thin].reshape(-1, thin).mean(axis=1) if thin > 1 else x)
    coarse = _fit_steps(x[: n - n % thin].reshape(-1, thin).mean(axis=1)).min() if thin > 1 else inner.min()
    gain = (coarse - residual) / (2 * noise / thin)
    if gain > RAMP_GAIN:
        starts = [s * thin for s, r in by_start.items() if (r - residual) / (2 * noise / thin) <= INTERVAL]
        low, high = min(starts), max(starts)
        last = min(end * thin, n - 1)
        return Onset(
            int(known[start * thin]), int(known[low]), int(known[min(high, n - 1)]), int(known[last]), channel, strength
        )
    return Onset(int(known[split]), int(known[near.min()]), int(known[near.max()]), None, channel, strength)


def column(narrow: Narrow, name: str) -> tuple[Matrix, Matrix]:
    """A narrow column as a channel of width 1: values about their mean, and presence."""
    index = list(narrow.names).index(name)
    present = narrow.present[:, index]
    values = narrow.values[:, index] - narrow.values[:, index].sum() / max(float(present.sum()), 1.0)
    return (values * present)[:, None], present


def onset_of(wides: Sequence[Wide], narrow: Narrow, names: Sequence[str]) -> tuple[Onset, Numbers]:
    """The onset as the channels of `names` show it together, and each row's leaning: about 0 before, about 1 after.

    Each channel gives a first guess; from each, all vote with their effect sizes, and the strongest outcome counts.
    """
    known = {wide.name: (wide.values, wide.present) for wide in wides}
    channels = {name: known[name] if name in known else column(narrow, name) for name in names}
    start, end = EDGE, len(narrow.values) - EDGE
    found = [
        locate(leaning(values, present, best_split(values, present, start, end)), name)
        for name, (values, present) in channels.items()
    ]
    strongest = max(found, key=lambda one: one.strength)
    tried = [_settle(channels, onset.index, strongest.channel) for onset in found]
    return max(tried, key=lambda one: one[0].strength)


def _settle(channels: Mapping[str, tuple[Matrix, Matrix]], index: int, name: str) -> tuple[Onset, Numbers]:
    """From a first guess to where all channels together put it."""
    scores = _combined(channels, index)
    for _ in range(2):
        onset = locate(scores, name)
        scores = _combined(channels, onset.index)
    return locate(scores, name), scores


def _combined(channels: Mapping[str, tuple[Matrix, Matrix]], split: int) -> Numbers:
    """The leanings of all channels as one: each in units of its noise, weighted by its step."""
    length = len(next(iter(channels.values()))[1])
    total, weight = np.zeros(length), 0.0
    for values, present in channels.values():
        scores = leaning(values, present, min(max(split, EDGE), length - EDGE))
        before, after = np.nanmean(scores[:split]), np.nanmean(scores[split:])
        noise = np.sqrt((np.nanvar(scores[:split]) * split + np.nanvar(scores[split:]) * (length - split)) / length)
        if not np.isfinite(noise) or noise <= 0 or after <= before:
            continue
        effect = (after - before) / noise
        total += effect * np.where(np.isfinite(scores), (scores - before) / noise, 0.0)
        weight += effect**2
    return total / weight if weight else total
