"""A letter of explanation as PDF: plain words on plain paper. Values in, bytes out; the same values, the same bytes."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from io import BytesIO
from typing import Any

from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate, Paragraph, Spacer

from audits.explaining import PARTS, LetterText
from audits.reports.blocks import prose
from audits.reports.canvas import PRODUCER, draw_watermark
from audits.reports.fonts import BOLD, SANS, SERIF, clip, markup, plain, printable, register, width
from audits.reports.styles import (
    BODY,
    BOTTOM,
    HEADING,
    INK,
    INK_3,
    LEFT,
    MEASURE,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    RIGHT,
    RULE,
    TOP,
)

READ = ParagraphStyle("letter", parent=BODY, fontSize=10, leading=14.2, spaceAfter=3.5)
PART = ParagraphStyle("letter-part", parent=HEADING, fontSize=11, leading=14.5, spaceBefore=8, spaceAfter=3)
SUBJECT = ParagraphStyle("letter-subject", parent=BODY, fontName=SERIF, fontSize=18, leading=23, spaceAfter=6)
FOOT = 7.6


@dataclass(frozen=True, slots=True)
class LetterPage:
    """What is printed. Without `approved_at` it is a draft, and says so across the page."""

    organisation: str
    reference: str
    record: str
    text: LetterText
    approved_by: str
    approved_at: datetime | None


def render_letter(page: LetterPage) -> bytes:
    """The letter. No clock, no network; the only files read are the typefaces."""
    register()
    file = BytesIO()
    document = BaseDocTemplate(
        file,
        pagesize=(PAGE_WIDTH, PAGE_HEIGHT),
        invariant=1,
        lang="en",
        initialFontName=SANS,
        title=printable(f"Explanation {page.reference}"),
        author=printable(page.organisation),
        subject="Explanation of a decision",
        keywords=f"sha256:{page.text.sha256.hex()}",  # salted, and so the file's own hash is
        creator=PRODUCER,
        producer=PRODUCER,
    )
    size = {"leftPadding": 0, "rightPadding": 0, "topPadding": 0, "bottomPadding": 0}
    frame = Frame(LEFT, BOTTOM, MEASURE, PAGE_HEIGHT - TOP - BOTTOM, **size)
    document.addPageTemplates([PageTemplate("letter", [frame], onPage=partial(_draw_sheet, page))])
    document.build(_story(page))
    return file.getvalue()


def _story(page: LetterPage) -> list[Flowable]:
    text, at = page.text, page.approved_at
    body: list[Flowable] = [
        *_address(text.recipient),
        Spacer(1, 7 * mm),
        Paragraph(markup(f"{at:%-d %B %Y}" if at else "Draft, not approved", SANS), READ),
        Paragraph("Why we decided as we did, and what you can do", SUBJECT),
    ]
    for name, title in PARTS:
        first, *rest = prose(getattr(text, name), READ) or [Spacer(1, 1)]
        body += [KeepTogether([Paragraph(title, PART), first]), *rest]
    closing = [Paragraph("Where to write", PART), *_address(text.contact), Spacer(1, 5 * mm)]
    if page.approved_by:
        said = f"{page.approved_by} has read this letter and approved it for {page.organisation}."
        closing += prose(said, READ)
    return [*body, KeepTogether(closing)]


def _address(text: str) -> list[Flowable]:
    """Its lines close together, as on an envelope."""
    return [Paragraph(markup(text, SANS), READ)] if text.strip() else []


def _draw_sheet(page: LetterPage, canvas: Any, document: Any) -> None:
    y = PAGE_HEIGHT - TOP + 26
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 10)
    canvas.drawString(LEFT, y, clip(page.organisation, BOLD, 10, MEASURE * 0.6))
    canvas.setFillColor(INK_3)
    canvas.setFont(SANS, FOOT)
    reference = f"Our reference {page.reference}"
    canvas.drawString(PAGE_WIDTH - RIGHT - width(reference, SANS, FOOT), y, reference)
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.6)
    canvas.line(LEFT, BOTTOM - 14, PAGE_WIDTH - RIGHT, BOTTOM - 14)
    canvas.drawString(LEFT, BOTTOM - 26, plain(f"Record {page.record}, kept in a ledger that shows any change"))
    number = f"Page {document.page}"
    canvas.drawString(PAGE_WIDTH - RIGHT - width(number, SANS, FOOT), BOTTOM - 26, number)
    if page.approved_at is None:
        draw_watermark(canvas)
