"""From an alert on behaviour to a case: by hand, or by the tenant's rule. An alert has one case, whoever opened it.

Alerts know nothing of cases: they are rows, which are polled here.
"""

import logging
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from audits.access import PERMISSION_OF
from audits.models import AlertCase, AlertRule, Case, CaseType
from audits.services import Brief, open_case, require_member
from audits.workflow import CaseRole
from tenants.access import require
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import first_uuid_at
from tenants.ledger.log import append
from tenants.models import User
from traces.drift.names import channel_name
from traces.drift.selectors import Shown, ripe_alerts
from traces.drift.severity import kinds_from
from traces.models import ModelVersion
from traces.models.drift import AlertSeverity, DriftKind
from traces.selectors import DecisionFilter

PERMISSION = "case.create"
A_ROUND = 20  # cases of a tenant that the rule opens at once
CHANNEL_CUT = 200  # characters of an alert's channel: a name that long may have been longer
PATIENCE = timedelta(days=1)  # how long the rule waits until a change is worked out
LOOKED_BACK = timedelta(days=30)
logger = logging.getLogger(__name__)


class HasCase(Exception):
    """The alert has a case already."""

    def __init__(self, case: Case) -> None:
        super().__init__(f"Case {case.number} was opened for this alert.")
        self.case = case


# --- What a case of an alert is about ---------------------------------------------------------------------------------


def scope_of_alert(shown: Shown) -> DecisionFilter:
    """The decisions that it is about: its deployment, from the onset on; under the new model or prompt, where that is
    the likeliest cause. Of an event: until it was noticed, and of the one it is about.

    A segment is no column of decisions: it stands in the objective.
    """
    alert, place = shown.alert, shown.deployment
    whole = DecisionFilter(alert.onset_at, system=place.system, environment=place.environment, task=place.task)
    if alert.p is not None:
        return replace(whole, **_new_version(shown))
    whole = replace(whole, until=alert.noticed_at + timedelta(seconds=1))
    _, _, who = alert.channel.partition(":")
    if not who or len(alert.channel) == CHANNEL_CUT or alert.kind not in (DriftKind.RUNAWAY, DriftKind.REPEATS):
        return whole
    return replace(whole, session=who) if alert.kind == DriftKind.RUNAWAY else replace(whole, q=who)


def _new_version(shown: Shown) -> dict[str, Any]:
    """The model or prompt that came with the change, if one is its likeliest cause."""
    causes = [cause for cause in shown.document.get("causes", []) if not cause["rejected"]]
    field, new = (causes[0]["field"], causes[0].get("new", "")) if causes else ("", "")
    if field == "prompt" and new:
        return {"prompt": new}
    if field != "model" or not new:
        return {}
    known = ModelVersion.objects.exclude(name="").values_list("provider", "name", "version")
    names = {name for parts in known if " ".join(filter(None, parts)) == new for name in [parts[1]]}
    return {"model": names.pop()} if len(names) == 1 else {}


def brief_of_alert(shown: Shown) -> Brief:
    """What the case is called and what it is to establish; the person who opens it may say otherwise."""
    alert = shown.alert
    title = f"{alert.get_kind_display()}: {shown.deployment}{f', {alert.segment}' if alert.segment else ''}"
    kind = CaseType.MODEL_CHANGE if "model" in _new_version(shown) else CaseType.TRIGGERED
    since = f"{alert.onset_at:%-d %b %Y, %H:%M} UTC"
    what = f"{channel_name(alert.channel)} changed" if alert.p is not None else alert.cause
    likely = f" Likeliest cause: {alert.cause}." if alert.p is not None else ""
    segment = f" It shows in the segment “{alert.segment}”." if alert.segment else ""
    objective = f"{what[:1].upper()}{what[1:]}, since {since}.{likely}{segment} Are the decisions since then right?"
    return Brief(title[:200], kind, objective)


# --- By hand ----------------------------------------------------------------------------------------------------------


def case_of_alert(alert_id: uuid.UUID) -> Case | None:
    """The alert's case, if it has one. Inside `tenant_atomic`."""
    link = AlertCase.objects.select_related("case").filter(alert_id=alert_id).first()
    return link.case if link else None


def open_case_for_alert(
    *, by: Actor, shown: Shown, brief: Brief, lead: User | None = None, by_rule: bool = False
) -> Case:
    """A case over the alert's decisions, bound to the alert: both or neither. Raises `HasCase`, `ValidationError`."""
    require(by, PERMISSION)
    with tenant_atomic(by.tenant_id):
        if (known := case_of_alert(shown.id)) is not None:
            raise HasCase(known)
        case = open_case(by=by, scope=scope_of_alert(shown), brief=brief, lead=lead)
        try:
            with transaction.atomic():
                AlertCase.objects.create(alert_id=shown.id, case=case, by_rule=by_rule)
        except IntegrityError:  # opened by another at this moment: case numbers are given one at a time
            raise ValidationError("Somebody opened a case for this alert just now.") from None
        body = {"case": str(case.pk), "number": case.number, "alert": str(shown.id), "by_rule": by_rule}
        append(Tag.CASE_ALERT_LINKED, by=by, body=body, ref=case.pk)
    return case


# --- By the rule ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """Alerts of `least` severity and more open a case that `lead` leads; empty: none do."""

    least: str = ""
    lead: User | None = None


def set_alert_rule(*, by: Actor, terms: RuleTerms) -> AlertRule:
    """Say from now on which alerts open a case. Raises `ValidationError`."""
    require(by, PERMISSION)
    if terms.least and terms.least not in AlertSeverity.values:
        raise ValidationError({"least": f"One of {', '.join(AlertSeverity.values)}, or empty."})
    if terms.least and terms.lead is None:
        raise ValidationError({"lead": "Name the person who leads the cases."})
    with tenant_atomic(by.tenant_id):
        if terms.lead is not None:
            require_member(terms.lead.pk, CaseRole.LEAD)
        said: dict[str, Any] = {"least": terms.least, "lead": terms.lead, "since": datetime.now(UTC)}
        rule, _ = AlertRule.objects.update_or_create(defaults=said | {"set_by": by.reference})
        body = {"least": terms.least, "lead": str(terms.lead.pk) if terms.lead else None}
        append(Tag.ALERT_RULE_SET, by=by, body=body, ref=rule.pk)
    return rule


def current_rule() -> AlertRule | None:
    """The tenant's rule, if one was ever set. Inside `tenant_atomic`."""
    return AlertRule.objects.select_related("lead").first()


def open_cases_for_alerts(tenant_id: uuid.UUID, now: datetime | None = None) -> list[Case]:
    """Open a case for each alert that the rule is about and that has none; run again, it does what is left.

    One worker at a time holds the rule's row. A change waits until it is worked out, at most a day, so that its
    population begins where it truly began; one that is expected or muted opens none. Where the lead can lead no
    longer, nothing is opened, and the log says so.
    """
    moment, opened = now or datetime.now(UTC), []
    by = system_actor(tenant_id, "alert-rule", PERMISSION_OF[CaseRole.LEAD])
    with tenant_atomic(tenant_id):
        rule = AlertRule.objects.select_for_update(skip_locked=True).exclude(least="").first()
        if rule is None:
            return []
        first = first_uuid_at(max(rule.since, moment - LOOKED_BACK))
        known = AlertCase.objects.filter(alert_id__gte=first).values("alert_id")
        for shown in ripe_alerts(
            first, kinds_from(rule.least), now=moment, patience=PATIENCE, without=known, most=A_ROUND
        ):
            try:
                brief = brief_of_alert(shown)
                opened.append(open_case_for_alert(by=by, shown=shown, brief=brief, lead=rule.lead, by_rule=True))
            except ValidationError as refused:
                logger.warning("no case for alert %s: %s", shown.id, " ".join(refused.messages))
                break
    return opened
