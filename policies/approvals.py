"""Four eyes: a person's yes or no to one exact statement, given with their password.

The statement names the content, its difference to what is in force, the backtest, the quorum as frozen at submission,
who asked, and a nonce. It is shown, sealed in a token, and compared with what holds when the answer comes: whatever
changed in between, the answer is refused.
"""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from policies.diff import diff_sha256
from policies.document import parse
from policies.lifecycle import APPROVAL_LASTS, Stage, Step
from policies.models import PolicyApproval, PolicyBacktest, PolicyReview, PolicyVersion
from policies.services import NotPossible, advance, locked_review, refuse_own_work, refuse_unless, version_body
from tenants.actors import Actor, Kind
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from tenants.models import User

TOKEN_SALT = "policies.approval"  # noqa: S105  # a name, no secret
TOKEN_SECONDS = 3600
MEANING = {
    True: "I have read this version and what it changes, and approve that it is put in force.",
    False: "I have read this version and what it changes, and refuse it.",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What an approver is shown (`content`), and the sealed proof that it was shown to them (`token`)."""

    content: dict[str, Any]
    token: str


def statement_for(*, by: Actor, version: PolicyVersion) -> Statement:
    """What `by` would decide about now. Raises as `decide` would."""
    with tenant_atomic(by.tenant_id):
        review = locked_review(version)
        _refuse_approver(by, review)
        content = _content(review, secrets.token_hex(16))
    sealed = {"user": str(by.user_id), "nonce": content["nonce"], "sha256": hashlib.sha256(dumps(content)).hexdigest()}
    return Statement(content, signing.dumps(sealed, salt=TOKEN_SALT))


def approve_version(*, by: Actor, version: PolicyVersion, token: str, password: str, comment: str = "") -> PolicyReview:
    """Approve what the token's statement said; the last approval of the quorum makes the version approved."""
    return _decide(by, version, token, password, comment, is_approved=True)


def reject_version(*, by: Actor, version: PolicyVersion, token: str, password: str, comment: str = "") -> PolicyReview:
    """Refuse it; one refusal ends the review."""
    if not comment.strip():
        raise ValidationError({"comment": "Say why: the author needs it."})
    return _decide(by, version, token, password, comment, is_approved=False)


def _decide(
    by: Actor, version: PolicyVersion, token: str, password: str, comment: str, *, is_approved: bool
) -> PolicyReview:
    if by.kind != Kind.PERSON or by.user_id is None:
        raise PermissionDenied("An approval is a person's; a key cannot give one.")
    if not User.objects.get(pk=by.user_id).check_password(password):
        raise ValidationError({"password": "This is not your password; an approval needs it."})
    with tenant_atomic(by.tenant_id):
        review = locked_review(version)
        _refuse_approver(by, review, Step.APPROVE if is_approved else Step.REJECT)
        content = _confirmed(by, review, token)
        statement = dumps(content | {"meaning": MEANING[is_approved], "approver": str(by.user_id)})
        _keep(by.user_id, review, statement, content["nonce"], comment, is_approved=is_approved)
        if not is_approved:
            review.stage = Stage.REJECTED
        elif _given(review) >= review.quorum["needed"]:
            review.stage = Stage.APPROVED
            review.approved_until = datetime.now(UTC) + APPROVAL_LASTS
        advance(review)
        tag = Tag.POLICY_VERSION_APPROVED if is_approved else Tag.POLICY_VERSION_REJECTED
        body = version_body(review.version) | {
            "statement": statement.decode(),
            "statement_sha256": hashlib.sha256(statement).hexdigest(),
            "comment": comment,
            "stage": str(review.stage),
        }
        append(tag, by=by, body=body, ref=version.pk)
    return review


def _refuse_approver(by: Actor, review: PolicyReview, step: Step = Step.APPROVE) -> None:
    refuse_unless(by, review, step)
    refuse_own_work(by, review.version, review)
    if str(by.user_id) not in review.quorum["approvers"]:
        raise NotPossible("You were not among the approvers when this version was submitted.")
    if review.approvals.filter(round=review.round, approver_id=by.user_id).exists():
        raise NotPossible("You have decided about this version already.")


def _content(review: PolicyReview, nonce: str) -> dict[str, Any]:
    version = review.version
    return {
        "policy": review.policy.slug,
        "version": version.number,
        "version_sha256": bytes(version.sha256).hex(),
        "diff_sha256": diff_sha256(base_document(version), parse(bytes(version.canonical))),
        "backtest": _backtest(version),
        "quorum": review.quorum,
        "requester": str(review.requester_id) if review.requester_id else None,
        "round": review.round,
        "nonce": nonce,
    }


def base_version(version: PolicyVersion) -> PolicyVersion | None:
    """The newest earlier version that was in force: what a version's difference is taken against."""
    earlier = PolicyVersion.objects.filter(policy_id=version.policy_id, number__lt=version.number)
    return earlier.filter(reviews__stage=Stage.RELEASED).order_by("-number").first()


def base_document(version: PolicyVersion) -> Any:
    """The document of `base_version`, or None."""
    base = base_version(version)
    return parse(bytes(base.canonical)) if base else None


def _backtest(version: PolicyVersion) -> dict[str, str] | None:
    """The newest finished replay of exactly this version."""
    done = PolicyBacktest.objects.filter(version=version, state=PolicyBacktest.State.DONE)
    newest = done.order_by("-finished_at").first()
    return {"id": str(newest.pk), "sha256": bytes(newest.sha256).hex()} if newest else None


def _confirmed(by: Actor, review: PolicyReview, token: str) -> dict[str, Any]:
    """The statement as it holds now, which must be the one that was shown to this person."""
    try:
        sealed = signing.loads(token, salt=TOKEN_SALT, max_age=TOKEN_SECONDS)
    except signing.BadSignature:
        raise NotPossible("This page is too old or was changed; read the version again.") from None
    content = _content(review, str(sealed["nonce"]))
    if sealed["user"] != str(by.user_id) or sealed["sha256"] != hashlib.sha256(dumps(content)).hexdigest():
        raise NotPossible("The version, its backtest or its quorum is not what you were shown; read it again.")
    return content


def _keep(
    person: uuid.UUID, review: PolicyReview, statement: bytes, nonce: str, comment: str, *, is_approved: bool
) -> None:
    try:
        with transaction.atomic():
            PolicyApproval.objects.create(
                review=review,
                round=review.round,
                approver_id=person,
                is_approved=is_approved,
                statement=statement,
                nonce=uuid.UUID(nonce).hex,
                comment=comment.strip(),
            )
    except IntegrityError:
        raise NotPossible("This approval was given already.") from None


def _given(review: PolicyReview) -> int:
    """Approvals of this round, each by another of the frozen approvers."""
    given = review.approvals.filter(round=review.round, is_approved=True).values_list("approver_id", flat=True)
    return len({str(pk) for pk in given} & set(review.quorum["approvers"]))
