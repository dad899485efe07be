"""The pieces that pages are made of. Every text that comes in from a case goes through `markup` here."""

from collections.abc import Iterable, Sequence
from typing import Any

from reportlab.lib.colors import Color
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, Paragraph, Spacer, Table

from audits.reports.fonts import BOLD, MONO, SANS, markup
from audits.reports.styles import (
    BODY,
    BREACH,
    BREACH_WASH,
    CELL,
    CELL_CODE,
    CELL_HEAD,
    CELL_NUMBER,
    CELL_NUMBER_HEAD,
    CELLS,
    CODE,
    FIELD,
    FIELD_CODE,
    HEADING,
    INK_3,
    LABEL_STYLE,
    LEAD,
    MEASURE,
    RULE,
    RULE_STRONG,
    SEAL,
    SEAL_WASH,
    SECTION,
    SMALL,
    STEP,
    WELL,
)
from audits.reports.words import Opinion

TONES: dict[str, tuple[Color, Color]] = {
    "good": (SEAL, SEAL_WASH),
    "bad": (BREACH, BREACH_WASH),
    "none": (INK_3, WELL),
}
LONGEST = 2_000  # characters in one paragraph; a longer line goes on in the next, so that it can break over pages


class Place(Flowable):  # type: ignore[misc]
    """A mark for the contents and the outline; takes no room."""

    def __init__(self, title: str, level: int) -> None:
        super().__init__()
        self.title, self.level = title, level
        self.width = self.height = 0
        self.keepWithNext = 1

    def draw(self) -> None:
        self.canv.mark(self.title, self.level, 0)


class ContentsBox(Flowable):  # type: ignore[misc]
    """Room for the contents, which the canvas fills in at the end."""

    def __init__(self, height: float) -> None:
        super().__init__()
        self.width, self.height = MEASURE, height

    def draw(self) -> None:
        self.canv.leave_contents(self.height)


def section(title: str) -> list[Flowable]:
    """A numbered part of the report."""
    return [Place(title, 0), Paragraph(markup(title, SECTION.fontName), SECTION)]


def heading(text: str, *, outlined: bool = False) -> list[Flowable]:
    """A part of a section; `outlined` ones stand in the outline too."""
    return [*([Place(text, 1)] if outlined else []), Paragraph(markup(text, HEADING.fontName), HEADING)]


def prose(text: str, style: ParagraphStyle = BODY) -> list[Flowable]:
    """Text as it was written, a paragraph a line."""
    lines = (line[at : at + LONGEST] for line in text.splitlines() for at in range(0, max(len(line), 1), LONGEST))
    return [Paragraph(markup(line, style.fontName), style) for line in lines if line.strip()]


def labelled(label: str, text: str) -> list[Flowable]:
    """Text under a small heading; nothing where there is no text."""
    return [Paragraph(markup(label, LABEL_STYLE.fontName), LABEL_STYLE), *prose(text)] if text.strip() else []


def fields(pairs: Iterable[tuple[str, str]]) -> list[Flowable]:
    """Labels at the left, values beside them; empty values are left out."""
    return [_field(label, value, FIELD, SANS) for label, value in pairs if value]


def codes(pairs: Iterable[tuple[str, str]]) -> list[Flowable]:
    """The same for hashes and ids."""
    return [_field(label, value, FIELD_CODE, MONO) for label, value in pairs if value]


def _field(label: str, value: str, style: ParagraphStyle, font: str) -> Paragraph:
    return Paragraph(markup(value, font), style, bulletText=label)


def steps(texts: Iterable[str]) -> list[Flowable]:
    """Numbered instructions; the texts are ours, with markup."""
    return [Paragraph(text, STEP, bulletText=f"{number}") for number, text in enumerate(texts, start=1)]


def code(text: str) -> list[Flowable]:
    """Lines of fixed-width text in a well."""
    lines = [Paragraph(markup(line, MONO) or "&nbsp;", CODE) for line in text.splitlines()]
    frame = Table([[line] for line in lines], colWidths=[MEASURE])
    frame.setStyle(
        [
            CELLS,
            ("BACKGROUND", (0, 0), (-1, -1), WELL),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, 0), 6),
            ("BOTTOMPADDING", (0, -1), (-1, -1), 4),
            ("LEFTPADDING", (0, 0), (-1, -1), 8),
        ]
    )
    return [frame, Spacer(1, 6)]


def verdict(opinion: Opinion) -> list[Flowable]:
    """The opinion in a field of its tone."""
    line, wash = TONES[opinion.tone]
    style = ParagraphStyle("verdict", parent=LEAD, fontName=BOLD, fontSize=13, leading=17, textColor=line)
    said = [Paragraph("Opinion", LABEL_STYLE), Paragraph(markup(opinion.headline), style), *prose(opinion.basis)]
    box = Table([[said]], colWidths=[MEASURE])
    box.setStyle(
        [
            CELLS,
            ("BACKGROUND", (0, 0), (-1, -1), wash),
            ("LINEBEFORE", (0, 0), (0, -1), 3, line),
            ("LEFTPADDING", (0, 0), (-1, -1), 14),
            ("RIGHTPADDING", (0, 0), (-1, -1), 14),
            ("TOPPADDING", (0, 0), (-1, -1), 9),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ]
    )
    return [box, Spacer(1, 8)]


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[float], *, kinds: str
) -> list[Flowable]:
    """A ruled table; `kinds` says of each column `t`(ext), `c`(ode) or `n`(umber). Rows may break over pages."""
    styles = {"t": CELL, "c": CELL_CODE, "n": CELL_NUMBER}
    body = [
        [Paragraph(markup(cell, styles[kind].fontName), styles[kind]) for cell, kind in zip(row, kinds, strict=True)]
        for row in rows
    ]
    head = [
        Paragraph(markup(text, CELL_HEAD.fontName), CELL_NUMBER_HEAD if kind == "n" else CELL_HEAD)
        for text, kind in zip(heads, kinds, strict=True)
    ]
    made = Table([head, *body], colWidths=list(widths), repeatRows=1, splitInRow=1)
    made.setStyle(_ruled())
    return [made, Spacer(1, 8)]


def _ruled() -> list[tuple[Any, ...]]:
    return [
        CELLS,
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.9, RULE_STRONG),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 8),
        ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]


def small(text: str) -> list[Flowable]:
    """A remark in small type."""
    return prose(text, SMALL)
