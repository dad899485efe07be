"""The life of a case and of a finding: every permitted transition, as data, and the questions asked of it. Pure.

What a transition needs beyond a state and a role (items concluded, quorum reached) is checked where it is carried out,
in `audits.services`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.db import models


class State(models.TextChoices):
    DRAFT = "draft", "Draft"
    PLANNED = "planned", "Planned"
    POPULATION_FROZEN = "population_frozen", "Population frozen"
    FIELDWORK = "fieldwork", "Fieldwork"
    AWAITING_EVIDENCE = "awaiting_evidence", "Awaiting evidence"
    IN_REVIEW = "in_review", "In review"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"
    PENDING_SIGNOFF = "pending_signoff", "Pending sign-off"
    SIGNED = "signed", "Signed"
    REPORTED = "reported", "Reported"
    CLOSED = "closed", "Closed"
    ON_HOLD = "on_hold", "On hold"
    CANCELLED = "cancelled", "Cancelled"


class CaseRole(StrEnum):
    """What somebody is to one case; a person can be several things."""

    LEAD = "lead"
    PREPARER = "preparer"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    ADMIN = "admin"
    SYSTEM = "system"


class Action(StrEnum):
    PLAN = "plan"
    FREEZE = "freeze"
    REFREEZE = "refreeze"
    BEGIN = "begin"
    REQUEST_EVIDENCE = "request_evidence"
    RECEIVE_EVIDENCE = "receive_evidence"
    SUBMIT = "submit"
    REQUEST_CHANGES = "request_changes"
    ACCEPT = "accept"
    SIGN = "sign"
    REPORT = "report"
    CLOSE = "close"
    HOLD = "hold"
    RESUME = "resume"
    CANCEL = "cancel"
    REOPEN = "reopen"


class FindingState(models.TextChoices):
    DRAFT = "draft", "Draft"
    OPEN = "open", "Open"
    RESPONSE_RECEIVED = "response_received", "Response received"
    IN_REMEDIATION = "in_remediation", "In remediation"
    READY_FOR_CHECK = "ready_for_check", "Ready for check"
    CLOSED = "closed", "Closed"
    RISK_ACCEPTED = "risk_accepted", "Risk accepted"
    DISMISSED = "dismissed", "Dismissed"
    TRANSFERRED = "transferred", "Transferred"


class NotAllowed(Exception):
    """A transition that the table does not have for this state and these roles; `allowed` lists those it has."""

    def __init__(self, message: str, allowed: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allowed = tuple(str(action) for action in allowed)


@dataclass(frozen=True, slots=True)
class Move:
    """One line of the table. `target` None leads back to the state the case was held from."""

    sources: frozenset[State]
    target: State | None
    who: frozenset[CaseRole]
    needs_reason: bool = False


LEAD, PREPARER, REVIEWER, APPROVER, ADMIN, SYSTEM = CaseRole
BEFORE_FIELDWORK_ENDS = frozenset({State.DRAFT, State.PLANNED, State.POPULATION_FROZEN, State.FIELDWORK})
BEFORE_SIGNED = BEFORE_FIELDWORK_ENDS | {
    State.AWAITING_EVIDENCE,
    State.IN_REVIEW,
    State.CHANGES_REQUESTED,
    State.PENDING_SIGNOFF,
}
SEALED = frozenset({State.SIGNED, State.REPORTED, State.CLOSED})
WORKABLE = frozenset({State.FIELDWORK, State.CHANGES_REQUESTED})  # where items and findings may change
SETTLED_FINDINGS = frozenset(
    {FindingState.CLOSED, FindingState.RISK_ACCEPTED, FindingState.DISMISSED, FindingState.TRANSFERRED}
)


def _move(sources: Iterable[State], target: State | None, *who: CaseRole, needs_reason: bool = False) -> Move:
    return Move(frozenset(sources), target, frozenset(who), needs_reason)


MOVES: Mapping[Action, Move] = {
    Action.PLAN: _move([State.DRAFT], State.PLANNED, LEAD),
    Action.FREEZE: _move([State.PLANNED], State.POPULATION_FROZEN, LEAD),
    Action.REFREEZE: _move([State.POPULATION_FROZEN], State.POPULATION_FROZEN, LEAD, needs_reason=True),
    Action.BEGIN: _move([State.POPULATION_FROZEN], State.FIELDWORK, LEAD),
    Action.REQUEST_EVIDENCE: _move([State.FIELDWORK], State.AWAITING_EVIDENCE, LEAD, SYSTEM),
    Action.RECEIVE_EVIDENCE: _move([State.AWAITING_EVIDENCE], State.FIELDWORK, LEAD, SYSTEM),
    Action.SUBMIT: _move([State.FIELDWORK, State.CHANGES_REQUESTED], State.IN_REVIEW, PREPARER),
    Action.REQUEST_CHANGES: _move([State.IN_REVIEW], State.CHANGES_REQUESTED, REVIEWER, needs_reason=True),
    Action.ACCEPT: _move([State.IN_REVIEW], State.PENDING_SIGNOFF, REVIEWER),
    Action.SIGN: _move([State.PENDING_SIGNOFF], State.SIGNED, LEAD, APPROVER),
    Action.REPORT: _move([State.SIGNED], State.REPORTED, SYSTEM),
    Action.CLOSE: _move([State.REPORTED], State.CLOSED, LEAD),
    Action.HOLD: _move(BEFORE_SIGNED, State.ON_HOLD, LEAD, needs_reason=True),
    Action.RESUME: _move([State.ON_HOLD], None, LEAD),
    Action.CANCEL: _move(BEFORE_FIELDWORK_ENDS, State.CANCELLED, LEAD, ADMIN, needs_reason=True),
    Action.REOPEN: _move(SEALED, State.DRAFT, LEAD, APPROVER, needs_reason=True),
}


def allowed(state: State, roles: Iterable[CaseRole]) -> tuple[Action, ...]:
    """The actions that somebody with these roles may take on a case in this state."""
    held = frozenset(roles)
    return tuple(action for action, move in MOVES.items() if state in move.sources and held & move.who)


def target_of(
    state: State, action: Action, roles: Iterable[CaseRole], *, reason: str = "", held_from: State | None = None
) -> State:
    """The state that `action` leads to. Raises `NotAllowed`, with what is allowed instead."""
    options = allowed(state, roles)
    move = MOVES[action]
    if action not in options:
        raise NotAllowed(f"A case that is {state.label.lower()} does not take “{action}” from you.", options)
    if move.needs_reason and not reason.strip():
        raise NotAllowed(f"To {action.replace('_', ' ')} needs a reason.", options)
    target = move.target or held_from
    if target is None:
        raise NotAllowed("The case does not say where it was held from.", options)
    return target
