"""What a version may go through, and who moves it: one table, pure.

Stored is only what people decided (`Stage`). Whether a version is in force, planned, suspended or over follows from its
activations and the clock (`state_of`), so that no job has to run for a page, or for a refusal, to be right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

APPROVAL_LASTS = timedelta(days=14)
BREAK_GLASS_LASTS = timedelta(hours=24)
QUORUM: Mapping[str, int] = {"low": 1, "medium": 1, "high": 2}
"""Approvals needed, by the document's risk class."""


class State(StrEnum):
    """What a version is now."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    SUPERSEDED = "superseded"
    RETIRED = "retired"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Stage(StrEnum):
    """What people decided about a version. `RELEASED`: it was put in force; its activations tell the rest."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    RELEASED = "released"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


OPEN_STAGES = (Stage.DRAFT, Stage.IN_REVIEW, Stage.APPROVED)
"""A policy has at most one version in these."""


class Step(StrEnum):
    """What somebody can do to a version."""

    EDIT = "edit"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    REJECT = "reject"
    ACTIVATE = "activate"
    CANCEL = "cancel"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETIRE = "retire"
    BREAK_GLASS = "break_glass"


PERMISSION: Mapping[Step, str] = {
    Step.EDIT: "policy.draft",
    Step.SUBMIT: "policy.submit",
    Step.WITHDRAW: "policy.submit",
    Step.APPROVE: "policy.approve",
    Step.REJECT: "policy.approve",
    Step.ACTIVATE: "policy.activate",
    Step.CANCEL: "policy.activate",
    Step.SUSPEND: "policy.activate",
    Step.RESUME: "policy.activate",
    Step.RETIRE: "policy.activate",
    Step.BREAK_GLASS: "policy.break_glass",
}

STEPS: Mapping[State, frozenset[Step]] = {
    State.DRAFT: frozenset({Step.EDIT, Step.SUBMIT, Step.WITHDRAW, Step.BREAK_GLASS}),
    State.IN_REVIEW: frozenset({Step.EDIT, Step.WITHDRAW, Step.APPROVE, Step.REJECT, Step.BREAK_GLASS}),
    State.APPROVED: frozenset({Step.EDIT, Step.WITHDRAW, Step.ACTIVATE}),
    State.SCHEDULED: frozenset({Step.EDIT, Step.CANCEL}),
    State.ACTIVE: frozenset({Step.EDIT, Step.SUSPEND, Step.RETIRE}),
    State.SUSPENDED: frozenset({Step.EDIT, Step.RESUME}),
    State.SUPERSEDED: frozenset({Step.EDIT, Step.BREAK_GLASS}),
    State.RETIRED: frozenset({Step.EDIT, Step.BREAK_GLASS}),
    State.REJECTED: frozenset({Step.EDIT}),
    State.WITHDRAWN: frozenset({Step.EDIT}),
    State.EXPIRED: frozenset({Step.EDIT, Step.SUBMIT, Step.WITHDRAW, Step.BREAK_GLASS}),
}
"""Every step that is possible, by state; all others are refused."""


@dataclass(frozen=True, slots=True)
class Run:
    """An enforced activation, not cancelled: from `starts` (included) to `ends` (excluded; None: open).

    `ended_as`: the state that its end left the version in.
    """

    starts: datetime
    ends: datetime | None
    ended_as: str = ""

    def holds_at(self, at: datetime) -> bool:
        return self.starts <= at and (self.ends is None or at < self.ends)


def state_of(stage: str, runs: Iterable[Run], approved_until: datetime | None, now: datetime) -> State:
    """The version's state at `now`."""
    known = sorted(runs, key=lambda run: run.starts)
    if any(run.holds_at(now) for run in known):
        return State.ACTIVE
    if any(run.starts > now for run in known):
        return State.SCHEDULED
    if stage == Stage.RELEASED:
        return State(known[-1].ended_as or State.SUPERSEDED) if known else State.APPROVED
    if stage == Stage.APPROVED and approved_until is not None and approved_until <= now:
        return State.EXPIRED
    return State(stage)


def is_possible(state: State, step: Step) -> bool:
    """Whether the table lists the step for the state."""
    return step in STEPS[state]


def may(state: State, step: Step, permissions: Iterable[str]) -> bool:
    """Whether somebody with these permissions can take the step; four eyes come on top."""
    return is_possible(state, step) and PERMISSION[step] in permissions
