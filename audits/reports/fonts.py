"""The report's typefaces, and text made fit for them: escaped, and with a visible sign for what they lack.

IBM Plex, unchanged, under the SIL Open Font License (fonts/OFL.txt): Latin, Cyrillic, and Greek in the sans. What no
face has is shown as `MISSING`; so are control and bidirectional characters, which could disguise a text.
"""

import unicodedata
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

FOLDER = Path(__file__).parent / "fonts"
SANS, BOLD, ITALIC, SERIF, MONO = "Plex", "Plex-Bold", "Plex-Italic", "PlexSerif-Bold", "PlexMono"
FILES = {
    SANS: "IBMPlexSans-Regular.ttf",
    BOLD: "IBMPlexSans-SemiBold.ttf",
    ITALIC: "IBMPlexSans-Italic.ttf",
    SERIF: "IBMPlexSerif-SemiBold.ttf",
    MONO: "IBMPlexMono-Regular.ttf",
}
SUBSTITUTE = {SERIF: BOLD, MONO: SANS}  # faces with fewer letters, and who stands in
MISSING = "\N{REPLACEMENT CHARACTER}"
UNPRINTABLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
KEPT = frozenset({"\n", "\N{NO-BREAK SPACE}"})
SPACES = frozenset({"Zs", "Zl", "Zp"})


@cache
def register() -> None:
    """Make the faces known to reportlab, once in a process. Shaping is off: it would depend on what is installed."""
    for name, file in FILES.items():
        pdfmetrics.registerFont(TTFont(name, str(FOLDER / file), shapable=False))
    pdfmetrics.registerFontFamily(SANS, normal=SANS, bold=BOLD, italic=ITALIC, boldItalic=BOLD)


@cache
def _letters(font: str) -> frozenset[int]:
    register()
    return frozenset(pdfmetrics.getFont(font).face.charToGlyph)


def printable(text: str) -> str:
    """The text composed (NFC), every kind of space a space, with `MISSING` for what must not act on the page."""
    return "".join(map(_printable, unicodedata.normalize("NFC", text)))


@cache
def _printable(character: str) -> str:
    category = unicodedata.category(character)
    if character in KEPT:
        return character
    if category in SPACES or character == "\t":
        return " "
    if category not in UNPRINTABLE:
        return character
    return MISSING


def face_for(character: str, font: str) -> str | None:
    """The face that draws the character: the one asked for, or its substitute; None where neither can."""
    for face in (font, SUBSTITUTE.get(font, font)):
        if ord(character) in _letters(face):
            return face
    return None


def plain(text: str, font: str = SANS) -> str:
    """One line for the canvas, in one face."""
    letters = _letters(font)
    clean = printable(text).replace("\n", " ")
    sign = MISSING if ord(MISSING) in letters else "?"
    return "".join(character if ord(character) in letters else sign for character in clean)


def markup(text: str, font: str = SANS) -> str:
    """The text as reportlab's markup that says exactly it: escaped, lines kept, in faces that have its letters."""
    runs = []
    for face, characters in groupby(printable(text).replace("\n", "\r"), key=lambda c: _face(c, font)):
        run = "".join(characters)
        said = MISSING * len(run) if face is None else escape(run, quote=False)
        drawn_in = face or SUBSTITUTE.get(font, font)
        runs.append(said if drawn_in == font else f'<font face="{drawn_in}">{said}</font>')
    return "".join(runs).replace("\r", "<br/>")


def _face(character: str, font: str) -> str | None:
    return font if character == "\r" else face_for(character, font)


def lacks(text: str) -> bool:
    """Whether some of it would be shown as `MISSING`."""
    return any((c != "\n" and face_for(c, SANS) is None) or c == MISSING for c in printable(text))


def width(text: str, font: str, size: float) -> float:
    """In points; `text` as `plain` returns it."""
    return float(pdfmetrics.stringWidth(text, font, size))


MEASURED = 400  # characters: more than any line of ours holds


def wrap(text: str, font: str, size: float, most: float) -> list[str]:
    """`plain` text in lines that are at most so wide; a word that is longer is broken."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        while width(longer[:MEASURED], font, size) > most:
            if line:
                lines.append(line)
                line, longer = "", word
                continue
            fits = _fitting(longer, font, size, most)
            lines.append(longer[:fits])
            longer = longer[fits:]
        line = longer
    return [*lines, line]


def _fitting(text: str, font: str, size: float, most: float) -> int:
    """How many of the first characters fit, at least one."""
    total = 0.0
    for index, character in enumerate(text):
        total += width(character, font, size)
        if total > most:
            return max(index, 1)
    return len(text)


def clip(text: str, font: str, size: float, most: float) -> str:
    """`plain` text that is at most so wide; an ellipsis says that there is more."""
    line = plain(text[:300], font)
    if len(text) <= 300 and width(line, font, size) <= most:
        return line
    while line and width(f"{line}…", font, size) > most:
        line = line[:-1]
    return f"{line.rstrip()}…"
