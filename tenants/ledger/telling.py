"""What others are told when a log no longer holds: it is the one thing here that must reach people by every way."""

import uuid
from datetime import datetime

from tenants.models import LedgerLog
from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish

NAMESPACE = uuid.UUID("4b7d0a52-91ab-5b1f-8f0e-2d5e0f6f5d10")


def tell_broken(log: LedgerLog, now: datetime) -> None:
    """Queue it, once a day for as long as it is so. Inside `tenant_atomic`."""
    same = uuid.uuid5(NAMESPACE, f"{log.tenant_id} {log.shard} {now:%Y-%m-%d}")
    data = {"origin": log.origin, "size": log.size}
    text = "The newest signed head does not follow from the stored tree. Run `manage.py verify_ledger`; see its page."
    notice = Notice(
        EventType.LEDGER_BROKEN, now, "The ledger does not hold", text, ("ledger-health",), data, "ledger.read"
    )
    publish(notice, event_id=same)
