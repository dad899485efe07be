"""What recurs with the hour and the day of the week, taken off before anything is compared. Pure.

Nights are not like days, and Saturdays not like Mondays; that is no change. Each channel is asked whether its hours of
the day (of workdays and of weekends) differ by more than the same hour does from day to day, and then whether its days
of the week do. What does recur is subtracted whole, so that an hour that came once says nothing, and hours that scatter
more weigh less. A channel without a cycle is left as it is, to the bit. Hours are those of UTC.

In the first two weeks nobody can know whether a weekend's difference recurs: it is taken off of what is asked.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

HOUR, DAY = 3_600, 86_400
HOURS, WEEKDAYS = 48, 7  # hours of a workday, then of a day of the weekend; days from Monday
FOLD = 128  # columns that a wide channel is added up to for the question: its places are signed hashes already
SURE = 4.0  # standard errors by which the hours must differ
YOUNG = 15 * DAY  # until a second weekend is whole
_ALIKE = 10.0  # records of one hour (or day) after which more of them tell little more of it
_PRIOR = 10.0  # records that an hour's scatter is worth beforehand
_SCALES = (0.5, 1.5)

Numbers = np.ndarray[Any, np.dtype[Any]]  # single precision, but for what is added up
Times = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.intp]]


def hours(at: Times) -> Places:
    """The hour of each moment (unix seconds, UTC), those of weekends apart."""
    return np.asarray(at % DAY // HOUR + np.where(weekdays(at) >= 5, 24, 0), dtype=np.intp)


def weekdays(at: Times) -> Places:
    """0 for Monday; 1970 began on a Thursday."""
    return np.asarray((at // DAY + 3) % 7, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Season:
    """What to take off: by hour, by weekday, and how much an hour counts. Columns are those of the channel."""

    by_hour: Numbers  # HOURS × d
    by_weekday: Numbers  # WEEKDAYS × d
    scale: Numbers  # HOURS × d, or × 1

    def take_off(self, values: Numbers, at: Times) -> Numbers:
        """In place: each row as it is against its own hour and day."""
        values -= self.by_hour[hours(at)]
        values -= self.by_weekday[weekdays(at)]
        values *= self.scale[hours(at)]
        return values


@dataclass(frozen=True, slots=True)
class _Spans:
    """Rows added up by hour and date: what an hour was like once. Few, so that everything else costs little."""

    hour: Places
    date: Places
    sums: Numbers  # spans × d
    n: Numbers  # spans × d, or × 1

    @classmethod
    def of(cls, values: Numbers, shown: Numbers, at: Times) -> "_Spans":
        hour, date = hours(at), np.asarray(at // DAY, dtype=np.intp)
        order, first = _groups(hour, date)
        sums, n = (np.add.reduceat(part[order], first, axis=0) for part in (values, shown))
        return cls(hour[order][first], date[order][first], sums, n)

    def split(self, place: Places, columns: Numbers) -> "_Split":
        """`columns` (sums, spans × any) by place, as against by date within a place."""
        order, first = _groups(place, self.date)
        n = np.add.reduceat(self.n[order], first, axis=0)
        means = np.add.reduceat(columns[order], first, axis=0) / np.maximum(n, 1)
        return _Split.of(means, n / (n + _ALIKE), place[order][first])


def _groups(place: Places, date: Places) -> tuple[Places, Places]:
    """Rows in order of place and date, and the first of each such group."""
    key = place * 100_000 + date
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    return order, np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))


@dataclass(frozen=True, slots=True)
class _Split:
    """Variance between places and between dates of one place (sums of squares over `between`, `within` of freedom)."""

    centres: Numbers  # places that occur × d
    places: Places
    squares_between: Numbers
    squares_within: Numbers
    between: int
    within: int

    @classmethod
    def of(cls, means: Numbers, weights: Numbers, place: Places) -> "_Split":
        starts = np.flatnonzero(np.concatenate(([True], place[1:] != place[:-1])))
        total = np.maximum(np.add.reduceat(weights, starts, axis=0), 1e-9)
        centres = np.add.reduceat(means * weights, starts, axis=0) / total
        overall = (centres * total).sum(axis=0) / total.sum(axis=0)
        centres = centres - overall
        between = (total * centres**2).sum(axis=0)
        whole = (weights * (means - overall) ** 2).sum(axis=0)
        within = np.maximum(whole - between, 1e-12)
        return cls(centres, place[starts], between, within, len(starts) - 1, len(place) - len(starts))

    def stands_out(self, freedom: float, sure: Any, *, together: bool) -> Any:
        """By column, or for all at once: whether places differ by more than the dates of one place."""
        if not self.between or self.within <= self.between:
            return False  # not seen twice
        between, within = self.squares_between, self.squares_within
        if together:
            between, within = between.sum(), within.sum()
        error = np.sqrt(2 / freedom * (1 / self.between + 1 / self.within))
        return between / self.between > within / self.within * (1 + sure * error)


def season_of(values: Numbers, present: Numbers, at: Times, *, together: bool) -> Season | None:
    """The season of a channel's rows (n × d, nothing where not `present`), taken off them; None where nothing recurs.

    `together`: the columns are one channel and are asked as one; else each for itself, `present` being n × d.
    """
    shown = present[:, None] if present.ndim == 1 else present
    young = float(at[-1] - at[0]) < YOUNG
    freedom, recurs = 1.0, False
    if together:
        folded = _folded(values)
        freedom = _freedom(folded)
        recurs = _recurs(_Spans.of(folded, shown, at), freedom)
        if not recurs and not young:
            return None
    # One that has a season was asked strictly already; what else recurs in it need not be as plain.
    sure = np.full(1 if together else values.shape[1], SURE / 2 if recurs else SURE)
    centres = _centres(_Spans.of(values, shown, at), freedom, sure, together=together, young=young)
    if centres is None:
        return None
    season = Season(*centres, np.ones((HOURS, 1), dtype=np.float32))
    season.take_off(values, at)
    season = replace(season, scale=_scales(values, shown, hours(at), together=together))
    values *= season.scale[hours(at)]
    return season


def _factors(spans: _Spans) -> list[tuple[Places, Places | None]]:
    """Each a place by span, and (of an hour of the week's) by hour; from coarse to fine, so that an hour seen twice
    still has what all hours of weekends have."""
    known = np.arange(HOURS)
    return [
        (spans.hour // 24, known // 24),
        (spans.hour % 24, known % 24),
        (spans.hour, known),
        (np.asarray((spans.date + 3) % 7), None),
    ]


def _recurs(spans: _Spans, freedom: float) -> bool:
    splits = (spans.split(place, spans.sums) for place, _ in _factors(spans))
    return any(bool(np.any(split.stands_out(freedom, SURE, together=True))) for split in splits)


def _centres(
    spans: _Spans, freedom: float, sure: Numbers, *, together: bool, young: bool
) -> tuple[Numbers, Numbers] | None:
    """By hour, and by weekday; None where nothing stands out. While `young`, weekends are taken off as they are."""
    width = spans.sums.shape[1]
    by_hour, by_weekday = (np.zeros((size, width), np.float32) for size in (HOURS, WEEKDAYS))
    rest = spans.sums
    for number, (place, cells) in enumerate(_factors(spans)):
        asked = spans.split(place, _folded(rest) if together else rest)
        stands_out = asked.stands_out(freedom, sure, together=together)
        taken = np.logical_or(stands_out, young and number == 0)
        if not np.any(taken):
            continue
        split = spans.split(place, rest) if together else asked
        found = np.zeros((HOURS, width), dtype=np.float32)
        found[split.places] = split.centres * taken
        rest, sure = rest - found[place] * spans.n, np.where(stands_out, SURE / 2, sure)
        if cells is None:
            by_weekday += found[:WEEKDAYS]
        else:
            by_hour += found[cells]
    return None if rest is spans.sums else (by_hour, by_weekday)


def _folded(values: Numbers) -> Numbers:
    n, d = values.shape
    return values.reshape(n, d // FOLD, FOLD).sum(axis=1) if d > FOLD and d % FOLD == 0 else values


def _freedom(values: Numbers) -> float:
    """How many independent columns these are worth: (tr S)² / tr S²."""
    some = values[:: -(-len(values) // FOLD)]
    gram = some @ some.T if len(some) < some.shape[1] else some.T @ some
    found = float(np.trace(gram) ** 2 / max(float((gram * gram).sum()), 1e-12))
    columns = 1 / max(found, 1.0) - 1 / len(some)  # a sample of rows spans no more than itself
    return float(1 / max(columns, 1 / some.shape[1]))


def _scales(rest: Numbers, shown: Numbers, place: Places, *, together: bool) -> Numbers:
    """By hour: one over how much it scatters, as against all."""
    squares = np.einsum("ij,ij->i", rest, rest)[:, None] if together else rest * rest
    squares = squares * shown
    overall = np.maximum(squares.sum(axis=0) / np.maximum(shown.sum(axis=0), 1), 1e-9)
    sums, counts = np.zeros((HOURS, squares.shape[1])), np.zeros((HOURS, shown.shape[1]))
    np.add.at(sums, place, squares)
    np.add.at(counts, place, shown)
    ratio = (sums + _PRIOR * overall) / (counts + _PRIOR) / overall
    return np.asarray(np.clip(1 / np.sqrt(ratio), *_SCALES), dtype=np.float32)
