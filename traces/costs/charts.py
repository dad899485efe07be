"""Geometry of the charts, for templates to draw as SVG. Pure: numbers in, coordinates out.

A series is told apart by its pattern, not by colour alone: `class="p0"` … `p5`, `p-rest` for all others together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

WIDTH, HEIGHT = 960, 240
LEFT, BOTTOM, TOP = 92, 26, 10
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT, HEIGHT - BOTTOM - TOP
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Segment:
    x: float
    y: float
    width: float
    height: float
    pattern: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Stacked bars with their axes."""

    segments: Sequence[Segment]
    rows: Sequence[Tick]  # lines of the value axis, by y
    columns: Sequence[Tick]  # labels of the time axis, by x
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - BOTTOM


def nice_step(value: int, most: int = 5) -> int:
    """The smallest 1, 2 or 5 × 10ⁿ of which `most` reach `value`; in whole micro-units."""
    unit = 1
    while True:
        for factor in STEPS:
            if factor * unit * most >= value:
                return factor * unit
        unit *= 10


def money(micros: int, currency: str) -> str:
    """An amount as people read it: two places, four where two would say nothing; thousands apart."""
    amount = micros / 1_000_000
    places = 2 if abs(micros) >= 1_000_000 or micros == 0 else 4
    if places == 4 and abs(micros) < 50:
        places = 6
    return f"{amount:,.{places}f} {currency}".strip()


@dataclass(frozen=True, slots=True)
class Stack:
    """One series: its name (None: all others), its pattern, and where a bar of it leads."""

    name: str | None
    label: str
    pattern: str
    urls: Mapping[datetime, str] = field(default_factory=dict)


def stacked_bars(
    buckets: Sequence[datetime], stacks: Sequence[Stack], values: Mapping[tuple[datetime, str | None], int],
    currency: str, when: str,
) -> Bars:  # fmt: skip
    """Bars of each step, the first series at the bottom. `when` is the format of a step's time."""
    totals = [sum(max(values.get((at, one.name), 0), 0) for one in stacks) for at in buckets]
    highest = max(totals, default=0) or 1
    step = nice_step(highest)
    top = -(-highest // step) * step
    pitch = PLOT_WIDTH / max(len(buckets), 1)
    width = max(pitch - min(max(pitch * 0.2, 0.5), 6), 0.5)
    segments = []
    for number, at in enumerate(buckets):
        y = float(TOP + PLOT_HEIGHT)
        for one in stacks:
            value = values.get((at, one.name), 0)
            if value > 0:
                height = value / top * PLOT_HEIGHT
                y -= height
                title = f"{one.label}, {at.strftime(when)}: {money(value, currency)}"
                x = round(LEFT + number * pitch + (pitch - width) / 2, 2)
                url = one.urls.get(at, "")
                segments.append(Segment(x, round(y, 2), round(width, 2), round(height, 2), one.pattern, title, url))
    return Bars(segments, _rows(top, step, currency), _columns(buckets, pitch, when))


def _rows(top: int, step: int, currency: str) -> list[Tick]:
    return [
        Tick(round(TOP + PLOT_HEIGHT * (1 - value / top), 2), money(value, currency))
        for value in range(0, top + 1, step)
    ]


def _columns(buckets: Sequence[datetime], pitch: float, when: str, most: int = 8) -> list[Tick]:
    every = max(-(-len(buckets) // most), 1)
    return [
        Tick(round(LEFT + (number + 0.5) * pitch, 2), at.strftime(when))
        for number, at in enumerate(buckets)
        if number % every == 0
    ]


@dataclass(frozen=True, slots=True)
class BurnDown:
    """What is left of a budget, day by day: the line of what happened, the one ahead, and the even pace."""

    happened: str
    ahead: str
    even: str
    zero: float
    rows: Sequence[Tick]
    columns: Sequence[Tick]
    now_x: float
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def burn_down(
    days: Sequence[datetime], spent: Sequence[int], limit: int, forecast: int, part_of_today: float, currency: str
) -> BurnDown:
    """`spent` is of each day up to today; `days` all of the period; `part_of_today` how much of today is over."""
    left = [limit]
    for amount in spent:
        left.append(left[-1] - amount)
    low = min(*left, limit - forecast, 0)
    span = limit - low or 1
    pitch = PLOT_WIDTH / max(len(days), 1)

    def x(day: float) -> float:
        return round(LEFT + day * pitch, 2)

    def y(value: int) -> float:
        return round(TOP + (limit - value) / span * PLOT_HEIGHT, 2)

    elapsed = max(len(spent) - 1, 0) + part_of_today
    places = [*map(float, range(len(spent))), elapsed]
    happened = " ".join(f"{x(day)},{y(value)}" for day, value in zip(places, left, strict=True))
    ahead = f"{x(elapsed)},{y(left[-1])} {x(len(days))},{y(limit - forecast)}"
    even = f"{x(0)},{y(limit)} {x(len(days))},{y(0)}"
    levels = sorted({limit, limit // 2, 0, low})
    rows = [Tick(y(value), money(value, currency)) for value in levels]
    return BurnDown(happened, ahead, even, y(0), rows, _columns(days, pitch, "%-d %b"), x(elapsed))
