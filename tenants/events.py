"""Everything the product does that an auditor may ask about: one closed vocabulary, `noun.verb`.

A tag is the `typ` of the event's leaf in the ledger. Adding one is adding a line here; a test keeps the grammar.
"""

from enum import StrEnum


class Tag(StrEnum):
    """`noun.verb`, the verb in the past: it happened."""

    TENANT_CREATED = "tenant.created"
    MEMBER_ADDED = "member.added"
    MEMBER_ROLES_CHANGED = "member.roles_changed"
    MEMBER_REMOVED = "member.removed"
    SOURCE_CREATED = "source.created"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    POLICY_CREATED = "policy.created"
    POLICY_VERSION_DRAFTED = "policy_version.drafted"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_RETIRED = "policy.retired"
    POLICY_VERSION_SUBMITTED = "policy_version.submitted"
    POLICY_VERSION_APPROVED = "policy_version.approved"
    POLICY_VERSION_REJECTED = "policy_version.rejected"
    POLICY_VERSION_WITHDRAWN = "policy_version.withdrawn"
    POLICY_APPROVALS_VOIDED = "policy_version.approvals_voided"
    POLICY_PLAN_CANCELLED = "policy.plan_cancelled"
    POLICY_SUSPENDED = "policy.suspended"
    POLICY_RESUMED = "policy.resumed"
    POLICY_GLASS_BROKEN = "policy.glass_broken"
    BACKTEST_STARTED = "backtest.started"
    BACKTEST_FINISHED = "backtest.finished"
    BACKTEST_CANCELLED = "backtest.cancelled"
    CASE_OPENED = "case.opened"
    CASE_FROZEN = "case.population_frozen"
    CASE_SAMPLE_DRAWN = "case.sample_drawn"
    CASE_ACCESS_GRANTED = "case.access_granted"
    CASE_MOVED = "case.moved"
    CASE_ITEM_REVIEWED = "case_item.reviewed"
    FINDING_WRITTEN = "finding.written"
    CASE_SIGNED = "case.signed"
    REPORT_BUILT = "report.built"
    BUNDLE_EXPORTED = "bundle.exported"
    PAYLOAD_READ = "payload.read"
    LOG_FROZEN = "log.frozen"
