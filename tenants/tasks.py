"""Scheduled work on the logs and the sign-ins, and telling others."""

import logging

from celery import shared_task
from django.db import DatabaseError

from tenants.directory import tenant_ids
from tenants.ledger.anchors import anchor_tenant, configured_sinks
from tenants.notices import feed
from tenants.signin_log import record_refusals
from tenants.webhooks import retention, sending

logger = logging.getLogger("affidavit.anchors")


@shared_task
def anchor_checkpoints() -> int:
    """Give every tenant's newest head to the sinks that are due; one tenant's trouble is not another's."""
    sinks, held = configured_sinks(), 0
    for tenant_id in tenant_ids() if sinks else []:
        try:
            held += anchor_tenant(tenant_id, sinks)
        except DatabaseError:
            logger.exception("the anchors of tenant %s could not be kept", tenant_id)
    return held


@shared_task
def send_webhooks() -> int:
    """Tell every tenant's endpoints what is due."""
    return sending.send_due(tenant_ids())


@shared_task
def forget_deliveries() -> None:
    """Remove what the log of deliveries and the bell no longer keep."""
    for tenant_id in tenant_ids():
        retention.forget_deliveries(tenant_id)
        feed.forget_notifications(tenant_id)


@shared_task
def record_refused_sign_ins() -> int:
    """Tell the organisations of people that were turned away."""
    return record_refusals()
