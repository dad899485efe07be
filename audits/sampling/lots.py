"""Single sampling by attributes for a lot: ISO 2859-1:1999, normal inspection, general levels I to III. Pure.

Its two tables are those of MIL-STD-105E. The master table is a staircase: the acceptance number depends on how far the
code letter and the AQL are along together, so it is kept as one row; the tests hold it against published rows.
"""

from dataclasses import dataclass

from django.db import models

from audits.sampling.methods import SamplingError


class Level(models.TextChoices):
    """The general inspection levels: how much is examined of a lot of a size."""

    I = "I", "I: less is known to go wrong"  # noqa: E741  the standard's own name
    II = "II", "II: the usual one"
    III = "III", "III: more has gone wrong"


# Table 1: up to which lot size, and the letter at levels I, II and III.
LETTERS = (
    (8, "AAB"),
    (15, "ABC"),
    (25, "BCD"),
    (50, "CDE"),
    (90, "CEF"),
    (150, "DFG"),
    (280, "EGH"),
    (500, "FHJ"),
    (1_200, "GJK"),
    (3_200, "HKL"),
    (10_000, "JLM"),
    (35_000, "KMN"),
    (150_000, "LNP"),
    (500_000, "MPQ"),
)
BEYOND = "NQR"
SIZES = {
    "A": 2, "B": 3, "C": 5, "D": 8, "E": 13, "F": 20, "G": 32, "H": 50, "J": 80, "K": 125, "L": 200, "M": 315,
    "N": 500, "P": 800, "Q": 1_250, "R": 2_000,
}  # fmt: skip
# Acceptance quality limits in per cent nonconforming. The larger ones count nonconformities, which is not done here.
AQLS = ("0.010", "0.015", "0.025", "0.040", "0.065", "0.10", "0.15", "0.25", "0.40", "0.65", "1.0", "1.5", "2.5",
        "4.0", "6.5", "10")  # fmt: skip
# Table 2-A along its diagonals, from where the first plan with acceptance number 0 stands; None: an arrow.
FIRST = 14
ACCEPTANCE = (0, None, None, 1, 2, 3, 5, 7, 10, 14, 21)


@dataclass(frozen=True, slots=True)
class LotPlan:
    """Examine `n`; accept the lot at up to `acceptable` nonconforming items, else refuse it."""

    letter: str
    n: int
    acceptable: int

    @property
    def rejectable(self) -> int:
        """From how many on the lot is refused (Re)."""
        return self.acceptable + 1


def code_letter(lot: int, level: Level) -> str:
    """The sample size code letter of a lot (table 1). Raises `SamplingError` for a lot of one."""
    if lot < 2:
        raise SamplingError("A lot has at least two decisions.")
    letters = next((letters for upto, letters in LETTERS if lot <= upto), BEYOND)
    return letters[list(Level).index(level)]


def lot_plan(lot: int, level: Level, aql: str) -> LotPlan:
    """The plan for a lot: arrows followed, and the whole lot where the sample would be larger (table 2-A)."""
    if aql not in AQLS:
        raise SamplingError(f"The AQL is one of {', '.join(AQLS)} per cent.")
    row = list(SIZES)
    at, acceptable = _stand(row.index(code_letter(lot, level)), AQLS.index(aql), len(row))
    return LotPlan(row[at], min(SIZES[row[at]], lot), acceptable)


def _stand(letter: int, aql: int, letters: int) -> tuple[int, int]:
    """(letter, acceptance number) of the plan that stands there, or that the arrow leads to."""
    along = letter + aql - FIRST
    if along < 0:  # down to the first plan
        return letter - along, 0
    if along >= len(ACCEPTANCE):  # up to the last one
        last = len(ACCEPTANCE) - 1
        return letter - (along - last), 21
    found = ACCEPTANCE[along]
    if found is not None:
        return letter, found
    is_up = along == 1 and letter > 0  # but in the first row, which has nothing above it
    if is_up or letter + 1 == letters:  # so too in the last row, which has nothing below it
        return letter - along, 0
    return letter + ACCEPTANCE.index(1) - along, 1
