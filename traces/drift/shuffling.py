"""How far apart window and reference are when nothing changed: whole sessions shuffled. Pure.

Records of one session are alike, so shuffling records would call a talkative session a change. Sessions are shuffled
whole, once for all channels and windows together: the law of a maximum over them comes out of the same shuffles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from traces.drift.channels import Narrow, Wide
from traces.drift.frame import Indexes, Matrix

# A window that is ten records off the change loses a fifth of its distance, so they lie close.
WINDOWS = (*range(20, 200, 10), *range(200, 400, 20), *range(400, 1001, 50))
LAW_WINDOWS = (20, 50, 120, 300, 700)  # laws are smooth in the window: known at these, interpolated between
MIN_REFERENCE = 100

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def windows_of(n: int) -> list[int]:
    """Window lengths that leave a reference of `MIN_REFERENCE` records."""
    return [w for w in WINDOWS if n - w >= MIN_REFERENCE]


@dataclass(frozen=True, slots=True)
class Law:
    """Mean, deviation and skewness of a distance between window and rest when sessions are shuffled."""

    mean: Numbers
    deviation: Numbers
    skewness: Numbers

    @classmethod
    def of(cls, samples: Numbers) -> "Law":
        """From shuffles along the first axis."""
        mean, deviation = samples.mean(axis=0), samples.std(axis=0)
        safe = np.where(deviation > 0, deviation, 1.0)
        return cls(mean, deviation, (((samples - mean) / safe) ** 3).mean(axis=0))

    def at(self, windows: Sequence[int], known: Sequence[int]) -> "Law":
        """The law at other windows, between those where it is known."""
        places, wanted = np.log(known), np.log(windows)

        def between(values: Numbers) -> Numbers:
            columns = values.reshape(len(known), -1)
            found = np.stack([np.interp(wanted, places, column) for column in columns.T], axis=1)
            return found.reshape(len(windows), *values.shape[1:])

        return Law(between(self.mean), between(self.deviation), between(self.skewness))

    def scores(self, distances: Numbers) -> Numbers:
        """As standard normal scores (Wilson and Hilferty's cube root of a gamma law)."""
        z = (distances - self.mean) / np.where(self.deviation > 0, self.deviation, np.inf)
        g = np.clip(self.skewness, 0.05, 2.8)
        return np.asarray((6 / g) * (np.cbrt(np.maximum(g * z / 2 + 1, 0.0)) - 1) + g / 6)


def selections(sizes: Indexes, windows: Sequence[int], times: int, seed: int) -> list[Matrix]:
    """For each window, `times` × sessions: 1 where a session falls into the window of that shuffle."""
    rng = np.random.default_rng(seed)
    order = np.argsort(rng.random((times, len(sizes))), axis=1)
    ordered = sizes[order]
    before = np.empty_like(ordered)
    np.put_along_axis(before, order, np.cumsum(ordered, axis=1) - ordered, axis=1)
    return [(before < window).astype(np.float32) for window in windows]


def session_sums(values: Matrix, blocks: Indexes) -> Matrix:
    """The sum of the rows of each session."""
    if values.ndim == 2 and values.shape[1] > 256:
        return _wide_session_sums(values, blocks)
    order = np.argsort(blocks, kind="stable")
    starts = np.searchsorted(blocks[order], np.arange(int(blocks.max()) + 1))
    return np.asarray(np.add.reduceat(values[order], starts, axis=0))


def _wide_session_sums(values: Matrix, blocks: Indexes) -> Matrix:
    sums = np.zeros((int(blocks.max()) + 1, values.shape[1]), dtype=np.float32)
    for row, block in zip(values, blocks.tolist(), strict=True):
        sums[block] += row
    return sums


def wide_samples(channel: Wide, blocks: Indexes, chosen: Sequence[Matrix]) -> Numbers:
    """Distances under shuffling: times × windows."""
    present = session_sums(channel.present, blocks)
    total = float(channel.present.sum())
    sums = session_sums(channel.values, blocks)
    sums -= present[:, None] * (sums.sum(axis=0) / max(total, 1.0))
    narrow = sums.shape[1] < len(sums)
    gram = sums if narrow else sums @ sums.T
    out = np.empty((len(chosen[0]), len(chosen)))
    for index, picked in enumerate(chosen):
        product = picked @ gram
        squares = (product**2).sum(axis=1) if narrow else (product * picked).sum(axis=1)
        out[:, index] = _distance(squares, picked @ present, total)
    return out


def narrow_samples(channel: Narrow, blocks: Indexes, chosen: Sequence[Matrix]) -> Numbers:
    """Distances under shuffling: times × windows × columns."""
    present = session_sums(channel.present, blocks)
    total = channel.present.sum(axis=0)
    means = channel.values.sum(axis=0) / np.maximum(total, 1.0)
    sums = session_sums(((channel.values - means) * channel.present).astype(np.float32), blocks)
    out = np.empty((len(chosen[0]), len(chosen), sums.shape[1]))
    for index, picked in enumerate(chosen):
        out[:, index] = _distance((picked @ sums) ** 2, picked @ present, total)
    return out


def _distance(squares: Any, m: Any, total: Any) -> Any:
    """n·m/(n+m) × the squared difference of means, from the squared centred window sum."""
    rest = total - m
    return np.where((m > 0) & (rest > 0), squares * total / np.maximum(m * rest, 1.0), 0.0)


def window_distances(prefix: Numbers, present: Numbers, windows: Sequence[int], step: int) -> Numbers:
    """Distances of the newest `windows` records from all before; prefix sums run in steps of `step` records.

    `prefix`: (steps+1) × d; `present`: (steps+1) for a wide channel, or (steps+1) × d for narrow columns.
    """
    back = [len(prefix) - 1 - w // step for w in windows]
    new, old = prefix[-1] - prefix[back], prefix[back] - prefix[0]
    m, n = present[-1] - present[back], present[back] - present[0]
    enough = (m > 0) & (n > 0)
    if present.ndim == 1:
        gap = new / np.maximum(m, 1)[:, None] - old / np.maximum(n, 1)[:, None]
        return np.where(enough, m * n / np.maximum(m + n, 1) * (gap**2).sum(axis=1), 0.0)
    gap = new / np.maximum(m, 1) - old / np.maximum(n, 1)
    return np.where(enough, m * n / np.maximum(m + n, 1) * gap**2, 0.0)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """By channel name: the largest score over windows, the window that has it, and how likely shuffling reaches it."""

    scores: Mapping[str, float]
    windows: Mapping[str, int]
    p: Mapping[str, float]
