"""What a letter says of a record: what it holds, in plain words, and nothing that it does not hold."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from audits.explaining import MEANS, PARTS, LetterText, Record, RuleSet, draft
from policies.engine import ACTIONS
from tests.factories.traces import a_decision

RECORD = Record(
    system="loan-assistant",
    task="pre-screening",
    occurred_at=datetime(2026, 11, 20, 8, 46, tzinfo=UTC),
    model="gpt-5-mini 2026-08-01",
    asked="May I borrow 5,000?",
    answered="Please send a proof of income first.",
    members=a_decision(),
    policies=[RuleSet("Lending policy", "version 3", False), RuleSet("Tone", "version 1", True)],
    findings=[{"policy": "lending", "rule": "income", "outcome": "violated", "action": "route_to_human"}],
)


def of(**members: Any) -> LetterText:
    return draft(replace(RECORD, members=a_decision(**members)), "00")


def test_it_says_what_was_decided_and_by_what() -> None:
    text = of()
    assert "On 20 November 2026 at 08:46 UTC, our system “loan-assistant” (pre-screening)" in text.decided
    assert "The result was: “refer”." in text.decided
    assert "It said: “Please send a proof of income first.”" in text.decided
    assert "an AI model, gpt-5-mini 2026-08-01," in text.role
    assert "names no person who reviewed the result" in text.role


def test_a_disadvantage_is_called_one() -> None:
    assert "is to your disadvantage" in of(outcome={"decision": "refuse", "adverse": True}).decided
    assert "not recorded as being to your disadvantage" in of().decided
    assert "disadvantage" not in of(outcome={"decision": "refuse"}).decided


def test_reasons_come_in_their_order_with_what_they_weighed() -> None:
    reasons = [
        {"code": "income", "text": "No payslip.", "factor": "income", "direction": "against"},
        {"code": "debt_ratio"},
    ]
    said = of(outcome={"decision": "refuse", "score": 0.41, "threshold": 0.5, "reasons": reasons}).elements.splitlines()
    assert said[:2] == ["1. No payslip. (income: against)", "2. debt_ratio"]
    assert said[2:] == ["The system gave a score of 0.41; the threshold is 0.5."]


def test_what_the_record_does_not_say_is_left_to_a_person() -> None:
    text = of(outcome={"decision": "refuse", "score": 0.41})
    assert text.elements == ""  # a score alone explains nothing
    assert text.lacking == ("recipient", "elements", "contact")


def test_the_person_who_reviewed_it_is_told_of() -> None:
    human = {"reviews": [{"action": "overridden", "reason": "The payslip came by post."}]}
    assert "A person reviewed the result and decided otherwise, for this reason: The payslip" in of(human=human).role
    assert "agreed with it." in of(human={"action": "accepted"}).role
    assert "A person reviewed the result." in of(human={"reviewed": True, "by": "clerk-3"}).role


def test_information_and_rules_are_those_of_this_decision() -> None:
    text = of()
    assert text.information.splitlines() == [
        "What was asked: “May I borrow 5,000?”",
        "A document that the system was given, doc-9: “Up to three times the monthly income.”",
    ]
    assert text.rules.splitlines() == [
        "“Lending policy”, version 3.",
        "“Tone”, version 1, which was on trial and had no effect.",
        "The rule “income” of “lending” applied: a person was to look at the matter.",
    ]
    many = of(context=[{"id": f"d{n}"} for n in range(11)])
    assert many.information.endswith("And 3 more documents.")
    assert "No rule of ours" in draft(replace(RECORD, policies=[], findings=[]), "00").rules


def test_every_action_of_a_rule_has_plain_words() -> None:
    assert set(MEANS) == set(ACTIONS)


def test_members_of_any_shape_make_a_letter() -> None:
    for odd in ("text", ["x"], {"reasons": ["x", None]}, None):
        assert of(outcome=odd, human=odd, context=[odd], notice_given=odd).decided


def test_the_hash_is_salted_and_the_words_come_back() -> None:
    text, other = draft(RECORD, "00"), draft(RECORD, "01")
    assert text.sha256 != other.sha256
    assert LetterText.parse(text.canonical()) == text
    assert {name for name, _ in PARTS} < set(LetterText.__slots__)
