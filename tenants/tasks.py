"""Scheduled work on the logs."""

import logging

from celery import shared_task
from django.db import DatabaseError

from tenants.directory import tenant_ids
from tenants.ledger.anchors import anchor_tenant, configured_sinks

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
