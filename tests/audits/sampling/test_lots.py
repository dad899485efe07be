"""ISO 2859-1 against its published tables."""

import pytest

from audits.sampling import SamplingError
from audits.sampling.lots import AQLS, SIZES, Level, LotPlan, code_letter, lot_plan

# Table 1, level II: the last lot size of each letter.
LEVEL_II = "A8 B15 C25 D50 E90 F150 G280 H500 J1200 K3200 L10000 M35000 N150000 P500000"
# Table 2-A, normal inspection: acceptance numbers by AQL; a dash where an arrow stands.
ROWS = {
    "G": "0.40:0 0.65:- 1.0:- 1.5:1 2.5:2 4.0:3 6.5:5 10:7",
    "H": "0.25:0 0.40:- 0.65:- 1.0:1 1.5:2 2.5:3 4.0:5 6.5:7 10:10",
    "J": "0.15:0 0.25:- 0.40:- 0.65:1 1.0:2 1.5:3 2.5:5 4.0:7 6.5:10 10:14",
    "K": "0.10:0 0.15:- 0.25:- 0.40:1 0.65:2 1.0:3 1.5:5 2.5:7 4.0:10 6.5:14 10:21",
    "L": "0.065:0 0.10:- 0.15:- 0.25:1 0.40:2 0.65:3 1.0:5 1.5:7 2.5:10 4.0:14 6.5:21 10:-",
}
LOT_OF = {"G": 200, "H": 400, "J": 1_000, "K": 3_000, "L": 9_000}


def test_the_letters_of_level_two() -> None:
    for entry in LEVEL_II.split():
        letter, upto = entry[0], int(entry[1:])
        assert code_letter(upto, Level.II) == letter
        assert code_letter(upto + 1, Level.II) > letter
    assert [code_letter(1_000, level) for level in Level] == ["G", "J", "K"]
    assert [code_letter(10**6, level) for level in Level] == ["N", "Q", "R"]


@pytest.mark.parametrize("letter", ROWS)
def test_the_master_table(letter: str) -> None:
    for cell in ROWS[letter].split():
        aql, said = cell.split(":")
        plan = lot_plan(LOT_OF[letter], Level.II, aql)
        if said == "-":
            assert plan.letter != letter
        else:
            assert plan == LotPlan(letter, SIZES[letter], int(said))


def test_the_plan_of_a_thousand_at_one_per_cent() -> None:
    plan = lot_plan(1_000, Level.II, "1.0")
    assert (plan.letter, plan.n, plan.acceptable, plan.rejectable) == ("J", 80, 2, 3)


@pytest.mark.parametrize(
    ("aql", "plan"), [("0.25", LotPlan("H", 50, 0)), ("0.40", LotPlan("K", 125, 1)), ("0.10", LotPlan("K", 125, 0))]
)
def test_an_arrow_leads_to_the_plan_that_it_points_at(aql: str, plan: LotPlan) -> None:
    assert lot_plan(1_000, Level.II, aql) == plan


def test_every_lot_has_a_plan_and_no_sample_is_larger_than_its_lot() -> None:
    for lot in (2, 9, 60, 151, 501, 3_201, 35_001, 150_001, 10**7):
        for level in Level:
            plans = [lot_plan(lot, level, aql) for aql in AQLS]
            assert all(1 <= plan.n <= lot and 0 <= plan.acceptable <= 21 for plan in plans)
            assert [plan.acceptable for plan in plans] == sorted(plan.acceptable for plan in plans)


def test_what_has_no_plan_is_refused() -> None:
    for lot, aql in ((1, "1.0"), (100, "1.1")):
        with pytest.raises(SamplingError):
            lot_plan(lot, Level.II, aql)
