"""Taking a name out of what the log's events say. The leaves stay: they commit to the old text with a salt that goes
with it, so that nobody can tell a right guess from a wrong one, and the log verifies as before.

Only the worker may do it, and only while an erasure runs that two people asked for: the database holds it to that
(`affidavit_refuse_change`), and to leaving nothing but who acted and why the rest is gone.
"""

from typing import Any

from django.db import connection

from tenants.context import current_tenant_id
from tenants.ledger.canonical import dumps, parse_strict
from tenants.models import LedgerEvent

BATCH = 200
_NAMING = """
SELECT id FROM tenants_ledgerevent
 WHERE tenant_id = %s AND tag NOT LIKE %s AND position(%s::bytea in body) > 0 ORDER BY id LIMIT %s
"""


def redact_events(name: str, reason: str, *, keep: str, batch: int = BATCH) -> int:
    """Empty up to `batch` events in which `name` is a whole value; returns how many. Inside `tenant_atomic`.

    `keep`: a pattern of tags whose events stay as they are, since something signed rests on them.
    The text is looked through as it is stored: no index could know the names that are to be forgotten.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NAMING, [current_tenant_id(), keep, dumps(name), batch])
        ids = [row[0] for row in cursor.fetchall()]
    for event in LedgerEvent.objects.filter(pk__in=ids):
        kept: dict[str, Any] = {"by": event.actor, "erased": reason}
        if (label := parse_strict(bytes(event.body)).get("label")) and label != name:
            kept["label"] = label
        LedgerEvent.objects.filter(pk=event.pk).update(body=dumps(kept), salt=b"")
    return len(ids)


def redaction_of(event: LedgerEvent) -> str:
    """Why its text is gone, for an event that `is_redacted`."""
    return str(parse_strict(bytes(event.body))["erased"])


def is_redacted(event: LedgerEvent) -> bool:
    """Whether its text was taken out: what it says no longer answers its leaf's commitment."""
    return not bytes(event.salt)
