"""What others are told of money: budgets that are crossed, and costs that run away."""

import uuid
from collections.abc import Sequence

from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish
from traces.costs.charts import money
from traces.models import Deployment
from traces.models.cost import AlertKind, AnomalyKind, Budget, BudgetAlert, CostAnomaly

# Two workers that find the same thing at once store one row; the id that it is told under is the same for both.
NAMESPACE = uuid.UUID("6f1f6a0e-2f0b-5c53-9c36-0c8a3d0f7a11")


def tell_alerts(alerts: Sequence[BudgetAlert]) -> None:
    """Queue what budgets have to say, in the transaction that stores it."""
    for alert in alerts:
        budget = alert.budget
        same = f"{budget.pk} {alert.period_start.isoformat()} {alert.kind} {alert.threshold}"
        publish(alert_notice(alert, budget), event_id=uuid.uuid5(NAMESPACE, same))


def alert_notice(alert: BudgetAlert, budget: Budget) -> Notice:
    """A threshold as an event. Pure."""
    spent, limit = money(alert.spent_micros, budget.currency), money(alert.limit_micros, budget.currency)
    is_spent = alert.kind == AlertKind.SPENT
    title = f"{budget.name}: {alert.threshold} % spent" if is_spent else f"{budget.name} will be over at this pace"
    text = f"{spent} of {limit}; {money(alert.forecast_micros, budget.currency)} expected by the end of the period."
    data = {
        "budget": str(budget.pk), "name": budget.name, "scope": budget.scope, "kind": alert.kind,
        "threshold": alert.threshold, "currency": budget.currency, "spent_micros": alert.spent_micros,
        "forecast_micros": alert.forecast_micros, "limit_micros": alert.limit_micros,
        "period_start": alert.period_start.isoformat(),
    }  # fmt: skip
    return Notice(EventType.BUDGET_ALERT, alert.raised_at, title, text, ("budget-detail", str(budget.pk)), data)


def tell_anomalies(anomalies: Sequence[CostAnomaly]) -> None:
    """Queue what ran away, in the transaction that stores it."""
    if not anomalies:
        return
    deployments = Deployment.objects.in_bulk({one.deployment_id for one in anomalies})
    for one in anomalies:
        same = f"{one.day.isoformat()} {one.kind} {one.deployment_id} {one.who} {one.n}"  # again when it has grown
        publish(anomaly_notice(one, deployments[one.deployment_id]), event_id=uuid.uuid5(NAMESPACE, same))


def anomaly_notice(one: CostAnomaly, deployment: Deployment) -> Notice:
    """Money that ran away as an event; whose session it was is on the page alone. Pure."""
    lost = f"{money(one.lost_micros, one.currency)} beyond the usual" if one.currency else "No price is known"
    text = f"{lost}: {one.cause}."
    data = {
        "kind": one.kind, "deployment": {name: getattr(deployment, name) for name in ("system", "environment", "task")},
        "day": one.day.date().isoformat(), "decisions": one.n, "currency": one.currency,
        "cost_micros": one.cost_micros, "lost_micros": one.lost_micros, "cause": one.cause,
    }  # fmt: skip
    title = f"{AnomalyKind(one.kind).label}: {deployment}"
    return Notice(EventType.COST_ANOMALY, one.noticed_at, title, text, ("usage",), data)
