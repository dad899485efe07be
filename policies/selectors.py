"""Reading policies: what pages and REST show, in a number of queries that does not grow with the rows."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from policies import presentation
from policies.lifecycle import OPEN_STAGES, PERMISSION, Stage, Step
from policies.models import Mode, Policy, PolicyActivation, PolicyApproval, PolicyReview, PolicyVersion
from tenants.access import get_row
from tenants.actors import Actor
from tenants.models import User

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy with all that was decided about it, newest first; `states` by version id."""

    policy: Policy
    versions: Sequence[PolicyVersion]
    reviews: Sequence[PolicyReview]
    activations: Sequence[PolicyActivation]
    states: Mapping[uuid.UUID, str]

    def version(self, number: int | str | None) -> PolicyVersion:
        """The version of that number, or the newest."""
        return next((v for v in self.versions if str(v.number) == str(number)), self.versions[0])

    def review(self, version: PolicyVersion) -> PolicyReview:
        return next(review for review in self.reviews if review.version_id == version.pk)


def list_policies(after: str = "", limit: int = PAGE_SIZE) -> "QuerySet[Policy]":
    """Policies by name, those that follow `after`, with what a list row needs."""
    related = ("versions", "reviews", "activations__version")
    return Policy.objects.prefetch_related(*related).filter(slug__gt=after).order_by("slug")[:limit]


def open_file(slug: str, now: datetime) -> PolicyFile:
    """The policy of that name with its history, or 404."""
    policy = get_row(Policy.objects.all(), slug=slug)
    versions = list(policy.versions.select_related("author", "policy").order_by("-number"))
    reviews = list(policy.reviews.select_related("requester").order_by("-version__number"))
    activations = list(policy.activations.select_related("version", "activated_by").order_by("-effective"))
    states = presentation.states_of(reviews, activations, now)
    return PolicyFile(policy, versions, reviews, activations, states)


def get_version(slug: str, number: int) -> PolicyVersion:
    """One version of a policy, or 404."""
    policy = get_row(Policy.objects.all(), slug=slug)
    return get_row(policy.versions.select_related("policy", "author"), number=number)


def versions_in_force(now: datetime) -> list[PolicyVersion]:
    """Every version that is enforced now, by policy."""
    running = PolicyActivation.objects.filter(mode=Mode.ENFORCE, cancelled_at__isnull=True, effective__contains=now)
    return [row.version for row in running.select_related("version__policy").order_by("policy__slug")]


def answers_to(review: PolicyReview) -> list[PolicyApproval]:
    """What approvers answered in the present round, oldest first."""
    return list(review.approvals.filter(round=review.round).select_related("approver").order_by("created_at"))


def names_in(review: PolicyReview) -> dict[str, str]:
    """The people that a review's quorum names and who asked, by id."""
    ids = {*review.quorum.get("approvers", []), *review.quorum.get("contributors", [])}
    ids |= {str(review.requester_id)} if review.requester_id else set()
    return {str(user.pk): str(user) for user in User.objects.filter(pk__in=ids)}


def awaited_version(policy: Policy) -> PolicyVersion | None:
    """The version of a policy that has, or asks for, approvals: a new draft would void them."""
    review = policy.reviews.filter(stage__in=(Stage.IN_REVIEW, Stage.APPROVED)).select_related("version").first()
    return review.version if review else None


@dataclass(frozen=True, slots=True)
class Awaited:
    """A version that waits for one person's step, and since when."""

    version: PolicyVersion
    step: Step
    since: datetime


def awaited_from(actor: Actor, now: datetime) -> list[Awaited]:
    """What a person has to do about versions in the making, the longest wait first. One query, or none."""
    if not any(actor.may(PERMISSION[step]) for step in (Step.SUBMIT, Step.APPROVE, Step.ACTIVATE)):
        return []
    given = PolicyApproval.objects.filter(review=OuterRef("pk"), round=OuterRef("round"), approver=actor.user_id)
    reviews = PolicyReview.objects.filter(stage__in=OPEN_STAGES).annotate(has_answered=Exists(given))
    found = []
    for review in reviews.select_related("version__policy").order_by("id")[:PAGE_SIZE]:
        step = _step_of(actor, review, now)
        if step is not None and not (step == Step.APPROVE and review.has_answered):
            found.append(Awaited(review.version, step, review.submitted_at or review.version.created_at))
    return sorted(found, key=lambda one: one.since)


def _step_of(actor: Actor, review: PolicyReview, now: datetime) -> Step | None:
    """The step that brings the version on and is this person's: approve, activate, or submit what they wrote."""
    if review.stage == Stage.DRAFT:
        is_theirs = review.version.author_id == actor.user_id and actor.may(PERMISSION[Step.SUBMIT])
        return Step.SUBMIT if is_theirs else None
    person = str(actor.user_id)
    if person in {*review.quorum.get("contributors", []), str(review.requester_id)}:
        return None
    if review.stage == Stage.APPROVED:
        is_valid = review.approved_until is None or review.approved_until > now
        return Step.ACTIVATE if is_valid and actor.may(PERMISSION[Step.ACTIVATE]) else None
    is_asked = actor.may(PERMISSION[Step.APPROVE]) and person in review.quorum.get("approvers", [])
    return Step.APPROVE if is_asked else None
