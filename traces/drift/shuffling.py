"""How far apart window and reference are when nothing changed: whole sessions shuffled. Pure.

Records of one session are alike, so shuffling records would call a talkative session a change. Sessions are shuffled
whole, once for all channels and windows together: the law of a maximum over them comes out of the same shuffles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from traces.drift.channels import Narrow, Wide
from traces.drift.frame import Indexes, Matrix

# A window that is a tenth off the change loses little of its distance; each more costs a product for every shuffle.
WINDOWS = (*range(20, 120, 10), *range(120, 240, 20), *range(240, 400, 30), *range(400, 600, 50), *range(600, 1001, 80))
LAW_WINDOWS = (20, 50, 120, 300, 700)  # laws are smooth in the window: known at these, interpolated between
MIN_REFERENCE = 100

Numbers = np.ndarray[Any, np.dtype[np.float64]]
_POOLS = ThreadpoolController()
P = ParamSpec("P")
R = TypeVar("R")


def one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Products are small here: a second BLAS thread gains little, and on a busy machine waits for its turn in a loop.

    Two threads on two cores that had other work cost eight times the CPU in all.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _POOLS.limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


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
        z = (samples - mean) / np.where(deviation > 0, deviation, 1.0)
        return cls(mean, deviation, (z * z * z).mean(axis=0))

    def at(self, windows: Sequence[int], known: Sequence[int]) -> "Law":
        """The law at other windows, between those where it is known."""
        places, wanted = np.log(known), np.log(windows)

        def between(values: Numbers) -> Numbers:
            columns = values.reshape(len(known), -1) if values.size else np.zeros((len(known), 0))
            found = np.array([np.interp(wanted, places, column) for column in columns.T])
            return found.T.reshape(len(windows), *values.shape[1:])

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


@dataclass(frozen=True, slots=True)
class WideSessions:
    """A wide channel by session, about its mean: what any number of shuffles is drawn from."""

    gram: Matrix  # sessions × sessions of dot products; or the sums themselves, where those are fewer columns
    is_gram: bool
    present: Matrix
    total: float

    @classmethod
    def of(cls, channel: Wide, blocks: Indexes) -> "WideSessions":
        """The products cost more than a hundred shuffles, so they are made once for all stages."""
        present = session_sums(channel.present, blocks)
        total = float(channel.present.sum())
        sums = session_sums(channel.values, blocks)
        sums -= present[:, None] * (sums.sum(axis=0) / max(total, 1.0))
        is_gram = sums.shape[1] >= len(sums)
        return cls(sums @ sums.T if is_gram else sums, is_gram, present, total)

    def samples(self, chosen: Sequence[Matrix]) -> Numbers:
        """Distances under shuffling: times × windows."""
        out = np.empty((len(chosen[0]), len(chosen)))
        for index, picked in enumerate(chosen):
            product = picked @ self.gram
            squares = np.einsum("ij,ij->i", product, picked if self.is_gram else product)
            out[:, index] = _distance(squares, picked @ self.present, self.total)
        return out


@dataclass(frozen=True, slots=True)
class NarrowSessions:
    """Narrow columns by session, each about its mean."""

    sums: Matrix
    present: Matrix
    total: Matrix

    @classmethod
    def of(cls, channel: Narrow, blocks: Indexes) -> "NarrowSessions":
        """Of all columns at once."""
        total = channel.present.sum(axis=0)
        means = channel.values.sum(axis=0) / np.maximum(total, 1.0)
        centred = ((channel.values - means) * channel.present).astype(np.float32)
        return cls(session_sums(centred, blocks), session_sums(channel.present, blocks), total)

    def samples(self, chosen: Sequence[Matrix]) -> Numbers:
        """Distances under shuffling: times × windows × columns."""
        out = np.empty((len(chosen[0]), len(chosen), self.sums.shape[1]))
        for index, picked in enumerate(chosen):
            out[:, index] = _distance((picked @ self.sums) ** 2, picked @ self.present, self.total)
        return out


def wide_samples(channel: Wide, blocks: Indexes, chosen: Sequence[Matrix]) -> Numbers:
    """Distances under shuffling, drawn once: times × windows."""
    return WideSessions.of(channel, blocks).samples(chosen)


def narrow_samples(channel: Narrow, blocks: Indexes, chosen: Sequence[Matrix]) -> Numbers:
    """Distances under shuffling, drawn once: times × windows × columns."""
    return NarrowSessions.of(channel, blocks).samples(chosen)


def _distance(squares: Any, m: Any, total: Any) -> Any:
    """n·m/(n+m) × the squared difference of means, from the squared centred window sum."""
    rest = total - m
    return np.where((m > 0) & (rest > 0), squares * total / np.maximum(m * rest, 1.0), 0.0)


def window_distances(prefix: Numbers, present: Numbers, windows: Sequence[int], step: int) -> Numbers:
    """Distances of the newest `windows` records from all before; prefix sums run in steps of `step` records.

    `prefix`: (steps+1) × d; `present`: (steps+1) for a wide channel, or (steps+1) × d for narrow columns.
    """
    back = [len(prefix) - 1 - w // step for w in windows]
    m, n = present[-1] - present[back], present[back] - present[0]
    enough = (m > 0) & (n > 0)
    new, total = prefix[-1] - prefix[back], prefix[-1] - prefix[0]
    if present.ndim == 1:
        # |new/m − (total − new)/n|², multiplied out: one pass over windows × dimensions, not six.
        m, n = np.maximum(m, 1), np.maximum(n, 1)
        both = 1 / m + 1 / n
        squares = both**2 * np.einsum("ij,ij->i", new, new) - 2 * both / n * (new @ total) + total @ total / n**2
        return np.where(enough, np.maximum(squares, 0.0) / both, 0.0)
    old = total - new
    gap = new / np.maximum(m, 1) - old / np.maximum(n, 1)
    return np.where(enough, m * n / np.maximum(m + n, 1) * gap**2, 0.0)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """By channel name: the largest score over windows, the window that has it, and how likely shuffling reaches it."""

    scores: Mapping[str, float]
    windows: Mapping[str, int]
    p: Mapping[str, float]
    recurring: frozenset[str]  # channels in which something recurs
