"""Drafting, submitting and withdrawing versions. Approval: `policies.approvals`; effect: `policies.activations`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from policies.document import DocumentError, PolicyDocument, canonical, parse, sha256
from policies.lifecycle import OPEN_STAGES, PERMISSION, QUORUM, Stage, State, Step, is_possible, state_of
from policies.markup import Problem, read_markup
from policies.models import Mode, Policy, PolicyActivation, PolicyReview, PolicyVersion
from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import ApiKey, Membership


class NotPossible(ValidationError):
    """The version's state does not allow the step. Over REST: 409."""


class Stale(NotPossible):
    """Somebody changed the version since the caller looked. Over REST: 409, or 412 if the caller sent If-Match."""


class DocumentRefused(ValidationError):
    """A document that is not valid; `problems` have line, column and message. Over REST: 422."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__([f"Line {p.line}, column {p.column}: {p.message}" for p in problems])
        self.problems = tuple(problems)


def draft_version(*, by: Actor, source: str, change_reason: str = "", policy_name: str = "") -> PolicyVersion:
    """Keep a document as the next version of the policy it names, which is made if it is new.

    It takes the place of a version that was still in the making, whose approvals no longer count. Raises
    `DocumentRefused` with each problem's line and column (also when the document is not of `policy_name`, if that is
    given), and `NotPossible` for a document that changes nothing.
    """
    require(by, "policy.draft")
    document = checked(source)
    if policy_name and document.policy != policy_name:
        raise DocumentRefused([_named_otherwise(source, document.policy, policy_name)])
    with tenant_atomic(by.tenant_id):
        policy = _policy_of(by, document)
        newest = policy.versions.order_by("-number").first()
        digest = bytes.fromhex(sha256(document))
        if newest and bytes(newest.sha256) == digest:
            raise NotPossible(f"Version {newest.number} says exactly the same.")
        _supersede_open(by, policy)
        version = PolicyVersion.objects.create(
            policy=policy,
            number=newest.number + 1 if newest else 1,
            sha256=digest,
            source=source,
            canonical=canonical(document),
            risk_class=document.risk_class,
            change_reason=change_reason.strip(),
            author_id=responsible_for(by),
        )
        PolicyReview.objects.create(policy=policy, version=version)
        append(Tag.POLICY_VERSION_DRAFTED, by=by, body=version_body(version))
    return version


def checked(source: str) -> PolicyDocument:
    """The document, or `DocumentRefused`."""
    try:
        return parse(source)
    except DocumentError as error:
        raise DocumentRefused(error.problems) from None


def _named_otherwise(source: str, found: str, wanted: str) -> Problem:
    root = read_markup(source, [])
    node = (root.fields or {}).get("policy") if root else None
    line, column = (node.line, node.column) if node else (1, 1)
    return Problem(line, column, f"policy: this is a document of {found}, not of {wanted}")


def submit_version(*, by: Actor, version: PolicyVersion, revision: int | None = None) -> PolicyReview:
    """Ask for approval: freezes who may give it, how many are needed, and whose work it is."""
    with tenant_atomic(by.tenant_id):
        review = locked_review(version, revision)
        refuse_unless(by, review, Step.SUBMIT)
        requester = responsible_for(by)
        review.round += 1
        review.quorum = quorum_for(review.version, requester)
        review.stage = Stage.IN_REVIEW
        review.requester_id = requester
        review.submitted_at = datetime.now(UTC)
        review.approved_until = None
        advance(review)
        body = version_body(review.version) | {"quorum": review.quorum, "round": review.round}
        append(Tag.POLICY_VERSION_SUBMITTED, by=by, body=body, ref=version.pk)
    return review


def withdraw_version(
    *, by: Actor, version: PolicyVersion, reason: str = "", revision: int | None = None
) -> PolicyReview:
    """Take a version out of the making; its approvals no longer count."""
    with tenant_atomic(by.tenant_id):
        review = locked_review(version, revision)
        refuse_unless(by, review, Step.WITHDRAW)
        review.stage = Stage.WITHDRAWN
        advance(review)
        append(
            Tag.POLICY_VERSION_WITHDRAWN, by=by, body=version_body(review.version) | {"reason": reason}, ref=version.pk
        )
    return review


def quorum_for(version: PolicyVersion, requester: Any) -> dict[str, Any]:
    """The snapshot that approvals are bound to: approvals needed, who may give one, and whose work it is."""
    needed = QUORUM[version.risk_class]
    contributors = _contributors(version) | ({requester} if requester else set())
    seats = Membership.objects.all()
    eligible = {seat.user_id for seat in seats if "policy.approve" in seat.permissions} - contributors
    if len(eligible) < needed:
        raise ValidationError(
            f"A policy of risk class {version.risk_class} needs {needed} approvals by people who did not work on it; "
            f"this organisation has {len(eligible)}. Give somebody the role of policy approver."
        )
    return {
        "risk_class": version.risk_class,
        "needed": needed,
        "approvers": sorted(str(pk) for pk in eligible),
        "contributors": sorted(str(pk) for pk in contributors),
    }


def _contributors(version: PolicyVersion) -> set[Any]:
    """The authors of a version and of the drafts that it grew from, back to the last one that was in force."""
    found = set()
    earlier = PolicyReview.objects.filter(policy_id=version.policy_id, version__number__lte=version.number)
    for review in earlier.select_related("version").order_by("-version__number"):
        if review.stage == Stage.RELEASED and review.version_id != version.pk:
            break
        found.add(review.version.author_id)
    return found - {None}


def locked_review(version: PolicyVersion, revision: int | None = None) -> PolicyReview:
    """The version's review, its policy locked until the transaction ends; refused when it is not the one seen."""
    Policy.objects.select_for_update().get(pk=version.policy_id)
    review = get_row(PolicyReview.objects.select_related("version", "policy"), version_id=version.pk)
    if revision is not None and review.revision != revision:
        raise Stale("Somebody changed this version since you looked; look again.")
    return review


def advance(review: PolicyReview) -> None:
    """Save a step of the review."""
    review.revision += 1
    try:
        with transaction.atomic():
            review.save()
    except IntegrityError:
        raise NotPossible("Another version of this policy is in the making; finish or withdraw that first.") from None


def current_state(review: PolicyReview, now: datetime | None = None) -> State:
    """What the version is, by its review and its enforced activations."""
    activations = PolicyActivation.objects.filter(version_id=review.version_id, mode=Mode.ENFORCE)
    runs = [activation.run for activation in activations.filter(cancelled_at__isnull=True)]
    return state_of(review.stage, runs, review.approved_until, now or datetime.now(UTC))


def refuse_unless(by: Actor, review: PolicyReview, step: Step) -> State:
    """The state, if the table allows the step to this actor; `PermissionDenied` or `NotPossible` if not."""
    require(by, PERMISSION[step])
    state = current_state(review)
    if not is_possible(state, step):
        raise NotPossible(
            f"A version that is {state.replace('_', ' ')} cannot be changed this way ({step.replace('_', ' ')})."
        )
    return state


def refuse_own_work(by: Actor, version: PolicyVersion, review: PolicyReview) -> None:
    """Four eyes: nobody decides about what they wrote or asked for."""
    person = responsible_for(by)
    own = _contributors(version) | ({review.requester_id} - {None})
    if person is not None and (person in own or str(person) in review.quorum.get("contributors", [])):
        raise NotPossible("You worked on this version or asked for it; somebody else must decide.")


def responsible_for(by: Actor) -> Any:
    """The person behind an action: the one who acts, or who made the key that does. None for the product itself."""
    if by.key_id is not None:
        return ApiKey.objects.values_list("created_by_id", flat=True).get(pk=by.key_id)
    return by.user_id


def _supersede_open(by: Actor, policy: Policy) -> None:
    """An edit replaces what was in the making and voids the approvals it had."""
    for review in PolicyReview.objects.filter(policy=policy, stage__in=OPEN_STAGES).select_related("version__policy"):
        voided = review.approvals.filter(round=review.round, is_approved=True).count()
        review.stage = Stage.SUPERSEDED
        advance(review)
        if voided:
            body = version_body(review.version) | {"approvals": voided}
            append(Tag.POLICY_APPROVALS_VOIDED, by=by, body=body, ref=review.version_id)


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


def version_body(version: PolicyVersion) -> dict[str, object]:
    """How the ledger names a version."""
    return {
        "policy": version.policy.slug,
        "version": version.number,
        "sha256": bytes(version.sha256).hex(),
        "risk_class": version.risk_class,
        "change_reason": version.change_reason,
    }
