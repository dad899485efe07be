"""The list of items, drawn line by line: ten thousand of them as paragraphs would take minutes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reportlab.platypus import Flowable

from audits.reports.charts import draw_swatch
from audits.reports.data import ItemLine
from audits.reports.fonts import BOLD, MONO, SANS, clip, plain, printable, width, wrap
from audits.reports.styles import INK, INK_2, INK_3, MEASURE, RULE, RULE_STRONG
from audits.reports.words import LABELS

SIZE, SMALL, TINY, LEADING, PADDING = 7.8, 7.4, 6.2, 9.6, 4.0
LINES = 3  # of an item, before its note
ITEM, SYSTEM, CONCLUSION = 34.0, 122.0, 386.0  # where the columns of each line begin
JUDGED, BY = 223.0, 386.0
DECISION, HASH = 82.0, 223.0
HEADS = (
    ((ITEM, "Occurred (UTC)"), (SYSTEM, "System, environment, task"), (CONCLUSION, "Conclusion")),
    ((ITEM, "Model and version"), (JUDGED, "Policy verdict; action"), (BY, "Concluded by")),
    ((ITEM, "Leaf"), (DECISION, "Decision"), (HASH, "Leaf hash (SHA-256)")),
)
NOTE_WIDTH = MEASURE - ITEM - 4
TOGETHER = 2  # lines of a note that stay with their item


@dataclass(frozen=True, slots=True)
class Strip:
    """What is not torn apart at the foot of a page: an item with the first lines of its note, or a further line."""

    item: ItemLine | None
    notes: tuple[str, ...]

    @property
    def height(self) -> float:
        """In points; an item has lines of its own, and air."""
        return LEADING * len(self.notes) + (LINES * LEADING + 2 * PADDING if self.item else 0)


def strips(items: Iterable[ItemLine]) -> Iterator[Strip]:
    """Every item, its note in full."""
    for item in items:
        lines = tuple(_remarks(item))
        yield Strip(item, lines[:TOGETHER])
        yield from (Strip(None, (line,)) for line in lines[TOGETHER:])


def _remarks(item: ItemLine) -> Iterator[str]:
    if item.is_erased:
        yield "Content erased."
    if item.replaced_by:
        yield f"Replaced by item {item.replaced_by:,}."
    if item.replaces:
        yield f"In place of item {item.replaces:,}."
    for paragraph in printable(item.note).split("\n") if item.note else ():
        yield from wrap(plain(paragraph), SANS, SMALL, NOTE_WIDTH)


class ItemList(Flowable):  # type: ignore[misc]
    """Strips under a heading that each page repeats."""

    HEAD = LINES * LEADING + 2 * PADDING

    def __init__(self, rows: Sequence[Strip]) -> None:
        super().__init__()
        self.rows = rows

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its size, whole."""
        self.width, self.height = MEASURE, self.HEAD + sum(row.height for row in self.rows)
        return self.width, self.height

    def split(self, available_width: float, available_height: float) -> list["ItemList"]:
        """What fits, and the rest; nothing where not even one strip fits."""
        left, n = available_height - self.HEAD, 0
        while n < len(self.rows) and self.rows[n].height <= left:
            left -= self.rows[n].height
            n += 1
        return [ItemList(part) for part in (self.rows[:n], self.rows[n:]) if part] if n else []

    def draw(self) -> None:
        y = self.height
        self._draw_head(y)
        y -= self.HEAD
        for row in self.rows:
            if row.item:
                if row is not self.rows[0]:
                    self._line(y, RULE, 0.4)
                self._draw_item(row.item, y - PADDING)
            self._draw_notes(row, y - PADDING - LINES * LEADING if row.item else y + PADDING - 2)
            y -= row.height

    def _draw_head(self, top: float) -> None:
        self._put_right(ITEM - 10, top - 7.5, "Item", BOLD, 7)
        for number, heads in enumerate(HEADS):
            for x, text in heads:
                self._put(x, top - 7.5 - number * LEADING, text, BOLD, 7, INK_3)
        self._line(top - self.HEAD + PADDING, RULE_STRONG, 0.9)

    def _draw_item(self, item: ItemLine, top: float) -> None:
        y = top - 7.5
        self._put_right(ITEM - 10, y, f"{item.ordinal:,}", BOLD, SIZE)
        self._put(ITEM, y, f"{item.occurred_at:%Y-%m-%d %H:%M:%S}", SANS, SIZE, INK)
        self._fit(SYSTEM, y, item.system, CONCLUSION, SIZE)
        draw_swatch(self.canv, item.conclusion, CONCLUSION, y - 1, 7, 7)
        self._put(CONCLUSION + 11, y, LABELS[item.conclusion], BOLD, SIZE, INK)
        y -= LEADING
        self._fit(ITEM, y, item.model, JUDGED, SMALL)
        self._fit(JUDGED, y, f"{item.verdict or 'none'}; {item.action or 'none'}", BY, SMALL)
        self._fit(BY, y, item.preparer, MEASURE + 8, SMALL)
        y -= LEADING
        self._put(ITEM, y, f"{item.leaf_index:,}", SANS, SMALL, INK_2)
        self._put(DECISION, y, str(item.decision_id), MONO, TINY, INK_2)
        self._put(HASH, y, item.leaf_hash.hex(), MONO, TINY, INK_2)

    def _draw_notes(self, row: Strip, top: float) -> None:
        y = top - 7.5
        for line in row.notes:
            self._put(ITEM, y, line, SANS, SMALL, INK)
            y -= LEADING

    def _fit(self, x: float, y: float, text: str, until: float, size: float) -> None:
        self._put(x, y, clip(text, SANS, size, until - x - 8), SANS, size, INK)

    def _put(self, x: float, y: float, text: str, font: str, size: float, colour: Any) -> None:
        self.canv.setFillColor(colour)
        self.canv.setFont(font, size)
        self.canv.drawString(x, y, text)

    def _put_right(self, x: float, y: float, text: str, font: str, size: float) -> None:
        self._put(x - width(text, font, size), y, text, font, size, INK_3)

    def _line(self, y: float, colour: Any, thick: float) -> None:
        self.canv.setStrokeColor(colour)
        self.canv.setLineWidth(thick)
        self.canv.line(0, y, MEASURE, y)
