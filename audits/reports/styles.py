"""Ink, measures and paragraph styles of the report: the site's tokens, on paper. Lengths in points."""

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm

from audits.reports.fonts import BOLD, ITALIC, MONO, SANS, SERIF

INK, INK_2, INK_3 = HexColor("#17201d"), HexColor("#414d48"), HexColor("#5a6661")
RULE, RULE_STRONG, WELL = HexColor("#d8ded5"), HexColor("#7f8b84"), HexColor("#f1f4ef")
SEAL, SEAL_WASH = HexColor("#0b5f56"), HexColor("#dfeee9")
BREACH, BREACH_WASH = HexColor("#98222a"), HexColor("#f8e2df")
CAUTION, CAUTION_WASH = HexColor("#7a4a00"), HexColor("#f7ebd0")
WHITE = HexColor("#ffffff")

PAGE_WIDTH, PAGE_HEIGHT = A4
LEFT, RIGHT, TOP, BOTTOM = 25 * mm, 22 * mm, 27 * mm, 24 * mm
MEASURE = PAGE_WIDTH - LEFT - RIGHT
LABEL = 38 * mm  # the column of labels


def _style(name: str, font: str, size: float, leading: float, colour: Color = INK, **more: object) -> ParagraphStyle:
    return ParagraphStyle(name, fontName=font, fontSize=size, leading=leading, textColor=colour, **more)


TITLE = _style("title", SERIF, 27, 32, spaceAfter=8)
TITLE_LONG = _style("title-long", SERIF, 19, 24, spaceAfter=8)
SECTION = _style("section", SERIF, 17, 22, spaceBefore=0, spaceAfter=10, keepWithNext=1)
HEADING = _style("heading", BOLD, 10.5, 14, spaceBefore=14, spaceAfter=4, keepWithNext=1)
LABEL_STYLE = _style("label", BOLD, 7.6, 11, INK_3, spaceBefore=5, spaceAfter=0, keepWithNext=1)
BODY = _style("body", SANS, 9.4, 13.6, spaceAfter=5, allowWidows=0, allowOrphans=0)
LEAD = _style("lead", SANS, 11, 16, spaceAfter=8)
SMALL = _style("small", SANS, 8, 11.4, INK_2, spaceAfter=4)
QUIET = _style("quiet", ITALIC, 9.4, 13.6, INK_3, spaceAfter=5)
CODE = _style("code", MONO, 7.4, 10.6, INK_2, spaceAfter=4)
FIELD = _style(
    "field", SANS, 9.4, 13.6, leftIndent=LABEL, bulletFontName=SANS, bulletFontSize=8.4, bulletColor=INK_3, spaceAfter=3
)
FIELD_CODE = _style(
    "field-code",
    MONO,
    7.6,
    13.6,
    leftIndent=LABEL,
    bulletFontName=SANS,
    bulletFontSize=8.4,
    bulletColor=INK_3,
    spaceAfter=3,
)
STEP = _style(
    "step", SANS, 9.4, 13.6, leftIndent=18, bulletFontName=BOLD, bulletFontSize=9.4, bulletColor=SEAL, spaceAfter=5
)
CELLS = ("FONTNAME", (0, 0), (-1, -1), SANS)  # of every table: reportlab's own default is not embedded
CELL = _style("cell", SANS, 8.4, 11.4)
CELL_CODE = _style("cell-code", MONO, 6.2, 11.4, INK_2)
CELL_HEAD = _style("cell-head", BOLD, 7.6, 10.5, INK_3)
CELL_NUMBER = _style("cell-number", SANS, 8.4, 11.4, alignment=2)
CELL_NUMBER_HEAD = _style("cell-number-head", BOLD, 7.6, 10.5, INK_3, alignment=2)
