"""Geometry of the timeline, for a template to draw as SVG. Pure: counts in, coordinates out.

Nothing is told by colour alone: what a policy acted on and what failed is hatched, and a happening has a letter for its
kind and the number that it has in the table below.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from traces.marks.timeline import Bar, Happening, Instance, Window

WIDTH, LEFT, TOP = 960, 132, 44
PLOT = WIDTH - LEFT
VOLUME, LANE, GAP, AXIS, FLAGS, FLAG_WIDTH = 84, 26, 16, 26, 40, 29
STEPS = [timedelta(hours=hours) for hours in (1, 2, 3, 6, 12, 24, 48, 120, 240)]  # between two ticks
MOST_TICKS, TICK_WIDTH = 8, 48
LETTERS = {
    "deployment": "D", "prompt_release": "P", "incident": "!", "config_change": "C", "infrastructure": "N",
    "activation": "A", "end": "E", "drift": "B",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with what it says; `height` may be none."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of bars: all of them, and the hatched part of each."""

    label: str
    sub: str
    base: float
    most: str
    bars: Sequence[Box]
    hatched: Sequence[Box]


@dataclass(frozen=True, slots=True)
class Flag:
    """A happening: where its line stands, how long it lasts, its number and letter; `row` keeps neighbours apart."""

    x: float
    width: float
    y: float
    letter: str
    number: int
    title: str

    @property
    def box(self) -> float:
        """Where its number stands: right of the line, inside the picture."""
        return min(self.x, WIDTH - FLAG_WIDTH)


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    lanes: Sequence[Lane]
    flags: Sequence[Flag]
    ticks: Sequence[Tick]
    height: float
    bottom: float
    width: int = WIDTH
    left: int = LEFT

    @property
    def depth(self) -> float:
        """The height of what lasts, from under the flags to the bottom."""
        return self.bottom - FLAGS

    @property
    def axis(self) -> float:
        """Where the labels of time stand."""
        return self.height - 6


def draw(
    window: Window, volume: Mapping[datetime, Bar], found: Sequence[Instance], happened: Sequence[Happening]
) -> Chart:
    """The whole timeline."""
    decisions = {at: (bar.n, bar.n_acted) for at, bar in volume.items()}
    lanes = [_lane(window, _Strip("Decisions", "", "acted on", TOP, VOLUME), decisions)]
    y = TOP + VOLUME + GAP
    for one in found:
        label = one.name or one.service or "no name"
        lanes.append(_lane(window, _Strip(label, one.service if one.name else "", "failed", y, LANE), one.steps))
        y += LANE + GAP
    bottom = y - GAP + 4
    return Chart(lanes, _flags(window, happened), _ticks(window), bottom + AXIS, bottom)


def place(window: Window, at: datetime) -> float:
    """The x of a moment, inside the plot."""
    part = (at - window.since) / (window.until - window.since)
    return round(LEFT + PLOT * min(max(part, 0.0), 1.0), 1)


@dataclass(frozen=True, slots=True)
class _Strip:
    """Where a lane is drawn and what it is called; `word` is what its hatched part did."""

    label: str
    sub: str
    word: str
    y: float
    height: float


def _lane(window: Window, strip: _Strip, values: Mapping[datetime, tuple[int, int]]) -> Lane:
    most = max((n for n, _ in values.values()), default=0)
    bars, hatched, bottom = [], [], strip.y + strip.height
    pitch = PLOT * (window.step / (window.until - window.since))
    width = round(max(pitch - min(pitch * 0.2, 3), 0.6), 2)
    for at, (n, marked) in sorted(values.items()):
        x = place(window, at)
        fitting = min(width, LEFT + PLOT - x)
        title = f"{at:%-d %b, %H:%M}: {n:,}" + (f", {marked:,} {strip.word}" if marked else "")
        whole, part = strip.height * n / (most or 1), strip.height * marked / (most or 1)
        bars.append(Box(x, round(bottom - whole, 2), fitting, round(whole, 2), title))
        if marked:
            part = max(part, 2.0)  # one failure in thousands is still seen
            hatched.append(Box(x, round(bottom - part, 2), fitting, round(part, 2), title))
    return Lane(strip.label[:20], strip.sub[:20], bottom, f"{most:,}", bars, hatched)


def _flags(window: Window, happened: Sequence[Happening]) -> list[Flag]:
    flags: list[Flag] = []
    ends = [float("-inf"), float("-inf")]  # where each of two rows of flags is taken up to
    for number, one in enumerate(happened, 1):
        x = place(window, one.at)
        width = place(window, one.ended_at) - x if one.ended_at else 0.0
        row = 0 if x >= ends[0] or ends[0] <= ends[1] else 1
        ends[row] = x + FLAG_WIDTH + 2
        flags.append(
            Flag(x, round(width, 1), 4 + 18 * row, LETTERS.get(one.kind, "·"), number, f"{one.label}: {one.title}")
        )
    return flags


def _ticks(window: Window) -> list[Tick]:
    """At whole hours or days, as many as fit; a label begins at its line."""
    length = window.until - window.since
    step = next((one for one in STEPS if length / one <= MOST_TICKS), length)
    midnight = window.since.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + step * math.ceil((window.since - midnight) / step)
    moments = (first + step * n for n in range(MOST_TICKS + 1))
    return [
        Tick(x, f"{at:%-d %b}" if at.hour == at.minute == 0 else f"{at:%H:%M}")
        for at in moments
        if at < window.until and (x := place(window, at)) <= LEFT + PLOT - TICK_WIDTH
    ]
