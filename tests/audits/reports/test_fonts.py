"""Text made fit for the typefaces: nothing acts, nothing is a black box, nothing is lost unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Paragraph

from audits.reports.fonts import BOLD, MISSING, MONO, SANS, SERIF, clip, lacks, markup, plain, register, width, wrap

register()


@pytest.mark.parametrize("font", [SANS, BOLD, SERIF, MONO])
@given(text=st.text(max_size=200))
def test_any_text_is_markup_that_parses(font: str, text: str) -> None:
    Paragraph(markup(text, font), ParagraphStyle("any", fontName=font)).wrap(400, 400)


def test_markup_is_escaped() -> None:
    assert markup("<b> & </b>") == "&lt;b&gt; &amp; &lt;/b&gt;"
    assert markup("one\ntwo") == "one<br/>two"


def test_a_face_without_the_letters_is_stood_in_for() -> None:
    assert markup("Aα", SERIF) == f'A<font face="{BOLD}">α</font>'
    assert markup("α", SANS) == "α"


def test_what_no_face_has_is_a_sign() -> None:
    assert plain("日a\x00") == f"{MISSING}a{MISSING}"
    assert (lacks("日"), lacks("\N{RIGHT-TO-LEFT OVERRIDE}"), lacks("Żółć α Ж\n")) == (True, True, False)


def test_composed_letters_are_found() -> None:
    assert plain("e\N{COMBINING ACUTE ACCENT}") == "é"


@given(text=st.text(alphabet="abc W.-", max_size=300))
def test_wrapped_lines_fit_and_say_it_all(text: str) -> None:
    lines = wrap(text, SANS, 8, 60)
    assert all(width(line.rstrip(), SANS, 8) <= 60 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_clipped_text_fits_and_says_so() -> None:
    said = clip("loan-assistant " * 20, SANS, 8, 100)
    assert said.endswith("…")
    assert width(said, SANS, 8) <= 100
    assert clip("short", SANS, 8, 100) == "short"
