"""A report as PDF: `ReportData` in, bytes out. The same data gives the same bytes."""

from functools import partial
from io import BytesIO
from typing import Any

from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

from audits.reports.canvas import ReportCanvas
from audits.reports.charts import draw_seal
from audits.reports.data import Attachment, ReportData
from audits.reports.fonts import BOLD, SANS, register
from audits.reports.pages import story
from audits.reports.styles import (
    BOTTOM,
    INK,
    LEFT,
    MEASURE,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    RIGHT,
    RULE_STRONG,
    SEAL,
    TOP,
)

SEAL_RADIUS = 62.0


def render(data: ReportData) -> bytes:
    """The report, with the evidence attached. No clock, no network; the only files read are the typefaces."""
    register()
    file = BytesIO()
    document = BaseDocTemplate(
        file,
        pagesize=(PAGE_WIDTH, PAGE_HEIGHT),
        invariant=1,
        lang="en",
        pageCompression=1,
        initialFontName=SANS,  # else each page names Helvetica, which would not be embedded
    )
    size = {"leftPadding": 0, "rightPadding": 0, "topPadding": 0, "bottomPadding": 0}
    frame = Frame(LEFT, BOTTOM, MEASURE, PAGE_HEIGHT - TOP - BOTTOM, **size)
    front = PageTemplate("cover", [frame], onPage=partial(_draw_cover, data), autoNextPageTemplate="page")
    document.addPageTemplates([front, PageTemplate("page", [frame])])
    document.build(story(data), canvasmaker=partial(ReportCanvas, data=data, attachments=attachments(data)))
    return file.getvalue()


def attachments(data: ReportData) -> list[Attachment]:
    """What lies in the file: the signed content, the checkpoint, the proofs."""
    files = [Attachment("evidence.json", data.content, "The case as signed, canonical JSON", "application/json")]
    if data.ledger:
        files.append(Attachment("checkpoint.txt", data.ledger.note.encode(), "The signed tree head"))
    return [*files, *data.proofs]


def _draw_cover(data: ReportData, canvas: Any, _document: object) -> None:
    """The seal: in its colour once the case is signed, grey before."""
    colour = SEAL if data.head.is_signed else RULE_STRONG
    top = PAGE_HEIGHT - 30 - SEAL_RADIUS
    draw_seal(canvas, PAGE_WIDTH - RIGHT - SEAL_RADIUS, top - 24, SEAL_RADIUS, colour)
    canvas.setFillColor(INK)
    canvas.setFont(BOLD, 11)
    canvas.drawString(LEFT, PAGE_HEIGHT - TOP + 8, "Affidavit")
    canvas.setStrokeColor(colour)
    canvas.setLineWidth(2)
    canvas.line(LEFT, PAGE_HEIGHT - TOP, LEFT + 46, PAGE_HEIGHT - TOP)
