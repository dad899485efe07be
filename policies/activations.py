"""Putting versions in force, planning, suspending and ending them; and what was believed to be in force when.

Nothing starts in the past, and what was recorded is never taken back: an end is set, a plan is marked as cancelled, and
what resumes afterwards is an activation of its own.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import F

from policies.lifecycle import BREAK_GLASS_LASTS, OPEN_STAGES, Stage, State, Step
from policies.models import Mode, Policy, PolicyActivation, PolicyFollowUp, PolicyReview, PolicyVersion
from policies.services import NotPossible, advance, locked_review, refuse_own_work, refuse_unless, version_body
from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import Tenant

FOLLOW_UP_WITHIN = timedelta(days=5)
_PLANNED = "Another version is planned to start later; withdraw that first."


@dataclass(frozen=True, slots=True)
class _Span:
    """What to write: a version, a mode and when, at `now`."""

    version: PolicyVersion
    mode: str
    starts: datetime
    ends: datetime | None
    now: datetime


def activate_version(
    *,
    by: Actor,
    version: PolicyVersion,
    mode: str = Mode.ENFORCE,
    starts: datetime | None = None,
    revision: int | None = None,
) -> PolicyActivation:
    """Put an approved version in force from `starts` (now unless said, never earlier), in place of the one before it.

    In shadow mode it is evaluated and recorded, enforces nothing, and stays approved. Raises `NotPossible`.
    """
    with tenant_atomic(by.tenant_id):
        review = locked_review(version, revision)
        refuse_unless(by, review, Step.ACTIVATE)
        refuse_own_work(by, review.version, review)
        now = datetime.now(UTC)
        start = starts or now
        if start < now:
            raise NotPossible("A policy starts now or later, never in the past.")
        _close(review.policy, mode, start, now, ended_as=State.SUPERSEDED)
        activation = _write(by, _Span(review.version, mode, start, None, now))
        if mode == Mode.ENFORCE:
            review.stage = Stage.RELEASED
        advance(review)
        body = version_body(review.version) | {"mode": mode, "from": start.isoformat(), "round": review.round}
        append(Tag.POLICY_ACTIVATED, by=by, body=body, ref=version.pk)
        _raise_epoch(by)
    return activation


def cancel_activation(*, by: Actor, version: PolicyVersion, revision: int | None = None) -> None:
    """Cancel a planned start; what it would have replaced goes on."""
    with tenant_atomic(by.tenant_id):
        review = locked_review(version, revision)
        refuse_unless(by, review, Step.CANCEL)
        now = datetime.now(UTC)
        planned = _live(review.policy, Mode.ENFORCE).filter(version=version, effective__startswith__gt=now)
        for plan in planned:
            plan.cancelled_at = now
            plan.save(update_fields=["cancelled_at"])
            _continue_before(by, review.policy, plan, now)
        if not _live(review.policy, Mode.ENFORCE).filter(version=version).exists():
            others = PolicyReview.objects.filter(policy=review.policy, stage__in=OPEN_STAGES).exclude(pk=review.pk)
            review.stage = Stage.SUPERSEDED if others.exists() else Stage.APPROVED
        advance(review)
        append(Tag.POLICY_PLAN_CANCELLED, by=by, body=version_body(review.version), ref=version.pk)
        _raise_epoch(by)


def suspend_version(*, by: Actor, version: PolicyVersion, reason: str, revision: int | None = None) -> None:
    """The stop button: out of force now, until somebody resumes it."""
    with tenant_atomic(by.tenant_id):
        _end(by, locked_review(version, revision), Step.SUSPEND, State.SUSPENDED, reason)


def retire_version(*, by: Actor, version: PolicyVersion, reason: str = "", revision: int | None = None) -> None:
    """Out of force now, for good; a later version may follow."""
    with tenant_atomic(by.tenant_id):
        _end(by, locked_review(version, revision), Step.RETIRE, State.RETIRED, reason)


def retire_policy(*, by: Actor, policy: Policy, mode: str = Mode.ENFORCE) -> None:
    """End what is in force of a policy in that mode, now."""
    require(by, "policy.activate")
    with tenant_atomic(by.tenant_id):
        current = _live(policy, mode).filter(effective__contains=datetime.now(UTC)).select_related("version").first()
        if current is None:
            raise NotPossible("Nothing of this policy is in force.")
        if mode == Mode.ENFORCE:
            retire_version(by=by, version=current.version)
            return
        now = datetime.now(UTC)
        _close(Policy.objects.select_for_update().get(pk=policy.pk), mode, now, now, ended_as=State.RETIRED)
        append(Tag.POLICY_RETIRED, by=by, body=version_body(current.version) | {"mode": mode}, ref=current.version_id)
        _raise_epoch(by)


def resume_version(*, by: Actor, version: PolicyVersion, reason: str, revision: int | None = None) -> PolicyActivation:
    """Put a suspended version in force again."""
    with tenant_atomic(by.tenant_id):
        review = locked_review(version, revision)
        refuse_unless(by, review, Step.RESUME)
        refuse_own_work(by, review.version, review)
        now = datetime.now(UTC)
        if _live(review.policy, Mode.ENFORCE).filter(effective__endswith__isnull=True).exists():
            raise NotPossible("Another version took its place.")
        activation = _write(by, _Span(review.version, Mode.ENFORCE, now, None, now), reason=reason)
        advance(review)
        append(Tag.POLICY_RESUMED, by=by, body=version_body(review.version) | {"reason": reason}, ref=version.pk)
        _raise_epoch(by)
    return activation


def break_glass(
    *,
    by: Actor,
    version: PolicyVersion,
    reason: str,
    lasts: timedelta = BREAK_GLASS_LASTS,
    revision: int | None = None,
) -> PolicyActivation:
    """Put a version in force at once on one person's word, for at most 24 hours; a follow-up cannot be skipped.

    What was in force before resumes afterwards by itself.
    """
    if not reason.strip():
        raise ValidationError({"reason": "Say why it cannot wait for the quorum."})
    if not timedelta(0) < lasts <= BREAK_GLASS_LASTS:
        raise ValidationError("An emergency lasts at most 24 hours.")
    with tenant_atomic(by.tenant_id):
        review = locked_review(version, revision)
        refuse_unless(by, review, Step.BREAK_GLASS)
        refuse_own_work(by, review.version, review)
        now = datetime.now(UTC)
        ends = now + lasts
        before = _close(review.policy, Mode.ENFORCE, now, now, ended_as=State.SUPERSEDED)
        span = _Span(review.version, Mode.ENFORCE, now, ends, now)
        activation = _write(by, span, reason=reason, is_break_glass=True)
        if before is not None:
            _write(by, _Span(before.version, Mode.ENFORCE, ends, before.planned_end, now), reason="resumes by itself")
        PolicyFollowUp.objects.create(activation=activation, reason=reason, due_at=now + FOLLOW_UP_WITHIN)
        advance(review)
        body = version_body(review.version) | {"reason": reason, "until": ends.isoformat()}
        append(Tag.POLICY_GLASS_BROKEN, by=by, body=body, ref=version.pk)
        _raise_epoch(by)
    return activation


def in_force_at(at: datetime, *, known_at: datetime | None = None) -> list[PolicyActivation]:
    """Activations in force at `at`, as the record stood at `known_at` (now unless said): both times of the record."""
    rows = PolicyActivation.objects.select_related("policy", "version", "activated_by").order_by("policy__slug", "mode")
    if known_at is None:
        return list(rows.filter(cancelled_at__isnull=True, effective__contains=at))
    known = rows.filter(recorded_at__lte=known_at, effective__startswith__lte=at)
    not_cancelled = models.Q(cancelled_at__isnull=True) | models.Q(cancelled_at__gt=known_at)
    return [row for row in known.filter(not_cancelled) if (end := end_as_known(row, known_at)) is None or at < end]


def end_as_known(row: PolicyActivation, known_at: datetime) -> datetime | None:
    """When an activation ends, as the record stood at `known_at`."""
    for until, end in row.past_ends:
        if known_at < datetime.fromisoformat(until):
            return datetime.fromisoformat(end) if end else None
    present: datetime | None = row.effective.upper
    return present


def _live(policy: Policy, mode: str) -> "models.QuerySet[PolicyActivation]":
    return PolicyActivation.objects.filter(policy=policy, mode=mode, cancelled_at__isnull=True)


def _end(by: Actor, review: PolicyReview, step: Step, ended_as: State, reason: str) -> None:
    """Inside the caller's transaction, the review locked."""
    refuse_unless(by, review, step)
    now = datetime.now(UTC)
    plans = _live(review.policy, Mode.ENFORCE).filter(version_id=review.version_id, effective__startswith__gt=now)
    plans.update(cancelled_at=now)
    _close(review.policy, Mode.ENFORCE, now, now, ended_as=ended_as)
    advance(review)
    tag = Tag.POLICY_SUSPENDED if ended_as == State.SUSPENDED else Tag.POLICY_RETIRED
    append(tag, by=by, body=version_body(review.version) | {"reason": reason}, ref=review.version_id)
    _raise_epoch(by)


def _close(policy: Policy, mode: str, at: datetime, now: datetime, *, ended_as: State) -> PolicyActivation | None:
    """Set the end of the activation that holds at a moment; its start never moves."""
    current = _live(policy, mode).filter(effective__contains=at).select_related("version").first()
    if current is None:
        return None
    if current.effective.lower == at:
        raise NotPossible("Another version starts at that very moment.")
    if current.effective.upper is not None:
        if ended_as == State.SUPERSEDED:
            raise NotPossible(_PLANNED)
        current.planned_end = current.effective.upper  # a stop button works whatever was planned
    before = current.effective.upper
    current.past_ends = [*current.past_ends, [now.isoformat(), before.isoformat() if before else None]]
    current.effective = DateTimeTZRange(current.effective.lower, at)
    current.closed_at, current.ended_as = now, ended_as
    current.save(update_fields=["effective", "closed_at", "ended_as", "planned_end", "past_ends"])
    return current


def _continue_before(by: Actor, policy: Policy, plan: PolicyActivation, now: datetime) -> None:
    """What ends where a cancelled plan would have started goes on from there."""
    start = plan.effective.lower
    before = _live(policy, plan.mode).filter(effective__endswith=start).select_related("version").first()
    if before is not None and before.ended_as == State.SUPERSEDED:
        _write(by, _Span(before.version, plan.mode, start, before.planned_end, now), reason="the plan was cancelled")


def _write(by: Actor, span: _Span, *, reason: str = "", is_break_glass: bool = False) -> PolicyActivation:
    try:
        with transaction.atomic():
            return PolicyActivation.objects.create(
                policy_id=span.version.policy_id,
                version=span.version,
                mode=span.mode,
                effective=DateTimeTZRange(span.starts, span.ends),
                recorded_at=span.now,
                planned_end=span.ends,
                activated_by_id=by.user_id,
                reason=reason,
                is_break_glass=is_break_glass,
            )
    except IntegrityError:
        raise NotPossible(_PLANNED) from None


def _raise_epoch(by: Actor) -> None:
    """Tell every process that what it remembers of this tenant's policies is old."""
    Tenant.objects.filter(pk=by.tenant_id).update(policy_epoch=F("policy_epoch") + 1)
