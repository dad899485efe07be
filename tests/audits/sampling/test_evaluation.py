"""Discovery samples and lots, in an auditor's words."""

from audits.sampling.evaluation import evaluate_discovery, evaluate_lot


def test_a_discovery_sample_that_meets_none() -> None:
    found = evaluate_discovery(0, 258, 1_000, 0.01)
    assert found.words == "None of 258 deviates; at 95% confidence at most 9 of 1,000 do (0.9%)"
    assert found.is_acceptable


def test_a_discovery_sample_that_meets_one_asks_for_more() -> None:
    found = evaluate_discovery(1, 258, 1_000, 0.01)
    assert not found.is_acceptable
    assert found.words == "1 of 258 deviate: discovered; examine more, or all"


def test_a_discovery_sample_that_is_not_done_says_no_more_than_it_knows() -> None:
    assert not evaluate_discovery(0, 100, 1_000, 0.01).is_acceptable


def test_a_lot_is_accepted_up_to_its_number() -> None:
    accepted, refused = (evaluate_lot(k, 80, 2, "1.0") for k in (2, 3))
    assert (accepted.is_acceptable, refused.is_acceptable) == (True, False)
    assert accepted.words == ("2 of 80 nonconforming: lot accepted (Ac 2) at AQL 1.0 %; upper deviation limit 7.7%")
    assert "not accepted (Re 3)" in refused.words
