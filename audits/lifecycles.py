"""The lives of what a case holds: findings, requests for evidence, review notes, letters. Every move, as data. Pure.

A move names its sources, its target and who may take it; what it needs beyond that (a text, a date) is checked where it
is carried out: `findings`, `requests`, `notes`, `letters`. The database holds the same pairs of states (migrations
0002, letters).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.db import models

from audits.workflow import FindingState, NotAllowed


class Party(StrEnum):
    """What somebody is to one finding, request, note or letter; a person can be several things."""

    LEAD = "lead"
    PREPARER = "preparer"
    REVIEWER = "reviewer"
    OWNER = "owner"  # of the finding: who has to mend it
    ADDRESSEE = "addressee"  # of the request: who has to send it
    SECOND = "second"  # an auditor who neither wrote the finding, or letter, nor owns it
    RISK_APPROVER = "risk_approver"  # may accept risks, and does not own this one
    SYSTEM = "system"


class RequestState(models.TextChoices):
    OPEN = "open", "Open"
    SUBMITTED = "submitted", "Submitted"
    ACCEPTED = "accepted", "Accepted"
    RETURNED = "returned", "Returned"
    WITHDRAWN = "withdrawn", "Withdrawn"


class NoteState(models.TextChoices):
    OPEN = "open", "Open"
    ANSWERED = "answered", "Answered"
    CLEARED = "cleared", "Cleared"


class ErasureState(models.TextChoices):
    REQUESTED = "requested", "Waits for approval"
    APPROVED = "approved", "Approved"
    RUNNING = "running", "Erasing"
    COMPLETED = "completed", "Completed"
    REJECTED = "rejected", "Rejected"


ERASURE_STEPS: Mapping[str, frozenset[str]] = {
    ErasureState.REQUESTED: frozenset({ErasureState.APPROVED, ErasureState.REJECTED}),
    ErasureState.APPROVED: frozenset({ErasureState.RUNNING, ErasureState.REJECTED}),
    ErasureState.RUNNING: frozenset({ErasureState.COMPLETED}),
}


class LetterState(models.TextChoices):
    DRAFT = "draft", "Draft"
    APPROVED = "approved", "Approved"
    SENT = "sent", "Sent"
    WITHDRAWN = "withdrawn", "Withdrawn"


class FindingAction(StrEnum):
    ASSIGN = "assign"
    ISSUE = "issue"
    RESPOND = "respond"
    REMEDIATE = "remediate"
    COMPLETE = "complete"
    RETURN = "return"
    CLOSE = "close"
    ACCEPT_RISK = "accept_risk"
    LAPSE = "lapse"
    DISMISS = "dismiss"
    TRANSFER = "transfer"
    REOPEN = "reopen"


class RequestAction(StrEnum):
    SUBMIT = "submit"
    ACCEPT = "accept"
    RETURN = "return"
    WITHDRAW = "withdraw"


class NoteAction(StrEnum):
    ANSWER = "answer"
    REOPEN = "reopen"
    CLEAR = "clear"


class LetterAction(StrEnum):
    EDIT = "edit"
    APPROVE = "approve"
    SEND = "send"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a life. `target` None changes no state; `asks` says what the text given with it must tell."""

    sources: frozenset[str]
    target: str | None
    who: frozenset[Party]
    asks: str = ""


def _step(sources: Iterable[str], target: str | None, *who: Party, asks: str = "") -> Step:
    return Step(frozenset(sources), target, frozenset(who), asks)


LEAD, PREPARER, REVIEWER, OWNER, ADDRESSEE, SECOND, RISK_APPROVER, SYSTEM = Party
F, R, N, L = FindingState, RequestState, NoteState, LetterState

FINDING_STEPS: Mapping[str, Step] = {
    FindingAction.ASSIGN: _step([F.DRAFT, F.OPEN, F.RESPONSE_RECEIVED, F.IN_REMEDIATION], None, LEAD, PREPARER),
    FindingAction.ISSUE: _step([F.DRAFT], F.OPEN, LEAD, PREPARER),
    FindingAction.RESPOND: _step([F.OPEN], F.RESPONSE_RECEIVED, OWNER, asks="what you say to it"),
    FindingAction.REMEDIATE: _step(
        [F.RESPONSE_RECEIVED], F.IN_REMEDIATION, OWNER, asks="the corrective action that you take"
    ),
    FindingAction.COMPLETE: _step([F.IN_REMEDIATION], F.READY_FOR_CHECK, OWNER, asks="what was done"),
    FindingAction.RETURN: _step(
        [F.READY_FOR_CHECK], F.IN_REMEDIATION, LEAD, PREPARER, REVIEWER, asks="what is not effective yet"
    ),
    FindingAction.CLOSE: _step(
        [F.READY_FOR_CHECK], F.CLOSED, LEAD, PREPARER, REVIEWER, asks="how the effect was checked"
    ),
    FindingAction.ACCEPT_RISK: _step(
        [F.OPEN, F.RESPONSE_RECEIVED], F.RISK_ACCEPTED, RISK_APPROVER, asks="why the risk is acceptable"
    ),
    FindingAction.LAPSE: _step([F.RISK_ACCEPTED], F.OPEN, SYSTEM),
    FindingAction.DISMISS: _step([F.DRAFT, F.OPEN], F.DISMISSED, SECOND, asks="why it is no finding"),
    FindingAction.TRANSFER: _step(
        [F.OPEN, F.RESPONSE_RECEIVED, F.IN_REMEDIATION], F.TRANSFERRED, LEAD, PREPARER, asks="why it goes on elsewhere"
    ),
    FindingAction.REOPEN: _step([F.CLOSED], F.OPEN, LEAD, REVIEWER, asks="what has come up"),
}
REQUEST_STEPS: Mapping[str, Step] = {
    RequestAction.SUBMIT: _step([R.OPEN, R.RETURNED], R.SUBMITTED, ADDRESSEE, asks="what you send"),
    RequestAction.ACCEPT: _step([R.SUBMITTED], R.ACCEPTED, LEAD, PREPARER),
    RequestAction.RETURN: _step([R.SUBMITTED], R.RETURNED, LEAD, PREPARER, asks="what is missing"),
    RequestAction.WITHDRAW: _step(
        [R.OPEN, R.SUBMITTED, R.RETURNED], R.WITHDRAWN, LEAD, PREPARER, asks="why it is not needed"
    ),
}
NOTE_STEPS: Mapping[str, Step] = {
    NoteAction.ANSWER: _step([N.OPEN], N.ANSWERED, PREPARER, asks="your answer"),
    NoteAction.REOPEN: _step([N.ANSWERED], N.OPEN, REVIEWER, asks="what is still open"),
    NoteAction.CLEAR: _step([N.OPEN, N.ANSWERED], N.CLEARED, REVIEWER),
}
LETTER_STEPS: Mapping[str, Step] = {
    LetterAction.EDIT: _step([L.DRAFT], None, LEAD, PREPARER),
    LetterAction.APPROVE: _step([L.DRAFT], L.APPROVED, SECOND),
    LetterAction.SEND: _step([L.APPROVED], L.SENT, LEAD, PREPARER, asks="how it left, without naming the person"),
    LetterAction.WITHDRAW: _step([L.DRAFT, L.APPROVED], L.WITHDRAWN, LEAD, PREPARER, asks="why it does not leave"),
}


def options(steps: Mapping[str, Step], state: str, parties: Iterable[Party]) -> tuple[str, ...]:
    """The actions that somebody who is these things may take in this state."""
    held = frozenset(parties)
    return tuple(action for action, step in steps.items() if state in step.sources and held & step.who)


def step_to(steps: Mapping[str, Step], state: str, action: str, parties: Iterable[Party], text: str = "") -> str:
    """The state that `action` leads to. Raises `NotAllowed`, with what is allowed instead."""
    may = options(steps, state, parties)
    if action not in may:
        raise NotAllowed(f"What is {state.replace('_', ' ')} does not take “{action.replace('_', ' ')}” from you.", may)
    step = steps[action]
    if step.asks and not text.strip():
        raise NotAllowed(f"Say {step.asks}.", may)
    return step.target or state
