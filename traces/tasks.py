"""Scheduled work on decisions. Ids in, one call, nothing else."""

from celery import shared_task
from django.db import connection

from tenants.context import tenant_atomic
from tenants.directory import tenant_ids
from traces.completeness import find_gaps

MONTHS_AHEAD = 12


@shared_task
def ensure_partitions() -> None:
    """Months that are still to come have a place before their first record arrives."""
    with connection.cursor() as cursor:
        for table in ("traces_decision", "traces_decisionpayload"):
            cursor.execute("SELECT affidavit_ensure_partitions(%s::regclass, %s)", [table, MONTHS_AHEAD])


@shared_task
def find_sequence_gaps() -> None:
    """Ask every tenant's sources for skipped numbers."""
    for tenant_id in tenant_ids():
        with tenant_atomic(tenant_id):
            find_gaps()
