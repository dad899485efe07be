"""What others can be told of: one closed list of event types. Apps above publish these; a test keeps the grammar.

A type that is here is a promise to whoever listens: it may gain members in `data`, and never loses one.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """`noun.verb`, the verb in the past."""

    DRIFT_NOTICED = "drift_alert.noticed"
    DRIFT_WORKED_OUT = "drift_alert.worked_out"
    BUDGET_ALERT = "budget_alert.raised"
    COST_ANOMALY = "cost_anomaly.noticed"
    CASE_OPENED = "case.opened"
    CASE_ASSIGNED = "case.assigned"
    CASE_DUE = "case.came_due"
    EVIDENCE_ASKED = "evidence_request.opened"
    EVIDENCE_DUE = "evidence_request.came_due"
    FINDING_ASSIGNED = "finding.assigned"
    FINDING_DUE = "finding.came_due"
    CLOCK_DUE = "case_clock.came_due"
    LEDGER_BROKEN = "ledger.broken"
    ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    PING = "webhook_endpoint.pinged"


LABELS: Mapping[str, str] = {
    EventType.DRIFT_NOTICED: "Behaviour: something was noticed",
    EventType.DRIFT_WORKED_OUT: "Behaviour: when and why, with more decisions",
    EventType.BUDGET_ALERT: "Budget: a threshold was crossed, or will be",
    EventType.COST_ANOMALY: "Cost: money runs away",
    EventType.CASE_OPENED: "Case: opened",
    EventType.CASE_ASSIGNED: "Case: somebody is to prepare, somebody to review",
    EventType.CASE_DUE: "Case: its day comes near",
    EventType.EVIDENCE_ASKED: "Case: evidence is asked for",
    EventType.EVIDENCE_DUE: "Case: the day of a request for evidence comes near",
    EventType.FINDING_ASSIGNED: "Case: a finding is assigned",
    EventType.FINDING_DUE: "Case: the day of a finding comes near",
    EventType.CLOCK_DUE: "Case: a statutory deadline comes near",
    EventType.LEDGER_BROKEN: "Ledger: its newest head does not hold",
    EventType.ENDPOINT_DISABLED: "Webhooks: an endpoint failed too long and is told no more",
    EventType.PING: "A test, sent by hand",
}
CHOOSABLE = tuple(name for name in EventType if name != EventType.PING)  # a ping goes wherever it is sent


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell.

    `title` and `text` are for people; `page` is the name of its page and what comes after the tenant in its address;
    `data` is for programs: I-JSON, small, and never the content of a decision, because what was sent cannot be erased.
    Members are told by the bell: everybody with `permission`, or, where there are any, `people` alone.
    """

    type: EventType
    at: datetime
    title: str
    text: str = ""
    page: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    permission: str = "decision.read"
    people: tuple[uuid.UUID, ...] = ()
