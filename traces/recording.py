"""From submissions to rows: judge, group, commit, seal. No database here, and the clock comes as an argument."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from policies.engine import CompiledPolicy, Verdict, evaluate
from policies.facts import build_facts
from policies.timeline import InForce, Timeline
from tenants.ids import unix_ms, uuid7, uuid7_time
from tenants.ledger.canonical import dumps
from tenants.ledger.commitments import decision_leaf
from tenants.ledger.merkle import leaf_hash
from traces.costs.book import PriceBook
from traces.costs.calls import call_of
from traces.costs.pricing import Cost
from traces.dimensions import DeploymentKey, Lru, deployment_key, model_sha256
from traces.sealing import (
    Content,
    bound_to,
    canonical_groups,
    fingerprint,
    new_seed,
    salts_from,
    seal_content,
)
from traces.submissions import Item, Submitted

LATE_AFTER = timedelta(hours=1)
SKEW_TOLERATED = timedelta(minutes=2)
_quiet_documents: Lru[tuple[Any, ...], bytes] = Lru(2_000)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission with what its identity hangs on: cheap to make, needed before anything is looked up."""

    item: Item
    canonical: dict[str, bytes]
    fingerprint: bytes
    deployment: DeploymentKey
    model_sha256: bytes

    @property
    def subject(self) -> str:
        """Whose data this is: the subject, else the user, else the session; empty for nobody's."""
        typed = self.item.typed
        return typed.subject or typed.user or (f"session:{typed.session}" if typed.session else "")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policies in force said, as it is committed to and as it is shown."""

    in_force: InForce
    match: str
    verdict: Verdict | None
    shadow: Verdict | None

    @property
    def action(self) -> str:
        return self.verdict.action if self.verdict else "allow"

    @property
    def outcome(self) -> str:
        return self.verdict.outcome if self.verdict else "no_policy"

    def document(self, claim: str | None) -> dict[str, Any]:
        """The `policy` group: the set, how the claim relates to it, and what each rule found."""
        document: dict[str, Any] = {
            "effective": f"sha256:{self.in_force.sha256.hex()}",
            "match": self.match,
            "outcome": self.outcome,
            "action": self.action,
            "findings": _findings(self.verdict),
        }
        if claim:
            document["claim"] = claim
        if self.shadow:
            document["shadow"] = {"action": self.shadow.action, "findings": _findings(self.shadow)}
        return document

    def canonical(self, claim: str | None) -> bytes:
        """RFC 8785 bytes of the document; kept for what most decisions share, that nothing triggered."""
        quiet = all(one is None or one.outcome == "not_triggered" for one in (self.verdict, self.shadow))
        if not quiet:
            return dumps(self.document(claim))
        told = (self.match, claim, self.verdict and self.verdict.policies, self.shadow and self.shadow.policies)
        key = (self.in_force.sha256, *told)
        known = _quiet_documents.get(key)
        if known is None:
            known = dumps(self.document(claim))
            _quiet_documents.put(key, known)
        return known


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision ready to be stored: its identity, its leaf, and everything its rows need."""

    id: uuid.UUID
    received_at: datetime
    occurred_at: datetime
    prepared: Prepared
    judgement: Judgement
    content: Content
    seed: bytes
    leaf: bytes
    leaf_hash: bytes
    cost: Cost | None = None  # none: nothing is known of its price

    @property
    def late(self) -> bool:
        return self.received_at - self.occurred_at > LATE_AFTER

    @property
    def clock_skewed(self) -> bool:
        return self.occurred_at - self.received_at > SKEW_TOLERATED

    def sealed(self, tenant_id: uuid.UUID, key: bytes) -> bytes:
        """The payload as it is stored."""
        return seal_content(key, self.seed, self.content.canonical, bound_to(tenant_id, self.id))

    def answer(self) -> dict[str, Any]:
        """What the application is told, less the receipt."""
        return {
            "id": str(self.id),
            "received_at": rfc3339(self.received_at),
            "leaf_hash": self.leaf_hash.hex(),
            "policy_set": f"sha256:{self.judgement.in_force.sha256.hex()}",
            "policy_match": self.judgement.match,
            "verdict": self.judgement.outcome,
            "action": self.judgement.action,
            "late": self.late,
        }


def rfc3339(at: datetime) -> str:
    """RFC 3339 UTC with milliseconds, as receipts and leaves have it."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def prepare(item: Item) -> Prepared:
    """Canonical bytes and fingerprint of a submission."""
    canonical = canonical_groups(item.raw)
    model = item.typed.model
    return Prepared(item, canonical, fingerprint(canonical), deployment_key(item.typed), model_sha256(model))


def _findings(verdict: Verdict | None) -> list[dict[str, str]]:
    if verdict is None:
        return []
    return [
        {"policy": f.policy, "version": f.policy_hash, "rule": f.rule, "outcome": f.outcome, "action": f.action}
        | ({"error": f.error} if f.error else {})
        for f in verdict.findings
    ]


def judge(typed: Submitted, raw: Mapping[str, Any], occurred_at: datetime, timeline: Timeline) -> Judgement:
    """Evaluate the policies in force where and when the decision happened."""
    place = (typed.system, typed.environment or "", typed.task or "")
    in_force = timeline.in_force(*place, occurred_at)
    claim = bytes.fromhex(typed.policy_claim.removeprefix("sha256:")) if typed.policy_claim else None
    match = timeline.match(claim, in_force, occurred_at, place)
    if not in_force.enforced and not in_force.shadow:
        return Judgement(in_force, match, None, None)
    facts = build_facts(raw)
    return Judgement(in_force, match, _evaluated(in_force.enforced, facts), _evaluated(in_force.shadow, facts))


def _evaluated(policies: Sequence[CompiledPolicy], facts: Any) -> Verdict | None:
    return evaluate(policies, facts) if policies else None


def record(prepared: Prepared, *, tenant_id: uuid.UUID, timeline: Timeline, book: PriceBook, now: datetime) -> Recorded:
    """Give a submission its id, its verdict, its cost, its commitments and its leaf."""
    rid = uuid7(unix_ms(now))
    received_at = uuid7_time(rid)
    typed, raw = prepared.item.typed, prepared.item.raw
    occurred_at = typed.occurred_at or received_at
    judgement = judge(typed, raw, occurred_at, timeline)
    canonical = prepared.canonical | {"policy": judgement.canonical(typed.policy_claim)}
    seed = new_seed()
    salts = salts_from(seed)
    content = Content(canonical, {group: salts[group] for group in canonical})
    leaf = decision_leaf(
        tenant_id=tenant_id,
        record_id=rid,
        received_at=received_at,
        system=typed.system,
        commitments=content.commitments(),
        parent_id=typed.parent_id,
        policy_hash=judgement.in_force.sha256,
        model_hash=prepared.model_sha256,
    )
    call = call_of(typed)
    cost = book.cost_of(call, occurred_at) if call else None
    return Recorded(rid, received_at, occurred_at, prepared, judgement, content, seed, leaf, leaf_hash(leaf), cost)


def key_id(kind: str, *parts: bytes) -> uuid.UUID:
    """The id of an idempotency row: the first 128 bits of SHA-256 over its kind and key."""
    digest = hashlib.sha256(b"\0".join((kind.encode(), *parts))).digest()
    return uuid.UUID(bytes=digest[:16])
