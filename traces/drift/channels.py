"""What is watched, as matrices whose window means can be compared: words, style, numbers, rates. Pure.

Wide channels are vectors of one meaning (the words of an answer); their distance is one number. Narrow columns are
single numbers or rates; each is tested by itself. A value that is missing weighs nothing.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from traces.drift.frame import Frame, Matrix
from traces.drift.observation import SCALARS
from traces.drift.season import Season, season_of

WIDE = ("asked", "answered", "style")
NARROW = "narrow"  # all single columns together
PRICED = "cost"  # a price is not behaviour: it explains, it does not alarm
MIN_LABEL_COUNT = 5
MAX_LABELS = 24
_CAP_QUANTILE = 0.95  # of the norms: one answer of rare words must not decide alone
_STYLE_CLIP = 4.0
MIN_SPREAD = 1e-6
_GRID = np.linspace(0, 1, 129)

Numbers = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Wide:
    """A vector channel: scaled rows (0 where missing) and which rows count."""

    name: str
    values: Matrix  # n × d
    present: Matrix  # n, 0 or 1


@dataclass(frozen=True, slots=True)
class Narrow:
    """Columns that are tested one by one. A scalar has two: its place and its spread."""

    names: Sequence[str]
    values: Matrix  # n × k
    present: Matrix  # n × k
    raw: Matrix  # n × k: before what recurs was taken off; a rate's are 0 and 1


@dataclass(frozen=True, slots=True)
class Panel:
    """Scales of every channel, fitted on a frame; applied to any rows."""

    centres: dict[str, Matrix]
    weights: dict[str, Matrix]
    caps: dict[str, float]
    tables: dict[str, tuple[Numbers, Numbers]]
    labels: list[str]
    unit_costs: Numbers
    seasons: dict[str, Season]  # of the channels in which something recurs

    @classmethod
    def fit(cls, frame: Frame, only: Collection[str] = (), recurring: Collection[str] | None = None) -> "Panel":
        """From the rows that are compared with each other: the scales must not know which of them are new.

        `only` names the channels that are wanted, wide and narrow; empty: all. `recurring` names those that are
        asked for their season; None: all.
        """
        return cls.fitted(frame, only, recurring)[0]

    @classmethod
    def fitted(
        cls, frame: Frame, only: Collection[str] = (), recurring: Collection[str] | None = None
    ) -> tuple["Panel", list[Wide]]:
        """`fit`, and what `wide` would say of the same rows: most of it is made on the way."""
        panel = cls({}, {}, {}, {}, [], unit_costs(frame), {})
        at = _times(frame)
        fitted = [
            panel._fit_wide(frame, name, at, ask=recurring is None or name in recurring)
            for name in WIDE
            if not only or name in only
        ]
        for index, name in enumerate(SCALARS):
            if only and name not in only and f"{name} spread" not in only:
                continue
            known = _scalar(frame, index, panel.unit_costs)
            known = known[np.isfinite(known)]
            if len(known) >= 20 and known.min() < known.max():
                panel.tables[name] = score_table(known)
        panel.labels.extend(label for label in watched_labels(frame) if not only or label in only)
        if recurring is None or NARROW in recurring:
            narrow = panel.narrow(frame)
            season = season_of(narrow.values.copy(), narrow.present, at, together=False) if narrow.names else None
            if season:
                panel.seasons[NARROW] = season
        return panel, [wide for wide in fitted if wide]

    def _fit_wide(self, frame: Frame, name: str, at: Numbers, *, ask: bool) -> Wide | None:
        """Centre, weights, season (where to `ask`) and cap of one; nothing where its rows are all alike."""
        raw, present = _raw(frame, name)
        if not present.any():
            return None
        rows = raw if present.all() else raw[present]
        centre = rows.mean(axis=0)
        deviation = np.sqrt(np.maximum(np.einsum("ij,ij->j", rows, rows) / len(rows) - centre**2, 0))
        spread = float(np.sqrt((deviation**2).mean()))
        if spread < MIN_SPREAD:
            return None
        self.centres[name] = centre
        floor = 0.05 * spread if name == "style" else 0.5 * spread
        self.weights[name] = (1.0 / (deviation + floor)).astype(np.float32)
        scaled = _scaled(rows, centre, self.weights[name])
        if name == "style":
            np.clip(scaled, -_STYLE_CLIP, _STYLE_CLIP, out=scaled)
        moments = at if present.all() else at[present]
        season = season_of(scaled, np.ones(len(scaled), np.float32), moments, together=True) if ask else None
        if season:
            self.seasons[name] = season
        norms = _norms(scaled)
        self.caps[name] = float(np.quantile(norms, _CAP_QUANTILE))
        if len(scaled) < len(raw):
            return self._one_wide(frame, name)
        return self._capped(name, scaled, norms, np.ones(len(raw), np.float32))

    def wide(self, frame: Frame, names: Collection[str] = WIDE) -> list[Wide]:
        """The vector channels of these rows, those of `names`."""
        return [self._one_wide(frame, name) for name in self.centres if name in names]

    def _one_wide(self, frame: Frame, name: str) -> Wide:
        raw, present = _raw(frame, name)
        scaled = _scaled(raw, self.centres[name], self.weights[name])
        mask = present.astype(np.float32)
        if name == "style":
            np.clip(scaled, -_STYLE_CLIP, _STYLE_CLIP, out=scaled)
        if name in self.seasons:
            self.seasons[name].take_off(scaled, _times(frame))
        return self._capped(name, scaled, _norms(scaled), mask)

    def _capped(self, name: str, scaled: Matrix, norms: Matrix, mask: Matrix) -> Wide:
        """Rows that are too long are cut to the cap, in place (style has bounds of its own); missing ones are 0."""
        factors = mask if name == "style" else np.minimum(1.0, self.caps[name] / np.maximum(norms, 1e-9)) * mask
        if (factors != 1.0).any():
            scaled *= factors[:, None]
        return Wide(name, scaled, mask)

    def narrow(self, frame: Frame) -> Narrow:
        """The single columns of these rows: normal scores of numbers (place and spread), and rates."""
        names: list[str] = []
        columns: list[Numbers] = []
        for index, name in enumerate(SCALARS):
            if name in self.tables and name != PRICED:
                score = np.interp(_scalar(frame, index, self.unit_costs), *self.tables[name])
                names += [name, f"{name} spread"]
                columns += [score, (score**2 - 1) / np.sqrt(2)]
        for label in self.labels:
            kind = label.partition(":")[0]
            names.append(label)
            columns.append(
                np.array([float(label in row.seen.labels) if kind in row.seen.judged else np.nan for row in frame.rows])
            )
        table = np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0))
        present = np.isfinite(table)
        raw, shown = np.where(present, table, 0).astype(np.float32), present.astype(np.float32)
        if NARROW not in self.seasons:
            return Narrow(names, raw, shown, raw)
        return Narrow(names, self.seasons[NARROW].take_off(raw.copy(), _times(frame)) * shown, shown, raw)


def _times(frame: Frame) -> Numbers:
    return np.array([row.seen.at for row in frame.rows])


def _scaled(rows: Matrix, centre: Matrix, weight: Matrix) -> Matrix:
    """One temporary, not three: these matrices are what a test costs."""
    out = rows - centre
    out *= weight
    return out


def _norms(rows: Matrix) -> Matrix:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows)), dtype=np.float32)


def _raw(frame: Frame, name: str) -> tuple[Matrix, np.ndarray[Any, np.dtype[np.bool_]]]:
    raw: Matrix = getattr(frame, name)
    present = frame.has_text if name != "asked" else np.array([row.features.fingerprint != 0 for row in frame.rows])
    return raw, present


def _scalar(frame: Frame, index: int, costs: Numbers) -> Numbers:
    values = frame.scalars[:, index].astype(np.float64)
    if SCALARS[index] != "cost":
        return values
    return np.log(np.maximum(values, 1e-12) / np.maximum(_expected_cost(frame, costs), 1e-12))


def _expected_cost(frame: Frame, costs: Numbers) -> Numbers:
    tokens = frame.scalars[:, :2].astype(np.float64)
    return np.asarray(tokens @ costs, dtype=np.float64)


def unit_costs(frame: Frame) -> Numbers:
    """What an input and an output token cost here (least squares): a price change shows against it, length does not."""
    table = np.column_stack((frame.scalars[:, :2], frame.scalars[:, SCALARS.index("cost")])).astype(np.float64)
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < 20 or not table[:, 2].any():
        return np.full(2, np.nan)
    return np.asarray(np.linalg.lstsq(table[:, :2], table[:, 2], rcond=None)[0], dtype=np.float64)


def watched_labels(frame: Frame) -> list[str]:
    """Labels that hold often enough to have a rate, and not always; the most frequent first."""
    counts = Counter(label for row in frame.rows for label in row.seen.labels)
    judged = Counter(kind for row in frame.rows for kind in row.seen.judged)
    useful = [
        label
        for label, times in counts.most_common()
        if times >= MIN_LABEL_COUNT and judged[label.partition(":")[0]] - times >= MIN_LABEL_COUNT
    ]
    return _without_complements(useful, counts, judged)[:MAX_LABELS]


def _without_complements(labels: list[str], counts: Counter[str], judged: Counter[str]) -> list[str]:
    """Two values that are the whole of a kind say the same: keep one."""
    kept: list[str] = []
    for label in labels:
        kind = label.partition(":")[0]
        rivals = [other for other in kept if other.startswith(f"{kind}:")]
        if len(rivals) == 1 and counts[rivals[0]] + counts[label] == judged[kind]:
            continue
        kept.append(label)
    return kept


def score_table(known: Numbers) -> tuple[Numbers, Numbers]:
    """Reference values and their normal scores (equal values share their middle rank); between them, interpolate."""
    ordered = np.sort(known)
    quantiles = np.interp(_GRID * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    values, first, times = np.unique(quantiles, return_index=True, return_counts=True)
    ranks = (first + (times - 1) / 2) / (len(_GRID) - 1)
    return values, probit(np.clip(ranks, 0.0035, 0.9965))


def probit(p: Numbers) -> Numbers:
    """The standard normal quantile (Acklam's rational approximation, |error| < 1.2e-9 relative)."""
    a = (
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.3577518672690,
        -30.66479806614716,
        2.506628277459239,
    )
    b = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
    c = (
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    )
    d = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)
    tail = np.minimum(p, 1 - p)
    q = np.sqrt(-2 * np.log(tail))
    outer = np.sign(0.5 - p) * np.polyval(c, q) / np.polyval(d, q)
    r = p - 0.5
    inner = np.polyval(a, r * r) * r / np.polyval(b, r * r)
    return np.where(tail < 0.02425, outer, inner)
