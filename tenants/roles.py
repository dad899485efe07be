"""Roles and what they may do: data, no code. A permission is `noun.verb`."""

from collections.abc import Iterable, Mapping

from django.db import models


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Administrator"
    POLICY_AUTHOR = "policy_author", "Policy author"
    POLICY_APPROVER = "policy_approver", "Policy approver"
    AUDITOR = "auditor", "Auditor"
    EXTERNAL_AUDITOR = "external_auditor", "External auditor"
    VIEWER = "viewer", "Viewer"


READING = frozenset({"decision.read", "ledger.read", "policy.read", "case.read"})

PERMISSIONS: Mapping[str, frozenset[str]] = {
    Role.OWNER: READING
    | {
        "feedback.write",
        "tenant.manage",
        "erasure.read",
        "erasure.request",
        "erasure.approve",
        "hold.read",
        "hold.place",
        "hold.release",
        "retention.read",
        "retention.manage",
        "member.manage",
        "key.manage",
        "source.manage",
        "webhook.manage",
        "policy.break_glass",
        "finding.accept_risk",
        "activity.read",
        "decision.export",
        "budget.manage",
        "drift.manage",
        "price.manage",
    },
    Role.ADMIN: READING
    | {
        "feedback.write",
        "erasure.read",
        "erasure.request",
        "hold.read",
        "hold.place",
        "retention.read",
        "member.manage",
        "key.manage",
        "source.manage",
        "webhook.manage",
        "policy.draft",
        "policy.submit",
        "policy.break_glass",
        "case.create",
        "finding.respond",
        "activity.read",
        "decision.export",
        "budget.manage",
        "drift.manage",
        "price.manage",
    },
    Role.POLICY_AUTHOR: READING | {"policy.draft", "policy.submit", "policy.backtest", "finding.respond"},
    Role.POLICY_APPROVER: READING
    | {
        "policy.approve",
        "policy.activate",
        "policy.break_glass",
        "policy.backtest",
        "finding.respond",
        "finding.accept_risk",
        "decision.read_payload",
    },
    Role.AUDITOR: READING
    | {
        "feedback.write",
        "erasure.read",
        "hold.read",
        "hold.place",
        "retention.read",
        "drift.manage",
        "decision.read_payload",
        "decision.export",
        "case.create",
        "case.work",
        "case.review",
        "case.sign",
        "activity.read",
    },
    Role.EXTERNAL_AUDITOR: frozenset({"case.comment"}),
    Role.VIEWER: READING,
}

# A person who holds both could approve their own work somewhere: refused when the roles are given.
CONFLICTS: tuple[frozenset[str], ...] = (
    frozenset({Role.POLICY_AUTHOR, Role.POLICY_APPROVER}),
    frozenset({Role.ADMIN, Role.POLICY_APPROVER}),
    frozenset({Role.EXTERNAL_AUDITOR, Role.AUDITOR}),
)


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """The union of what the roles give."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))


def conflict_in(roles: Iterable[str]) -> frozenset[str] | None:
    """The first pair of roles that one person must not hold together, if any."""
    held = set(roles)
    return next((pair for pair in CONFLICTS if pair <= held), None)
