"""Ask before acting: what the policies in force say of a decision that is not made yet, answered and recorded.

What is kept, and why: the answer with the rules behind it, as a row (`traces.models.Evaluation`) and a leaf, so that
nobody can later claim to have asked or been told otherwise. A row of its own, not a general event, because these come
as often as decisions do: partitioned by month, the past can be detached a month at a time. What was asked is not kept.
It comes again with the decision, where it can be erased; here the leaf commits to it with a salt that is handed to the
caller and forgotten. With question and salt the caller can prove what it asked; without, the commitment tells nothing.
"""

import os
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from policies.engine import Finding, Verdict
from policies.timeline import Timeline, ensure_policy_set, timeline_of
from tenants.access import require
from tenants.actors import Actor
from tenants.bulk import raw_cursor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import unix_ms, uuid7, uuid7_time
from tenants.ledger.canonical import dumps
from tenants.ledger.commitments import SALT_BYTES, commit, event_leaf
from tenants.ledger.merkle import leaf_hash
from tenants.models import SourceSystem
from traces import rows
from traces.costs.budgeting import budget_verdict
from traces.costs.budgets import BudgetVerdict
from traces.dimensions import Lru, deployment_ids, deployment_key
from traces.recording import Judgement, judge, rfc3339
from traces.services import USING, refuse_backlog
from traces.submissions import Item
from traces.tracecontext import TraceParent


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An answer ready to be stored: its identity, its leaf, and what its row and the caller need."""

    id: uuid.UUID
    received_at: datetime
    item: Item
    judgement: Judgement
    body: bytes
    salt: bytes
    question_salt: bytes
    leaf: bytes
    leaf_hash: bytes
    budget: BudgetVerdict

    @property
    def shadow_action(self) -> str:
        shadow = self.judgement.shadow
        return shadow.action if shadow else ""

    def answer(self) -> dict[str, Any]:
        """What the application is told, less the receipt."""
        judgement = self.judgement
        shadow = judgement.shadow
        return {
            "id": str(self.id),
            "evaluated_at": rfc3339(self.received_at),
            "verdict": judgement.outcome,
            "action": judgement.action,
            "denied": (judgement.verdict.denies if judgement.verdict else False) or self.budget.action == "block",
            "budget": self.budget.document(),
            "policy_set": f"sha256:{judgement.in_force.sha256.hex()}",
            "policy_match": judgement.match,
            "findings": _findings(judgement.verdict),
            "shadow": {"action": shadow.action, "findings": _findings(shadow)} if shadow else None,
            "leaf_hash": self.leaf_hash.hex(),
            "question_salt": urlsafe_b64encode(self.question_salt).decode().rstrip("="),
        }

    def row(self, deployment_id: uuid.UUID, source_id: uuid.UUID, caller: TraceParent | None) -> tuple[Any, ...]:
        """Values for `rows.EVALUATIONS`; a question that names no trace was asked in the caller's."""
        trace_id = self.item.typed.trace_id or (caller.trace_id if caller else "")
        return (
            self.id,
            deployment_id,
            source_id,
            uuid.UUID(hex=trace_id) if trace_id else None,
            self.judgement.in_force.sha256,
            self.judgement.match,
            self.judgement.outcome,
            self.judgement.action,
            self.shadow_action,
            self.body,
            self.salt,
            self.leaf_hash,
        )


def answer_question(
    *, by: Actor, item: Item, caller: TraceParent | None = None, now: datetime | None = None
) -> dict[str, Any]:
    """Judge what is about to be done by the policies in force now; returns after COMMIT, so the answer is on record.

    Raises `PermissionDenied`, `LogBusy`. The caller decides what to do when there is no answer.
    """
    require(by, "evaluation.ask")
    if by.source_id is None:
        raise ValueError("A key that asks is bound to a source.")
    refuse_backlog(by.tenant_id)
    moment = now or datetime.now(UTC)
    key = deployment_key(item.typed)
    deployment_id = deployment_ids(by.tenant_id, {key}, moment, USING)[key]
    with tenant_atomic(by.tenant_id, using=USING):
        timeline = timeline_of(by.tenant_id, using=USING)
        facts = {"system": key[0], "user": item.typed.user or "", "key": _source_name(by.source_id)}
        budget = budget_verdict(by.tenant_id, facts, moment, using=USING)
        evaluated = evaluate_item(item, by=by, timeline=timeline, budget=budget, now=moment)
        ensure_policy_set(by.tenant_id, evaluated.judgement.in_force, using=USING)
        cursor = raw_cursor(USING)
        rows.EVALUATIONS.insert(cursor, by.tenant_id, [evaluated.row(deployment_id, by.source_id, caller)])
        rows.QUEUE.insert(cursor, by.tenant_id, [(evaluated.id, evaluated.leaf)])
    return evaluated.answer()


_source_names: Lru[uuid.UUID, str] = Lru(10_000)


def _source_name(source_id: uuid.UUID) -> str:
    """What the source is called; one query a process, for a source keeps its name."""
    name = _source_names.get(source_id)
    if name is None:
        name = SourceSystem.objects.using(USING).values_list("name", flat=True).get(pk=source_id)
        _source_names.put(source_id, name)
    return name


def evaluate_item(item: Item, *, by: Actor, timeline: Timeline, budget: BudgetVerdict, now: datetime) -> Evaluated:
    """Give a question its id, its verdict, its commitments and its leaf; no database here.

    The set is that of `now`, whatever time the question says; rules that ask for the time get `now` if it says none.
    """
    rid = uuid7(unix_ms(now))
    received_at = uuid7_time(rid)
    typed = item.typed
    raw = item.raw if "occurred_at" in item.raw else item.raw | {"occurred_at": rfc3339(received_at)}
    judgement = judge(typed, raw, now, timeline)
    body = dumps(_recorded(item, judgement, by) | _budget_of(budget))
    salt, question_salt = os.urandom(SALT_BYTES), os.urandom(SALT_BYTES)
    leaf = event_leaf(
        type=Tag.EVALUATION_ANSWERED,
        tenant_id=by.tenant_id,
        record_id=rid,
        received_at=received_at,
        system=typed.system,
        commitments={
            "event": commit("event", salt, body),
            "question": commit("question", question_salt, dumps(item.raw)),
        },
        policy_hash=judgement.in_force.sha256,
    )
    return Evaluated(rid, received_at, item, judgement, body, salt, question_salt, leaf, leaf_hash(leaf), budget)


def _recorded(item: Item, judgement: Judgement, by: Actor) -> dict[str, Any]:
    """The body that is kept: rules that passed are left out, the policy set implies them."""
    typed = item.typed
    said = judgement.document(typed.policy_claim)
    said["findings"] = _noteworthy(said["findings"])
    if "shadow" in said:
        said["shadow"] = said["shadow"] | {"findings": _noteworthy(said["shadow"]["findings"])}
    place = {"system": typed.system, "environment": typed.environment or "", "task": typed.task or ""}
    return {"by": by.reference, "label": by.label, **place, **said}


def _budget_of(budget: BudgetVerdict) -> dict[str, Any]:
    """What budgets said, where they said anything; an answer within all of them says nothing of them."""
    return {"budget": budget.document()} if budget.action != "allow" else {}


def _noteworthy(findings: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [finding for finding in findings if finding["outcome"] != "not_triggered"]


def _findings(verdict: Verdict | None) -> list[dict[str, str]]:
    return [_finding(finding) for finding in verdict.findings] if verdict else []


def _finding(found: Finding) -> dict[str, str]:
    entry = {
        "policy": found.policy,
        "version": found.policy_hash,
        "rule": found.rule,
        "outcome": found.outcome,
        "action": found.action,
        "severity": found.severity,
        "message": found.message,
    }
    return entry | ({"error": found.error} if found.error else {})
