"""Every (state × action × role) triple against a table written down a second time, from the design."""

from itertools import product

import pytest

from audits.workflow import MOVES, Action, CaseRole, NotAllowed, State, allowed, target_of

# from → action → (to, who)
TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "draft": {"plan": ("planned", "lead"), "hold": ("on_hold", "lead"), "cancel": ("cancelled", "lead admin")},
    "planned": {
        "freeze": ("population_frozen", "lead"),
        "hold": ("on_hold", "lead"),
        "cancel": ("cancelled", "lead admin"),
    },
    "population_frozen": {
        "refreeze": ("population_frozen", "lead"),
        "begin": ("fieldwork", "lead"),
        "hold": ("on_hold", "lead"),
        "cancel": ("cancelled", "lead admin"),
    },
    "fieldwork": {
        "request_evidence": ("awaiting_evidence", "lead system"),
        "submit": ("in_review", "preparer"),
        "hold": ("on_hold", "lead"),
        "cancel": ("cancelled", "lead admin"),
    },
    "awaiting_evidence": {"receive_evidence": ("fieldwork", "lead system"), "hold": ("on_hold", "lead")},
    "in_review": {
        "request_changes": ("changes_requested", "reviewer"),
        "accept": ("pending_signoff", "reviewer"),
        "hold": ("on_hold", "lead"),
    },
    "changes_requested": {"submit": ("in_review", "preparer"), "hold": ("on_hold", "lead")},
    "pending_signoff": {"sign": ("signed", "lead approver"), "hold": ("on_hold", "lead")},
    "signed": {"report": ("reported", "system"), "reopen": ("draft", "lead approver")},
    "reported": {"close": ("closed", "lead"), "reopen": ("draft", "lead approver")},
    "closed": {"reopen": ("draft", "lead approver")},
    "on_hold": {"resume": ("fieldwork", "lead")},  # here: held from fieldwork
    "cancelled": {},
}


@pytest.mark.parametrize(("state", "action", "role"), list(product(State, Action, CaseRole)))
def test_only_the_listed_triples_succeed(state: State, action: Action, role: CaseRole) -> None:
    to, who = TABLE[state].get(action, ("", ""))
    if role in who.split():
        assert target_of(state, action, [role], reason="because", held_from=State.FIELDWORK) == to
        assert action in allowed(state, [role])
    else:
        with pytest.raises(NotAllowed) as refused:
            target_of(state, action, [role], reason="because", held_from=State.FIELDWORK)
        assert refused.value.allowed == allowed(state, [role])
        assert action not in refused.value.allowed


def test_nobody_without_a_role_moves_anything() -> None:
    assert all(allowed(state, []) == () for state in State)


@pytest.mark.parametrize("action", [action for action, move in MOVES.items() if move.needs_reason])
def test_a_step_that_needs_a_reason_is_refused_without(action: Action) -> None:
    move = MOVES[action]
    state, role = next(iter(move.sources)), next(iter(move.who))
    with pytest.raises(NotAllowed, match="needs a reason"):
        target_of(state, action, [role], reason="  ")
