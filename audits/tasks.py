"""Background work on cases. Ids in, one call, nothing else."""

import logging
import uuid
from datetime import UTC, datetime
from functools import partial

from celery import shared_task
from django.db import DatabaseError, transaction

from audits import alerts, erasing, findings, followups, publishing, reminding, retention
from audits.models import Case, Erasure
from tenants.actors import system_actor
from tenants.context import tenant_atomic
from tenants.directory import tenant_ids

logger = logging.getLogger("affidavit.retention")


@shared_task
def build_report(tenant_id: str, case_id: str) -> None:
    """Build the report of a case as it is: final once it is signed, else a draft."""
    tenant = uuid.UUID(tenant_id)
    with tenant_atomic(tenant):
        case = Case.objects.get(pk=case_id)
    publishing.build_report(case=case, requested_by=system_actor(tenant, "worker"))


@shared_task
def run_erasure(tenant_id: str, erasure_id: str) -> None:
    """Carry out an approved erasure; run again, it does what is left."""
    erasing.run_erasure(uuid.UUID(tenant_id), uuid.UUID(erasure_id))


@shared_task
def resume_erasures() -> None:
    """Go on with approved erasures that no worker finished: the broker was down, or the worker was killed."""
    for tenant_id in tenant_ids():
        try:
            erasing.resume_erasures(tenant_id)
        except DatabaseError:
            logger.exception("the erasures of tenant %s could not go on", tenant_id)


@shared_task
def purge_contents() -> None:
    """Let go what is over its time; one tenant's trouble is not another's."""
    for tenant_id in tenant_ids():
        try:
            retention.purge(tenant_id)
        except DatabaseError:
            logger.exception("the contents of tenant %s could not be purged", tenant_id)


@shared_task
def open_follow_ups() -> None:
    """Open the cases that policies put in force without their quorum ask for."""
    for tenant_id in tenant_ids():
        followups.open_cases_for_follow_ups(tenant_id)


@shared_task
def remind_of_cases() -> None:
    """Tell of cases whose day comes near."""
    for tenant_id in tenant_ids():
        reminding.remind_of_cases(tenant_id)


@shared_task
def open_alert_cases() -> None:
    """Open the cases that tenants want for alerts on behaviour."""
    for tenant_id in tenant_ids():
        alerts.open_cases_for_alerts(tenant_id)


@shared_task
def lapse_accepted_risks() -> None:
    """Open again the findings whose accepted risk has run out."""
    today = datetime.now(UTC).date()
    for tenant_id in tenant_ids():
        findings.lapse_acceptances(tenant_id, today)


def build_report_later(case: Case) -> None:
    """Ask a worker for it once this transaction is committed. A broker that is down is logged, and does not undo the
    step: the report is built when somebody asks for it."""
    task = partial(build_report.delay, str(case.tenant_id), str(case.pk))
    transaction.on_commit(task, robust=True)


def run_erasure_later(erasure: Erasure) -> None:
    """Ask a worker for it once the approval is committed; `resume_erasures` finds it where the broker is down."""
    task = partial(run_erasure.delay, str(erasure.tenant_id), str(erasure.pk))
    transaction.on_commit(task, robust=True)
