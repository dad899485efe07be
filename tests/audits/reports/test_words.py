"""What figures become in sentences: the opinion above all."""

from dataclasses import replace

import pytest

from audits.reports import words
from audits.reports.data import ReportData
from tests.audits.reports.examples import SAMPLE, a_limit, an_item, draft, example


def limited(deviations: int, upper: float, tolerable: float | None) -> ReportData:
    items = tuple(an_item(n, conclusion="fail" if n <= deviations else "pass") for n in range(1, 61))
    sample = replace(SAMPLE, size=60, tolerable_rate=tolerable)
    return example(items=items, sample=sample, limit=a_limit(60, deviations, upper, tolerable))


@pytest.mark.parametrize(
    ("data", "headline", "tone"),
    [
        (draft(), "No opinion yet", "none"),
        (limited(0, 0.049, 0.05), "Within the tolerable rate", "good"),
        (limited(1, 0.077, 0.05), "Above the tolerable rate", "bad"),
        (limited(0, 0.049, None), "No deviations found in the sample", "good"),
        (limited(2, 0.102, None), "Deviations found in the sample", "bad"),
        (example(limit=None, items=(an_item(1), an_item(2))), "No deviations found", "good"),
        (example(limit=None, items=(an_item(1, conclusion="exception"),)), "Deviations found", "bad"),
        (example(limit=None, items=(an_item(1, conclusion="na"),)), "Nothing to conclude", "none"),
    ],
)
def test_the_opinion_follows_from_the_figures(data: ReportData, headline: str, tone: str) -> None:
    said = words.opinion(data)
    assert (said.headline, said.tone) == (headline, tone)


def test_the_evaluation_names_both_rates() -> None:
    said = words.evaluation(limited(1, 0.0766, 0.05)).replace("\N{NO-BREAK SPACE}", " ")
    assert said == (
        "1 of 60 applicable decisions deviates from the criteria. With 95 % confidence, at most 7.7 % of the "
        "population deviates (one-sided Clopper–Pearson upper limit), which exceeds the tolerable rate of 5.0 %."
    )


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ((("since", "2026-10-01T00:00:00+00:00"), ("until", "2026-11-01T00:00:00+00:00")), "2026-10-01 to 2026-11-01"),
        ((("since", "2026-10-01T09:30:00+00:00"),), "From 2026-10-01 09:30"),
        ((("until", "2026-11-01T00:00:00+00:00"),), "Until 2026-11-01"),
        ((), "Not limited; decisions examined are of 2026-11-02"),
    ],
)
def test_the_period_is_the_scopes_or_what_was_met(scope: tuple[tuple[str, str], ...], expected: str) -> None:
    assert words.period(example(scope=scope)) == expected


def test_numbers_are_listed_up_to_a_limit() -> None:
    assert words.ordinals((7,)) == "item 7"
    assert words.ordinals((3, 7, 1_200)) == "items 3, 7 and 1,200"
    assert words.ordinals(tuple(range(1, 51))).endswith("39, 40 and 10 more, marked in the appendix")


def test_limitations_tell_what_is_missing() -> None:
    said = " ".join(words.limitations(example(400, unproven=7), has_missing_letters=True))
    assert "7 items were not yet covered by a signed checkpoint" in said
    assert "those of the other 93 are in the evidence bundle" in said
    assert "not in the report's typefaces" in said
    assert "draft" not in said
    assert "draft" in " ".join(words.limitations(draft(), has_missing_letters=False))


def test_systems_are_counted_by_conclusion() -> None:
    items = (an_item(1, system="b"), an_item(2, system="a"), an_item(3, system="b", conclusion="fail"))
    table = words.by_system(example(items=items))
    assert [(name, row["pass"], row["fail"]) for name, row in table] == [("a", 1, 0), ("b", 1, 1)]


@pytest.mark.parametrize(
    ("kind", "said", "headlines"),
    [
        ("iso2859", "code letter J: the lot is accepted at up to 2", ("Lot accepted", "Lot not accepted")),
        (
            "discovery",
            "the smallest that meets a deviation with 95",
            ("Nothing discovered", "A deviation was discovered"),
        ),
        ("monetary", "in proportion to cost", ("Within the tolerable mis", "Above the tolerable mis")),
        ("stratified", "from each stratum in proportion", ("Within the tolerable rate", "Above the tolerable rate")),
    ],
)
def test_each_method_says_how_it_drew_and_what_came_of_it(kind: str, said: str, headlines: tuple[str, str]) -> None:
    sample = replace(SAMPLE, kind=kind, code_letter="J", acceptable=2, interval="1.00 USD")
    for upper, headline in zip((0.04, 0.06), headlines, strict=True):
        data = example(60, sample=sample, limit=a_limit(60, 1, upper, 0.05, "1 of 60 deviate; 3.00 USD"))
        assert said in words.drawing(data)
        assert words.opinion(data).headline.startswith(headline)
        assert "1 of 60" in words.evaluation(data)


def test_exceptions_are_no_sample() -> None:
    data = example(3, sample=replace(SAMPLE, kind="exceptions", size=3, seed=None), limit=None)
    assert "held against the rules below" in words.drawing(data)
    assert "the exceptions were examined" in words.opinion(data).basis
