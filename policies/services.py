"""Policies: every write. A version is never changed; who wrote it does not put it in force."""

from datetime import UTC, datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import F

from policies.document import DocumentError, PolicyDocument, canonical, parse, sha256
from policies.models import Mode, Policy, PolicyActivation, PolicyVersion
from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import Tenant


def draft_version(*, by: Actor, source: str, change_reason: str = "") -> PolicyVersion:
    """Keep a document as the next version of the policy it names, which is made if it is new.

    Raises `ValidationError` with each problem's line and column, and for a document that changes nothing.
    """
    require(by, "policy.draft")
    document = checked(source)
    with tenant_atomic(by.tenant_id):
        policy = _policy_of(by, document)
        newest = policy.versions.order_by("-number").first()
        digest = bytes.fromhex(sha256(document))
        if newest and bytes(newest.sha256) == digest:
            raise ValidationError(f"Version {newest.number} says exactly the same.")
        version = PolicyVersion.objects.create(
            policy=policy,
            number=newest.number + 1 if newest else 1,
            sha256=digest,
            source=source,
            canonical=canonical(document),
            risk_class=document.risk_class,
            change_reason=change_reason.strip(),
            author_id=by.user_id,
        )
        append(Tag.POLICY_VERSION_DRAFTED, by=by, body=version_body(version))
    return version


def checked(source: str) -> PolicyDocument:
    """The document, or a `ValidationError` with one message a problem."""
    try:
        return parse(source)
    except DocumentError as error:
        raise ValidationError([f"Line {p.line}, column {p.column}: {p.message}" for p in error.problems]) from None


def _policy_of(by: Actor, document: PolicyDocument) -> Policy:
    """The policy, locked so that versions are numbered one after the other."""
    policy = Policy.objects.select_for_update().filter(slug=document.policy).first()
    if policy is not None:
        if policy.title != document.title:
            policy.title = document.title
            policy.save(update_fields=["title"])
        return policy
    try:
        with transaction.atomic():
            policy = Policy.objects.create(slug=document.policy, title=document.title)
    except IntegrityError:  # somebody made it meanwhile
        return Policy.objects.select_for_update().get(slug=document.policy)
    append(Tag.POLICY_CREATED, by=by, body={"policy": policy.slug, "title": policy.title})
    return policy


def activate_version(
    *, by: Actor, version: PolicyVersion, mode: str = Mode.ENFORCE, starts: datetime | None = None
) -> PolicyActivation:
    """Put a version in force from `starts` (now unless said, never earlier), in place of the one before it.

    Four eyes: its author cannot. Raises `ValidationError`, also when another start is already planned for then.
    """
    require(by, "policy.activate")
    if version.author_id is not None and version.author_id == by.user_id:
        raise ValidationError("You wrote this version; somebody else must put it in force.")
    with tenant_atomic(by.tenant_id):
        policy = Policy.objects.select_for_update().get(pk=version.policy_id)
        now = datetime.now(UTC)
        start = starts or now
        if start < now:
            raise ValidationError("A policy starts now or later, never in the past.")
        _close_current(policy, mode, start)
        activation = _start(by, policy, version, mode, start)
        body = version_body(version) | {"mode": mode, "from": start.isoformat()}
        append(Tag.POLICY_ACTIVATED, by=by, body=body, ref=version.pk)
        _raise_epoch(by)
    return activation


def retire_policy(*, by: Actor, policy: Policy, mode: str = Mode.ENFORCE) -> None:
    """End what is in force of a policy, now."""
    require(by, "policy.activate")
    with tenant_atomic(by.tenant_id):
        locked = Policy.objects.select_for_update().get(pk=policy.pk)
        if not _close_current(locked, mode, datetime.now(UTC)):
            raise ValidationError("Nothing of this policy is in force.")
        append(Tag.POLICY_RETIRED, by=by, body={"policy": locked.slug, "mode": mode})
        _raise_epoch(by)


def _close_current(policy: Policy, mode: str, at: datetime) -> bool:
    """Set the end of the activation that holds at a moment; its start never moves."""
    current = policy.activations.filter(mode=mode, effective__contains=at).first()
    if current is None:
        return False
    current.effective = DateTimeTZRange(current.effective.lower, at)
    if current.effective.isempty:
        raise ValidationError("Another version starts at that very moment.")
    current.save(update_fields=["effective"])
    return True


def _start(by: Actor, policy: Policy, version: PolicyVersion, mode: str, start: datetime) -> PolicyActivation:
    try:
        with transaction.atomic():
            return PolicyActivation.objects.create(
                policy=policy,
                version=version,
                mode=mode,
                effective=DateTimeTZRange(start, None),
                activated_by_id=by.user_id,
            )
    except IntegrityError:
        raise ValidationError("Another version is planned to start later; withdraw that first.") from None


def _raise_epoch(by: Actor) -> None:
    """Tell every process that what it remembers of this tenant's policies is old."""
    Tenant.objects.filter(pk=by.tenant_id).update(policy_epoch=F("policy_epoch") + 1)


def version_body(version: PolicyVersion) -> dict[str, object]:
    """How the ledger names a version."""
    return {
        "policy": version.policy.slug,
        "version": version.number,
        "sha256": bytes(version.sha256).hex(),
        "risk_class": version.risk_class,
        "change_reason": version.change_reason,
    }
