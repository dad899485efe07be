"""ISO 2859-1 against its published tables, and against the rules by which they were made."""

from itertools import pairwise
from math import comb

import pytest

from audits.sampling import SamplingError
from audits.sampling import lots as lots_module
from audits.sampling.lots import AQLS, SIZES, Level, LotPlan, code_letter, lot_plan

# Table 1 as the charts of ANSI/ASQ Z1.4 and MIL-STD-105E print it: the last lot size, and the letters of I, II, III.
LETTERS = """
8 A A B · 15 A B C · 25 B C D · 50 C D E · 90 C E F · 150 D F G · 280 E G H · 500 F H J · 1200 G J K · 3200 H K L
10000 J L M · 35000 K M N · 150000 L N P · 500000 M P Q
"""
# Table 2-A, normal inspection, by letter and AQL: acceptance numbers, or the arrow that stands there (v down, ^ up).
MASTER = {
    "A": "v v v v v v v v v v v v v v 0 v",
    "B": "v v v v v v v v v v v v v 0 ^ v",
    "C": "v v v v v v v v v v v v 0 ^ v 1",
    "D": "v v v v v v v v v v v 0 ^ v 1 2",
    "E": "v v v v v v v v v v 0 ^ v 1 2 3",
    "F": "v v v v v v v v v 0 ^ v 1 2 3 5",
    "G": "v v v v v v v v 0 ^ v 1 2 3 5 7",
    "H": "v v v v v v v 0 ^ v 1 2 3 5 7 10",
    "J": "v v v v v v 0 ^ v 1 2 3 5 7 10 14",
    "K": "v v v v v 0 ^ v 1 2 3 5 7 10 14 21",
    "L": "v v v v 0 ^ v 1 2 3 5 7 10 14 21 ^",
    "M": "v v v 0 ^ v 1 2 3 5 7 10 14 21 ^ ^",
    "N": "v v 0 ^ v 1 2 3 5 7 10 14 21 ^ ^ ^",
    "P": "v 0 ^ v 1 2 3 5 7 10 14 21 ^ ^ ^ ^",
    "Q": "0 ^ v 1 2 3 5 7 10 14 21 ^ ^ ^ ^ ^",
    "R": "^ ^ 1 2 3 5 7 10 14 21 ^ ^ ^ ^ ^ ^",
}
# The chance that a lot just as bad as the AQL is accepted, by acceptance number: the standard's plans rest on it.
CHANCES = {0: (0.87, 0.89), 1: (0.90, 0.92), 2: (0.95, 0.963), 3: (0.956, 0.97), 5: (0.98, 0.99), 7: (0.98, 0.99),
           10: (0.98, 0.992), 14: (0.98, 0.992), 21: (0.985, 0.995)}  # fmt: skip


def test_the_table_of_letters() -> None:
    rows = [entry.split() for line in LETTERS.strip().splitlines() for entry in line.split("·")]
    assert len(rows) == 14
    for (upto, *letters), (_, *following) in pairwise([*rows, ["", "N", "Q", "R"]]):
        assert [code_letter(int(upto), level) for level in Level] == letters
        assert [code_letter(int(upto) + 1, level) for level in Level] == following


def lot_of(letter: str) -> tuple[int, Level]:
    """A lot that has this letter; of those at one level the largest, so that few samples are larger than it."""
    if letter == "R":
        return 10**6, Level.III
    lots = [2, *(upto for upto, _ in lots_module.LETTERS), 10**6]
    return max(lot for lot in lots if code_letter(lot, Level.II) == letter), Level.II


@pytest.mark.parametrize("letter", MASTER)
@pytest.mark.parametrize("aql", AQLS)
def test_the_master_table_with_its_arrows(letter: str, aql: str) -> None:
    rows, at, column = list(MASTER), list(MASTER).index(letter), AQLS.index(aql)
    while (said := MASTER[rows[at]].split()[column]) in {"v", "^"}:
        at += 1 if said == "v" else -1
    lot, level = lot_of(letter)
    assert lot_plan(lot, level, aql) == LotPlan(rows[at], min(SIZES[rows[at]], lot), int(said))


def test_every_plan_accepts_what_is_as_bad_as_its_aql_alike() -> None:
    """Not from a table: an acceptance number that is one off, below 21, leaves the band that its kind shares."""
    for letter, row in MASTER.items():
        for aql, said in zip(AQLS, row.split(), strict=True):
            if said.isdecimal():
                n, p, low_high = SIZES[letter], float(aql) / 100, CHANCES[int(said)]
                chance = sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(int(said) + 1))
                assert low_high[0] <= chance <= low_high[1], f"{letter} {aql}: {chance}"


def test_sizes_and_limits_are_the_preferred_numbers_of_one_series() -> None:
    """Five to a decade (ISO 3, R5), rounded as the standard rounds: so that size × AQL is the same along a diagonal."""
    for first, found in ((2, list(SIZES.values())), (0.010, [float(aql) for aql in AQLS])):
        assert all(abs(value / (first * 10 ** (k / 5)) - 1) < 0.06 for k, value in enumerate(found))


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
