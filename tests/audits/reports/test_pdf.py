"""The report as a reader gets it: its text, its attachments, its metadata."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from audits.reports.data import ReportData
from audits.reports.fonts import MISSING
from audits.reports.pdf import render
from tests.audits.reports.examples import FINDING, HEAD, SAMPLE, a_freeze, an_item, draft, example

HOSTILE = '<para><b>bold</b></para> & <img src="file:///etc/passwd"/> &lt;script&gt; </font> ]]> %s {x} <unclosed'


def read(data: ReportData) -> PdfReader:
    return PdfReader(BytesIO(render(data)))


def text_of(data: ReportData) -> str:
    """All the text, in order, with every run of white space as one space."""
    return " ".join(" ".join(page.extract_text() for page in read(data).pages).split())


def test_the_same_data_gives_the_same_bytes() -> None:
    assert render(example()) == render(example())
    assert render(example()) != render(example(revision=2))


def test_the_date_is_the_revisions_not_the_clocks() -> None:
    info = read(example()).metadata
    assert info is not None
    assert info.creation_date == HEAD.as_of


def test_a_draft_says_so_on_every_page_until_it_is_signed() -> None:
    for page in read(draft()).pages:
        assert "DRAFT" in page.extract_text().split()  # the watermark, apart from the footer
        assert "DRAFT, not signed" in page.extract_text()
    assert "DRAFT" not in text_of(example())


def test_a_draft_gives_no_opinion() -> None:
    assert "No opinion yet" in text_of(draft())
    assert "tolerable rate" in text_of(example())


def test_every_page_says_which_it_is() -> None:
    pages = read(example()).pages
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page.extract_text()


def test_it_shows_what_an_auditor_looks_for() -> None:
    data = example()
    said = text_of(data)
    for expected in (
        "Nordbank Kredit AB",
        "C-12, revision 1",
        "2026-10-01 to 2026-11-01",
        "41,802",
        data.sample.seed.hex() if data.sample and data.sample.seed else "",
        "at most 7.7\N{NO-BREAK SPACE}%".replace("\N{NO-BREAK SPACE}", " "),
        "one-sided Clopper–Pearson",
        FINDING.condition,
        FINDING.response,
        "reasons-given",
        "gpt-5-mini 2026-08-01",
        "I reviewed this examination and approve its conclusions",
        data.content_sha256.hex(),
        data.items[59].leaf_hash.hex(),
        str(data.items[59].decision_id),
    ):
        assert expected in said, expected


@pytest.mark.parametrize("place", ["title", "organisation", "objective", "criteria", "lead"])
def test_hostile_text_of_the_head_is_shown_as_it_is(place: str) -> None:
    changes: dict[str, Any] = {place: HOSTILE}
    assert HOSTILE in text_of(example(**changes))


@pytest.mark.parametrize("place", ["criteria", "condition", "cause", "effect", "recommendation", "response"])
def test_hostile_text_of_a_finding_is_shown_as_it_is(place: str) -> None:
    changes: dict[str, Any] = {place: HOSTILE}
    assert HOSTILE in text_of(example(findings=(replace(FINDING, **changes),)))


def test_a_hostile_note_is_shown_as_it_is() -> None:
    assert HOSTILE in text_of(example(items=(an_item(1, note=HOSTILE),)))


def test_hostile_text_elsewhere_builds() -> None:
    item = an_item(1, system=HOSTILE, model=HOSTILE, action=HOSTILE, preparer=HOSTILE)
    assert "<para>" in text_of(example(items=(item,), scope=(("user", HOSTILE),)))


def test_letters_beyond_latin_are_there_and_others_leave_a_sign() -> None:
    said = text_of(example(objective="Łódź Ελληνικά Кириллица 日本 😀"))
    assert f"Łódź Ελληνικά Кириллица {MISSING * 2} {MISSING}" in said
    assert "shown as \N{REPLACEMENT CHARACTER}" in said
    assert MISSING not in text_of(example())


def test_control_and_bidirectional_characters_do_not_act() -> None:
    assert f"exe{MISSING}gpj.{MISSING}" in text_of(example(objective="exe\N{RIGHT-TO-LEFT OVERRIDE}gpj.\x07"))


def test_text_of_any_length_breaks_over_pages() -> None:
    long = "w" * 5_000 + " word" * 5_000
    data = example(items=(an_item(1, note=long),), findings=(replace(FINDING, cause=long),), criteria=long)
    assert text_of(data).count("word word word") > 3_000


def test_the_evidence_lies_in_the_file_byte_for_byte() -> None:
    data = example(400)
    attached = {name: files[0] for name, files in read(data).attachments.items()}
    assert data.ledger is not None
    expected = {"evidence.json": data.content, "checkpoint.txt": data.ledger.note.encode()}
    assert attached == expected | {proof.name: proof.content for proof in data.proofs}
    assert len(attached) == 302
    assert "those of the other 100 are in the evidence bundle" in text_of(data)


def test_the_metadata_names_the_document() -> None:
    reader = read(example(title="A & <b>"))
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.metadata.author) == ("C-12 A & <b>", "Nordbank Kredit AB")
    assert reader.metadata.subject == "Audit report, revision 1"
    assert str(reader.root_object["/Lang"]) == "en"
    assert reader.xmp_metadata is not None
    assert reader.xmp_metadata.dc_title == {"x-default": "C-12 A & <b>"}


def flat(outline: list[Any]) -> Iterator[Any]:
    for entry in outline:
        yield from flat(entry) if isinstance(entry, list) else [entry]


def test_every_typeface_is_embedded() -> None:
    for page in read(draft()).pages:
        for name, font in page["/Resources"]["/Font"].items():  # type: ignore[index]
            assert "/FontFile2" in font.get_object()["/FontDescriptor"], name


def test_the_outline_leads_to_each_section_and_finding() -> None:
    reader = read(example())
    places: dict[str, int] = {}
    for place in flat(reader.outline):
        places[str(place.title)] = reader.get_destination_page_number(place) or 0
    assert [title.split()[0] for title in places if title[0].isdigit()] == [str(n) for n in range(1, 11)]
    for title, page in places.items():
        assert " ".join(title.split()) in " ".join(reader.pages[page].extract_text().split())
    assert "F-1 Minor nonconformity, medium" in {" ".join(title.split()) for title in places}


def test_what_was_erased_is_named() -> None:
    items = tuple(an_item(n, is_erased=n in {2, 5}) for n in range(1, 7))
    assert "The content of items 2 and 5 was erased" in text_of(example(items=items))
    assert "was erased" not in text_of(example(6))


def test_earlier_freezes_stay_visible() -> None:
    said = text_of(example(earlier_freezes=(a_freeze(reason="Late records came in."),)))
    assert "Late records came in." in said
    assert "frozen 2 times" in said


def test_a_case_with_a_population_and_no_sample_has_a_draft() -> None:
    said = text_of(draft(n=0, sample=None, limit=None, findings=(), policy_sets=(), models=(), systems=(), proofs=()))
    assert "No sample is drawn yet." in said


def test_a_whole_population_gives_no_upper_limit() -> None:
    everything = replace(SAMPLE, is_everything=True, seed=None, seed_checkpoint_size=None, justification="Few.")
    said = text_of(example(sample=everything, limit=None))
    assert "Every decision of the population was examined. 1 of 60 applicable decisions deviates" in said
    assert "Clopper" not in said


def test_reportlab_is_imported_here_and_nowhere_else() -> None:
    root = Path(__file__).parents[3]
    files = (
        path for app in ("tenants", "policies", "traces", "audits", "config") for path in (root / app).rglob("*.py")
    )
    found = {
        path.parent.relative_to(root)
        for path in files
        if re.search(r"^(from|import) reportlab", path.read_text(), re.M)
    }
    assert found == {Path("audits/reports")}


def test_a_thousand_items_take_seconds() -> None:
    data, began = example(1_000), time.monotonic()
    pdf = render(data)
    assert time.monotonic() - began < 10
    assert len(PdfReader(BytesIO(pdf)).pages) < 80


def test_strata_and_replaced_items_are_shown() -> None:
    strata = (("refer", 30_000, 72, "12.00 USD"), ("refuse", 9, 9, ""))
    terms = (("Strata by", "Outcome"), ("Sampling interval", "1.00 USD"))
    sample = replace(SAMPLE, kind="stratified", strata=strata, terms=terms)
    gone = an_item(1, conclusion="na", note="A test call.", replaced_by=61)
    said = text_of(example(items=(gone, an_item(61, replaces=1)), sample=sample))
    for expected in ("refer 12.00 USD 30,000 72", "Strata by Outcome", "1 61 A test call.", "In place of item 1."):
        assert expected in said
