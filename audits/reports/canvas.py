"""The sheet: running header and footer, page x of y, contents, outline, watermark. Drawn when all is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from reportlab.pdfbase.pdfdoc import XMP
from reportlab.pdfgen.canvas import Canvas

from audits.reports.attachments import embed
from audits.reports.data import Attachment, ReportData
from audits.reports.fonts import BOLD, SANS, clip, plain, printable, width
from audits.reports.styles import (
    BOTTOM,
    INK,
    INK_2,
    INK_3,
    LEFT,
    MEASURE,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    RIGHT,
    RULE,
    RULE_STRONG,
    TOP,
)

PRODUCER = "Affidavit"
LINE = 17.0  # of the contents


@dataclass(frozen=True, slots=True)
class Mark:
    """A place that the contents and the outline lead to; `page` counts from 1."""

    page: int
    level: int
    title: str
    y: float


@dataclass(frozen=True, slots=True)
class Timestamp:
    """reportlab's own, at a moment that is told instead of read from the clock."""

    at: datetime
    dhh: int = 0
    dmm: int = 0
    tzname: str = "UTC"

    @property
    def YMDhms(self) -> tuple[int, ...]:  # noqa: N802 (reportlab's name)
        return tuple(self.at.utctimetuple()[:6])


class ReportCanvas(Canvas):  # type: ignore[misc]
    """Keeps its pages until the last is made, then completes each one."""

    def __init__(self, *arguments: Any, data: ReportData, attachments: Sequence[Attachment], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._data, self._attachments = data, attachments
        self._kept: list[dict[str, Any]] = []
        self._marks: list[Mark] = []
        self._contents: Mark | None = None
        self._doc._timeStamp = Timestamp(data.head.as_of)  # the only way to a date that is not the clock's

    def mark(self, title: str, level: int, top: float) -> None:
        """A section begins here."""
        self._marks.append(Mark(len(self._kept) + 1, level, title, self.absolutePosition(0, top)[1]))

    def leave_contents(self, top: float) -> None:
        """The list of sections goes here, under `top`, once their pages are known."""
        self._contents = Mark(len(self._kept) + 1, 0, "", self.absolutePosition(0, top)[1])

    def showPage(self) -> None:  # noqa: N802 (reportlab's name)
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        total = len(self._kept)
        for number, state in enumerate(self._kept, start=1):
            self.__dict__.update(state)
            self._complete(number, total)
            super().showPage()
        self._describe()
        embed(self._doc, self._attachments, self._data.head.as_of)
        self._doc.Catalog.Metadata = XMP(creator=lambda _: _xmp(self._data))
        super().save()

    def _describe(self) -> None:
        head = self._data.head
        self.setTitle(_title(self._data))
        self.setAuthor(printable(head.organisation))
        self.setSubject(_subject(self._data))
        self.setKeywords(f"{head.reference}, revision {head.revision}, sha256:{self._data.content_sha256.hex()}")
        self.setCreator(PRODUCER)
        self.setProducer(PRODUCER)
        self.setViewerPreference("DisplayDocTitle", "true")
        self.showOutline()

    def _complete(self, number: int, total: int) -> None:
        for index, mark in enumerate(self._marks):
            if mark.page == number:
                key = f"s{index}"
                self.bookmarkHorizontal(key, 0, min(mark.y + 12, PAGE_HEIGHT))
                self.addOutlineEntry(plain(mark.title), key, mark.level, closed=mark.level > 0)
        if self._contents and self._contents.page == number:
            self._draw_contents(self._contents.y)
        if number > 1:
            self._draw_header()
        self._draw_footer(number, total)
        if not self._data.head.is_signed:
            draw_watermark(self)

    def _draw_header(self) -> None:
        head, y = self._data.head, PAGE_HEIGHT - TOP + 26
        owner = clip(head.organisation, BOLD, 7.8, MEASURE * 0.42)
        self._text(LEFT, y, owner, BOLD, 7.8, INK_2)
        room = MEASURE - width(owner, BOLD, 7.8) - 24
        title = clip(f"{head.reference} · revision {head.revision} · {head.title}", SANS, 7.8, room)
        self._text(PAGE_WIDTH - RIGHT - width(title, SANS, 7.8), y, title, SANS, 7.8, INK_3)
        self._rule(y - 7)

    def _draw_footer(self, number: int, total: int) -> None:
        y = BOTTOM - 26
        self._rule(y + 12)
        state = "Signed" if self._data.head.is_signed else "DRAFT, not signed"
        self._text(LEFT, y, f"{state} · content sha256 {self._data.content_sha256.hex()[:16]}…", SANS, 7.4, INK_3)
        page = f"Page {number:,} of {total:,}"
        self._text(PAGE_WIDTH - RIGHT - width(page, SANS, 7.4), y, page, SANS, 7.4, INK_2)

    def _draw_contents(self, top: float) -> None:
        y = top - 12
        for index, mark in enumerate(self._marks):
            if mark.level:
                continue
            number = str(mark.page)
            self._text(LEFT, y, mark.title, SANS, 9.4, INK)
            self._text(LEFT + MEASURE - width(number, SANS, 9.4), y, number, SANS, 9.4, INK_2)
            start = LEFT + width(mark.title, SANS, 9.4) + 6
            self.setStrokeColor(RULE_STRONG)
            self.setLineWidth(0.5)
            self.setDash(0.5, 3)
            self.line(start, y, LEFT + MEASURE - width(number, SANS, 9.4) - 6, y)
            self.setDash()
            self.linkRect("", f"s{index}", (LEFT, y - 4, LEFT + MEASURE, y + 11), thickness=0)
            y -= LINE

    def _text(self, x: float, y: float, text: str, font: str, size: float, colour: Any) -> None:
        self.setFillColor(colour)
        self.setFont(font, size)
        self.drawString(x, y, text)

    def _rule(self, y: float) -> None:
        self.setStrokeColor(RULE)
        self.setLineWidth(0.6)
        self.line(LEFT, y, PAGE_WIDTH - RIGHT, y)


def draw_watermark(canvas: Canvas) -> None:
    """Over the page, so that no coloured field hides it, and thin enough to read through."""
    canvas.saveState()
    canvas.setFillColor(INK)
    canvas.setFillAlpha(0.07)
    canvas.translate(PAGE_WIDTH / 2, PAGE_HEIGHT / 2)
    canvas.rotate(52)
    canvas.setFont(BOLD, 150)
    canvas.drawCentredString(0, -52, "DRAFT")
    canvas.restoreState()


def _title(data: ReportData) -> str:
    return printable(f"{data.head.reference} {data.head.title}").replace("\n", " ")


def _subject(data: ReportData) -> str:
    kind = "Audit report" if data.head.is_signed else "Draft of an audit report"
    return f"{kind}, revision {data.head.revision}"


def _xmp(data: ReportData) -> bytes:
    """The same metadata for programs (ISO 16684-1). It claims no conformance to PDF/A or PDF/UA."""
    at = f"{data.head.as_of:%Y-%m-%dT%H:%M:%SZ}"
    title, subject = escape(_title(data)), escape(_subject(data))
    return f"""<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<dc:format>application/pdf</dc:format>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{escape(printable(data.head.organisation))}</rdf:li></rdf:Seq></dc:creator>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{subject}</rdf:li></rdf:Alt></dc:description>
<dc:language><rdf:Bag><rdf:li>en</rdf:li></rdf:Bag></dc:language>
<dc:identifier>{data.head.case_id}/{data.head.revision}</dc:identifier>
<xmp:CreateDate>{at}</xmp:CreateDate><xmp:ModifyDate>{at}</xmp:ModifyDate>
<xmp:CreatorTool>{PRODUCER}</xmp:CreatorTool>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()
