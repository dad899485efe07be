"""Every (state × action × party) of findings, requests, notes and letters, against tables written a second time."""

from collections.abc import Mapping
from itertools import product

import pytest
from django.db import connections

from audits.lifecycles import FINDING_STEPS, LETTER_STEPS, NOTE_STEPS, REQUEST_STEPS, Party, Step, options, step_to
from audits.workflow import BEFORE_SIGNED, MOVES, Action, NotAllowed

AUDITORS = "lead preparer"
# life → state → action → (to, who)
TABLE: dict[str, dict[str, dict[str, tuple[str, str]]]] = {
    "finding": {
        "draft": {
            "assign": ("draft", AUDITORS),
            "issue": ("open", AUDITORS),
            "dismiss": ("dismissed", "second"),
        },
        "open": {
            "assign": ("open", AUDITORS),
            "respond": ("response_received", "owner"),
            "accept_risk": ("risk_accepted", "risk_approver"),
            "dismiss": ("dismissed", "second"),
            "transfer": ("transferred", AUDITORS),
        },
        "response_received": {
            "assign": ("response_received", AUDITORS),
            "transfer": ("transferred", AUDITORS),
            "remediate": ("in_remediation", "owner"),
            "accept_risk": ("risk_accepted", "risk_approver"),
        },
        "in_remediation": {
            "assign": ("in_remediation", AUDITORS),
            "transfer": ("transferred", AUDITORS),
            "complete": ("ready_for_check", "owner"),
        },
        "ready_for_check": {
            "return": ("in_remediation", f"{AUDITORS} reviewer"),
            "close": ("closed", f"{AUDITORS} reviewer"),
        },
        "closed": {"reopen": ("open", "lead reviewer")},
        "risk_accepted": {"lapse": ("open", "system")},
        "dismissed": {},
        "transferred": {},
    },
    "request": {
        "open": {"submit": ("submitted", "addressee"), "withdraw": ("withdrawn", AUDITORS)},
        "submitted": {
            "accept": ("accepted", AUDITORS),
            "return": ("returned", AUDITORS),
            "withdraw": ("withdrawn", AUDITORS),
        },
        "returned": {"submit": ("submitted", "addressee"), "withdraw": ("withdrawn", AUDITORS)},
        "accepted": {},
        "withdrawn": {},
    },
    "note": {
        "open": {"answer": ("answered", "preparer"), "clear": ("cleared", "reviewer")},
        "answered": {"reopen": ("open", "reviewer"), "clear": ("cleared", "reviewer")},
        "cleared": {},
    },
    "letter": {
        "draft": {
            "edit": ("draft", AUDITORS),
            "approve": ("approved", "second"),
            "withdraw": ("withdrawn", AUDITORS),
        },
        "approved": {"send": ("sent", AUDITORS), "withdraw": ("withdrawn", AUDITORS)},
        "sent": {},
        "withdrawn": {},
    },
}
LIVES: Mapping[str, Mapping[str, Step]] = {
    "finding": FINDING_STEPS,
    "request": REQUEST_STEPS,
    "note": NOTE_STEPS,
    "letter": LETTER_STEPS,
}
TRIPLES = [(life, *triple) for life, steps in LIVES.items() for triple in product(TABLE[life], steps, Party)]


@pytest.mark.parametrize(("life", "state", "action", "party"), TRIPLES)
def test_only_the_listed_triples_succeed(life: str, state: str, action: str, party: Party) -> None:
    steps = LIVES[life]
    to, who = TABLE[life][state].get(action, ("", ""))
    if party in who.split():
        assert step_to(steps, state, action, [party], "because") == to
        assert action in options(steps, state, [party])
    else:
        with pytest.raises(NotAllowed) as refused:
            step_to(steps, state, action, [party], "because")
        assert refused.value.allowed == options(steps, state, [party])
        assert action not in refused.value.allowed


ASKING = [(life, action) for life, steps in LIVES.items() for action, step in steps.items() if step.asks]


@pytest.mark.parametrize(("life", "action"), ASKING)
def test_a_step_that_asks_for_words_is_refused_without(life: str, action: str) -> None:
    step = LIVES[life][action]
    with pytest.raises(NotAllowed, match=step.asks):
        step_to(LIVES[life], next(iter(step.sources)), action, step.who, "  ")


def pairs_of(table: str) -> set[str]:
    """The pairs of states that the table's trigger lets through."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT encode(tgargs, 'escape') FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'refuse_jump'",
            [table],
        )
        (arguments,) = cursor.fetchone()
    return set(arguments.split("\\000")[1].split(" "))


@pytest.mark.parametrize(
    ("life", "table"),
    [
        ("finding", "audits_finding"),
        ("request", "audits_evidencerequest"),
        ("note", "audits_reviewnote"),
        ("letter", "audits_letter"),
    ],
)
def test_the_database_has_the_same_pairs(life: str, table: str) -> None:
    steps = LIVES[life].values()
    assert pairs_of(table) == {f"{source}>{step.target}" for step in steps if step.target for source in step.sources}


def test_the_database_has_the_same_pairs_for_cases() -> None:
    moves = {(source, move.target) for move in MOVES.values() if move.target for source in move.sources}
    moves |= {(source, state) for source in MOVES[Action.RESUME].sources for state in BEFORE_SIGNED}
    assert pairs_of("audits_case") == {f"{source}>{target}" for source, target in moves if source != target}
