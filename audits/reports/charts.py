"""The report's drawings: the conclusions as a bar, the upper limit on a scale, the seal, the QR code.

Each says by pattern, mark and number what it says by colour, so that it reads the same on a grey printer.
"""

import math
from collections.abc import Callable
from typing import Any

from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.lib.colors import Color
from reportlab.platypus import Flowable

from audits.reports.data import CONCLUSIONS, EXCEPTION, FAIL, NOT_APPLICABLE, OPEN, PASS, Limit
from audits.reports.fonts import BOLD, SANS, width
from audits.reports.styles import (
    BREACH,
    BREACH_WASH,
    CAUTION,
    CAUTION_WASH,
    INK,
    INK_2,
    INK_3,
    MEASURE,
    RULE_STRONG,
    SEAL,
    SEAL_WASH,
    WELL,
    WHITE,
)
from audits.reports.words import LABELS, percent

# Fill, line, and the directions of the hatching (1: /, -1: \).
PAINT: dict[str, tuple[Color, Color, tuple[int, ...]]] = {
    PASS: (SEAL_WASH, SEAL, ()),
    FAIL: (BREACH_WASH, BREACH, (1,)),
    EXCEPTION: (CAUTION_WASH, CAUTION, (1, -1)),
    NOT_APPLICABLE: (WELL, INK_3, (-1,)),
    OPEN: (WHITE, RULE_STRONG, ()),
}
BAR, SWATCH, GAP = 26.0, 9.0, 4.0


class ConclusionBar(Flowable):  # type: ignore[misc]
    """All items as one bar, and a legend with their numbers and shares."""

    def __init__(self, counts: dict[str, int]) -> None:
        super().__init__()
        self.counts = {name: counts[name] for name in CONCLUSIONS if counts[name]}
        self.width, self.height = MEASURE, BAR + 34

    def draw(self) -> None:
        total, x = sum(self.counts.values()), 0.0
        for name, n in self.counts.items():
            wide = MEASURE * n / total
            draw_swatch(self.canv, name, x, self.height - BAR, max(wide, 1.5), BAR)
            said = f"{n:,}"
            if wide > width(said, BOLD, 10) + 12:
                _label(self.canv, x + wide / 2, self.height - BAR / 2 - 3.6, said)
            x += wide
        self._draw_legend(total)

    def _draw_legend(self, total: int) -> None:
        x, step = 0.0, MEASURE / max(len(self.counts), 3)
        for name, n in self.counts.items():
            draw_swatch(self.canv, name, x, 8, SWATCH, SWATCH)
            self.canv.setFillColor(INK)
            self.canv.setFont(BOLD, 8.4)
            self.canv.drawString(x + SWATCH + GAP, 12.5, LABELS[name])
            self.canv.setFillColor(INK_2)
            self.canv.setFont(SANS, 8.4)
            self.canv.drawString(x + SWATCH + GAP, 2, f"{n:,} · {percent(n / total)}")
            x += step


def _label(canvas: Any, x: float, y: float, text: str) -> None:
    """A number on hatching, on a field of its own."""
    wide = width(text, BOLD, 10) + 8
    canvas.setFillColor(WHITE)
    canvas.roundRect(x - wide / 2, y - 3.6, wide, 14, 2, stroke=0, fill=1)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 10)
    canvas.drawCentredString(x, y, text)


def draw_swatch(canvas: Any, name: str, x: float, y: float, wide: float, high: float) -> None:
    fill, line, directions = PAINT[name]
    canvas.saveState()
    canvas.setFillColor(fill)
    canvas.rect(x, y, wide, high, stroke=0, fill=1)
    frame = canvas.beginPath()
    frame.rect(x, y, wide, high)
    canvas.setStrokeColor(line)
    canvas.saveState()
    canvas.clipPath(frame, stroke=0, fill=0)
    canvas.setLineWidth(0.7)
    for direction in directions:
        _hatch(canvas, x, y, wide, high, direction)
    canvas.restoreState()
    canvas.setLineWidth(0.9)
    canvas.rect(x, y, wide, high, stroke=1, fill=0)
    canvas.restoreState()


def _hatch(canvas: Any, x: float, y: float, wide: float, high: float, direction: int) -> None:
    at = x - high
    while at < x + wide + high:
        canvas.line(at, y, at + direction * high, y + high)
        at += 4.5


class LimitScale(Flowable):  # type: ignore[misc]
    """The observed rate, how far the true one may reach, and what is tolerable, on one scale of rates."""

    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self.limit = limit
        self.most = min(1.0, 1.18 * max(limit.upper, limit.tolerable or 0.0))
        self.width, self.height = MEASURE, 86

    def draw(self) -> None:
        canvas, limit = self.canv, self.limit
        observed, upper = self._x(limit.observed), self._x(limit.upper)
        colour = BREACH if not limit.is_acceptable else SEAL
        self._draw_axis()
        canvas.setStrokeColor(colour)
        canvas.setLineWidth(4)
        canvas.line(observed, 40, upper, 40)
        canvas.setLineWidth(1.4)
        canvas.line(upper, 33, upper, 47)
        canvas.setFillColor(INK)
        canvas.circle(observed, 40, 4, stroke=0, fill=1)
        self._say(observed, 25, f"observed {percent(limit.observed)}")
        self._say(upper, 52, f"upper limit {percent(limit.upper)}", BOLD)
        if limit.tolerable is not None:
            at = self._x(limit.tolerable)
            canvas.setStrokeColor(INK)
            canvas.setLineWidth(1)
            canvas.setDash(3, 2)
            canvas.line(at, 18, at, 68)
            canvas.setDash()
            self._say(at, 72, f"tolerable {percent(limit.tolerable)}")

    def _draw_axis(self) -> None:
        canvas = self.canv
        canvas.setStrokeColor(RULE_STRONG)
        canvas.setLineWidth(0.6)
        canvas.line(0, 18, MEASURE, 18)
        step = _step(self.most)
        for index in range(int(self.most / step + 1e-9) + 1):
            x = self._x(index * step)
            canvas.line(x, 15, x, 18)
            canvas.setFillColor(INK_3)
            canvas.setFont(SANS, 7)
            canvas.drawString(x if index == 0 else x - 6, 6, percent(index * step, 0 if step >= 0.01 else 1))

    def _x(self, rate: float) -> float:
        return float(MEASURE * rate / self.most)

    def _say(self, x: float, y: float, text: str, font: str = SANS) -> None:
        wide = width(text, font, 8)
        self.canv.setFillColor(INK)
        self.canv.setFont(font, 8)
        self.canv.drawString(min(max(x - wide / 2, 0), MEASURE - wide), y, text)


def _step(most: float) -> float:
    """A round distance that gives four to ten ticks."""
    rough = most / 8
    scale = 10 ** math.floor(math.log10(rough))
    return float(next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= rough))


class QrCode(Flowable):  # type: ignore[misc]
    """A QR code of a few hundred characters, corrected at level M, with its quiet zone."""

    def __init__(self, text: str, side: float) -> None:
        super().__init__()
        self.text, self.width, self.height = text, side, side

    def draw(self) -> None:
        widget = QrCodeWidget(self.text, barLevel="M", barBorder=4, barWidth=self.width, barHeight=self.height)
        self.canv.setFillColor(INK)
        for run in widget.draw().contents[1:]:  # the first one is the frame; reportlab's renderer would name Helvetica
            self.canv.rect(run.x, run.y, run.width, run.height, stroke=0, fill=1)


def draw_seal(canvas: Any, x: float, y: float, radius: float, colour: Color) -> None:
    """The rosette, engraved with thin lines: the product's mark."""
    canvas.saveState()
    canvas.setStrokeColor(colour)
    canvas.setLineWidth(0.22)
    for mean, swing, waves, turns in ((0.84, 0.13, 24, 6), (0.62, 0.12, 18, 6), (0.42, 0.1, 12, 6), (0.24, 0.08, 8, 5)):
        for turn in range(turns):
            phase = 2 * math.pi * turn / (turns * waves)
            _ring(canvas, x, y, _wave(radius * mean, radius * swing, waves), phase)
    for ring in (0.985, 1.0):
        canvas.circle(x, y, radius * ring, stroke=1, fill=0)
    canvas.restoreState()


def _wave(mean: float, swing: float, waves: int) -> Callable[[float], float]:
    return lambda angle: mean + swing * math.cos(waves * angle) * (1 + 0.25 * math.cos(2 * waves * angle))


def _ring(canvas: Any, x: float, y: float, radius_at: Callable[[float], float], phase: float) -> None:
    path = canvas.beginPath()
    points = 288
    for index in range(points):
        angle = 2 * math.pi * index / points
        radius = radius_at(angle)
        place = x + radius * math.cos(angle + phase), y + radius * math.sin(angle + phase)
        (path.lineTo if index else path.moveTo)(*place)
    path.close()
    canvas.drawPath(path, stroke=1, fill=0)
