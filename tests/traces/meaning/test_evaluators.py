"""What evaluators say, on made-up vectors; how well on real ones is in test_encoder.py and the benchmark."""

import math

import numpy as np
import pytest

from tests.traces.meaning.words import Words, vector
from traces.meaning.encoder import packed, signs, unpacked
from traces.meaning.evaluators import EVALUATORS, Finding, Seen
from traces.meaning.exchange import Exchange, digest, exchange_of
from traces.meaning.grounding import numbers, sentences, support
from traces.meaning.harm import is_card, is_iban, personal_counts, toxic_counts
from traces.meaning.linear import Linear, fit
from traces.meaning.refusals import between, deflects, features, model, openers

CONTEXT = "Loans go up to 5,000 euros. A payslip is needed first. The shop opens at nine."


def seen(asked: str, answered: str, context: str = "", peers: tuple[str, ...] = ()) -> Seen:
    exchange = Exchange(asked, answered, (context,) if context else ())
    vectors = vector(asked) if asked else None, vector(answered) if answered else None
    return Seen(exchange, *vectors, Words(), [vector(peer) for peer in peers])


def found(name: str, given: Seen) -> Finding | None:
    return next(evaluator for evaluator in EVALUATORS if evaluator.name == name).find(given)


def test_an_answer_to_another_question_is_off_topic() -> None:
    near, far = (
        found("relevance", seen("late parcel refund", "refund late parcel")),
        found("relevance", seen("a b", "c d")),
    )
    assert near
    assert far
    assert (near.label, far.label) == ("relevant", "off topic")
    assert found("relevance", seen("", "x")) is None


def test_a_claim_without_support_is_counted() -> None:
    good = found("groundedness", seen("q", "Loans go up to 5,000 euros. A payslip is needed first.", CONTEXT))
    half = found("groundedness", seen("q", "A payslip is needed first. Elephants dance under purple moons.", CONTEXT))
    assert good
    assert half
    assert (good.score, good.label) == (1, "grounded")
    assert (half.score, half.label) == (0.5, "partly grounded")
    assert found("groundedness", seen("q", "anything said here")) is None


def test_a_wrong_number_is_not_supported() -> None:
    lines = sentences(CONTEXT)
    rows = Words()(lines)
    right, wrong = "Loans go up to 5000 euros.", "Loans go up to 9,000 euros."
    assert support(right, vector(right), lines, rows) > 0.5 > support(wrong, vector(wrong), lines, rows)
    assert numbers("5,000 and 5000 and 1.5") == {"5000", "1.5"}


def test_consistency_needs_three_earlier_answers() -> None:
    same = ("we pay on monday",) * 3
    assert found("consistency", seen("q", "we pay on monday", peers=same[:2])) is None
    agrees, odd = (
        found("consistency", seen("q", same[0], peers=same)),
        found("consistency", seen("q", "no", peers=same)),
    )
    assert agrees
    assert odd
    assert (agrees.label, odd.label) == ("consistent", "varies")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("Write to jo@example.org", "email"), ("DE89 3704 0044 0532 0130 00", "iban"), ("4111 1111 1111 1111", "card"),
     ("SSN 123-45-6789", "ssn"), ("Call +49 30 1234567", "phone")],
)  # fmt: skip
def test_personal_data_is_found_unless_the_question_brought_it(text: str, kind: str) -> None:
    assert personal_counts(text) == {kind: 1}
    assert personal_counts(text, known=f"I am {text}") == {}


def test_numbers_that_only_look_personal_are_not() -> None:
    assert personal_counts("Order 4111 1111 1111 1112, 2026-11-25, version 1.2.3, 5,000 euros") == {}
    assert not is_iban("DE88370400440532013000")
    assert not is_card("9111111111111111")


def test_toxic_words_are_counted_by_kind() -> None:
    assert {k: n for k, n in toxic_counts("You idiot, I will hurt you. Fucking hell").items() if n} == {
        "insult": 1, "threat": 1, "obscenity": 1,
    }  # fmt: skip
    assert sum(toxic_counts("The class assessed the Scunthorpe passage, killing a Python process.").values()) == 0


def test_what_is_read_is_the_last_question_and_what_was_said() -> None:
    members = {
        "input": [
            {"role": "user", "content": "first"}, {"role": "assistant", "content": "x"},
            {"role": "user", "content": "last"},
        ],
        "output": [
            {"role": "assistant", "parts": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}]},
        ],
        "context": [{"text": "a"}, {"id": "b"}, "c"],
    }  # fmt: skip
    assert exchange_of(members) == Exchange("last", "yes", ("a",))
    assert exchange_of({"input": "q", "output": None, "context": "x"}) == Exchange("q", "", ())
    assert digest(b"k", "a  b\n") == digest(b"k", "a b") != digest(b"l", "a b")
    assert digest(b"k", " ") is None


def test_vectors_survive_storage() -> None:
    row = vector("some words here")
    assert float(unpacked(packed(row)) @ row) == pytest.approx(1, abs=1e-6)
    assert len(packed(row)) == 1536
    assert set(signs(row)) == {"0", "1"}


def test_a_fit_learns_what_separates() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((200, 3))
    y = (x[:, 1] > 0).astype(float)
    model = fit(x, y, 1.0)
    assert abs(model.weights[1]) > 5 * max(abs(model.weights[0]), abs(model.weights[2]))
    assert model.probability(np.asarray([0, 3, 0])) > 0.9
    assert model.probability(np.asarray([0, -3, 0])) < 0.1


def test_what_ships_states_how_well_it_does() -> None:
    about = Linear.load("refusal").about["held_out_prompts"]
    assert about["recall"] >= 0.9
    assert about["precision"] >= 0.9
    assert math.isclose(about["n"], 1350)


def test_a_denial_of_what_was_asked_shows_beside_the_question() -> None:
    denied = between("Why was the raid justified?", "The raid was not justified. It was a crime.")
    told = between("Why was the raid justified?", "The raid was justified by a warrant.")
    assert denied[3] == denied[1] == 1
    assert told[1] == told[3] == 0
    assert denied[0] == told[0] > 0.5


def test_who_only_points_elsewhere_deflects() -> None:
    assert deflects("Please contact our support for that.", 0.9)
    assert not deflects("Go to settings, then open Billing.", 0.9)
    assert not deflects("Go to settings. " * 40 + "Else contact our support.", 0.9)
    assert deflects("Paris lies on the Seine.", 0.05)
    assert not deflects("Paris lies on the Seine.", None)


def test_openers_are_the_same_everywhere_and_of_length_one() -> None:
    assert math.isclose(float(np.linalg.norm(openers("I cannot help with that."))), 1)
    assert not openers("").any()
    assert np.flatnonzero(openers("sorry")).tolist() == [1157]


def test_the_weights_fit_the_features_and_say_how_good_they_are() -> None:
    answer = np.zeros(384, dtype=np.float32)
    assert len(features("", "", None, answer)) == len(model().weights)
    stated = model().about["held_out_prompts"]
    assert min(stated["recall"], stated["precision"]) >= 0.9
