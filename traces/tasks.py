"""Scheduled work on decisions. Ids in, one call, nothing else."""

import logging
import uuid

from celery import shared_task
from django.db import DatabaseError, connection

from tenants.context import tenant_atomic
from tenants.directory import tenant_ids
from traces import backtesting
from traces.completeness import find_gaps
from traces.costs import anomalies, budgeting, rollups, services
from traces.drift import worker
from traces.meaning import embedding, judge
from traces.search import indexing

logger = logging.getLogger("affidavit.costs")

MONTHS_AHEAD = 12
BACKTEST_SECONDS = 60.0  # of one tenant's, before the next one's turn


@shared_task
def ensure_partitions() -> None:
    """Months that are still to come have a place before their first record arrives."""
    names = ("decision", "decisionpayload", "evaluation", "searchtoken", "span", "spancontent")
    with connection.cursor() as cursor:
        for table in (f"traces_{name}" for name in names):
            cursor.execute("SELECT affidavit_ensure_partitions(%s::regclass, %s)", [table, MONTHS_AHEAD])


@shared_task
def find_sequence_gaps() -> None:
    """Ask every tenant's sources for skipped numbers."""
    for tenant_id in tenant_ids():
        with tenant_atomic(tenant_id):
            find_gaps()


@shared_task
def run_backtests() -> None:
    """Replay what was asked for, the tenants in turn; what is left goes on at the next call."""
    for tenant_id in tenant_ids():
        backtesting.run_backtests(tenant_id, seconds=BACKTEST_SECONDS)


@shared_task
def roll_up_costs() -> None:
    """Count what every tenant's decisions used, then look at its budgets; one's trouble is not another's."""
    for tenant_id in tenant_ids():
        try:
            rollups.roll_up(tenant_id)
            budgeting.watch_budgets(tenant_id)
        except DatabaseError:
            logger.exception("the usage of tenant %s could not be counted", tenant_id)


@shared_task
def watch_costs() -> None:
    """Look for money that runs away, tenant by tenant."""
    for tenant_id in tenant_ids():
        anomalies.watch_costs(tenant_id)


@shared_task
def drop_old_minutes() -> None:
    """Minutes that are no longer kept, of every tenant."""
    for tenant_id in tenant_ids():
        rollups.drop_old_minutes(tenant_id)


@shared_task
def restate_costs(tenant_id: str, restatement_id: str) -> None:
    """Apply today's prices to the decisions of a restatement; run again, it does what is left."""
    services.run_restatement(uuid.UUID(tenant_id), uuid.UUID(restatement_id))


@shared_task
def look_for_drift() -> None:
    """Take what every tenant's decisions were like into its baselines, and past its watches."""
    for tenant_id in tenant_ids():
        worker.look(tenant_id)


@shared_task
def index_words() -> None:
    """Make every tenant's new content findable by its words; one's trouble is not another's."""
    for tenant_id in tenant_ids():
        try:
            indexing.index_words(tenant_id)
        except DatabaseError:
            logger.exception("the words of tenant %s could not be indexed", tenant_id)


@shared_task
def embed_decisions() -> None:
    """Embed and assess what is new, the tenants in turn; only the worker of the queue `embed` runs this."""
    for tenant_id in tenant_ids():
        embedding.embed(tenant_id)


@shared_task
def judge_decisions() -> None:
    """Ask the judge, where there is one, about the share of each tenant's decisions that is meant for it."""
    for tenant_id in tenant_ids():
        judge.judge_waiting(tenant_id)


@shared_task
def forget_orphans() -> None:
    """Remove embeddings and remarks that outlived their content."""
    for tenant_id in tenant_ids():
        embedding.forget_orphans(tenant_id)
