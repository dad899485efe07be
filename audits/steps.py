"""Steps of findings, requests, notes and letters as pages offer them: the button, what it asks for, if it ends it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audits.forms import people_with
from audits.lifecycles import FindingAction, LetterAction, NoteAction, RequestAction, Step
from audits.models import Case

LABELS: Mapping[str, str] = {
    FindingAction.ASSIGN: "Assign",
    FindingAction.ISSUE: "Issue",
    FindingAction.RESPOND: "Respond",
    FindingAction.REMEDIATE: "Plan the mending",
    FindingAction.COMPLETE: "Report as mended",
    FindingAction.ACCEPT_RISK: "Accept the risk",
    FindingAction.DISMISS: "Dismiss",
    FindingAction.TRANSFER: "Transfer",
    FindingAction.CLOSE: "Close",
    FindingAction.REOPEN: "Open again",
    RequestAction.SUBMIT: "Submit",
    RequestAction.ACCEPT: "Accept",
    RequestAction.RETURN: "Return",
    RequestAction.WITHDRAW: "Withdraw",
    LetterAction.APPROVE: "Approve",
    LetterAction.SEND: "Record as sent",
    NoteAction.ANSWER: "Answer",
    NoteAction.CLEAR: "Clear",
}
DANGER = frozenset({FindingAction.DISMISS, RequestAction.WITHDRAW, FindingAction.ACCEPT_RISK})


def step_forms(
    url: str,
    may: Iterable[str],
    steps: Mapping[str, Step],
    version: int,
    owners: Sequence[Mapping[str, str]] = (),
    cases: Sequence[Mapping[str, str]] = (),
) -> list[dict[str, Any]]:
    """A form for each step that is open to the reader (audits/_step.html)."""
    return [
        {
            "url": url,
            "action": action,
            "label": LABELS[action],
            "asks": _sentence(steps[action].asks),
            "danger": action in DANGER,
            "version": version,
            "owners": owners if action == FindingAction.ASSIGN else (),
            "cases": cases if action == FindingAction.TRANSFER else (),
            "wants_until": action == FindingAction.ACCEPT_RISK,
        }
        for action in may
        if action in LABELS and (cases or action != FindingAction.TRANSFER)
    ]


def _sentence(asks: str) -> str:
    return f"Say {asks}" if asks else ""


def case_choices(cases: Iterable[Case]) -> list[dict[str, str]]:
    """The cases that a finding can go on in."""
    return [{"value": str(case.pk), "label": str(case)} for case in cases]


def owner_choices() -> list[dict[str, str]]:
    """Who may be made the owner of a finding, read once for a page."""
    return [{"value": str(user.pk), "label": str(user)} for user in people_with("finding.respond")]
