"""What people decide about an alert: the only writer of its standing. Each step is a leaf in the ledger."""

import uuid
from datetime import UTC, datetime

from django.core.exceptions import ValidationError

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from traces.drift.state import dump, load
from traces.models.drift import DriftAlert, DriftAlertState, DriftStanding, DriftWatch

MAX_NOTE = 2_000


def acknowledge_alert(*, by: Actor, alert_id: uuid.UUID, note: str = "") -> DriftAlertState:
    """Somebody is on it."""
    with tenant_atomic(by.tenant_id):
        return _stand(by, alert_id, DriftStanding.ACKNOWLEDGED, Tag.DRIFT_ACKNOWLEDGED, note)


def mute_alert(*, by: Actor, alert_id: uuid.UUID, until: datetime, note: str) -> DriftAlertState:
    """Not a matter until then. Raises `ValidationError` without a reason, or for a time that has passed."""
    if until <= datetime.now(UTC):
        raise ValidationError({"until": "A time to come."})
    _need_note(note)
    with tenant_atomic(by.tenant_id):
        return _stand(by, alert_id, DriftStanding.MUTED, Tag.DRIFT_MUTED, note, until)


def expect_change(*, by: Actor, alert_id: uuid.UUID, note: str) -> DriftAlertState:
    """The change was meant: what came after its onset is normal from now on. Raises `ValidationError` without a reason.

    1. The alert stands as expected, ledgered.
    2. The watch of its deployment starts anew with the records after the onset, in the same transaction; a worker that
       holds it waits for our row or we for its.
    """
    _need_note(note)
    with tenant_atomic(by.tenant_id):
        state = _stand(by, alert_id, DriftStanding.EXPECTED, Tag.DRIFT_EXPECTED, note)
        newest = DriftAlert.objects.filter(supersedes_id=alert_id).first() or DriftAlert.objects.get(pk=alert_id)
        stored = DriftWatch.objects.select_for_update().filter(pk=newest.deployment_id).first()
        if stored:
            watch = load(bytes(stored.state))
            watch.restart((newest.ramp_end_at or newest.onset_at).timestamp())
            stored.state, stored.open_alert_id = dump(watch), None
            stored.save(update_fields=["state", "open_alert_id"])
        return state


def _need_note(note: str) -> None:
    if not note.strip():
        raise ValidationError({"note": "Say why: it is what an auditor will ask."})


def _stand(
    by: Actor, alert_id: uuid.UUID, standing: str, tag: Tag, note: str, until: datetime | None = None
) -> DriftAlertState:
    require(by, "drift.manage")
    if len(note) > MAX_NOTE:
        raise ValidationError({"note": f"At most {MAX_NOTE:,} characters."})
    state = get_row(DriftAlertState.objects.select_for_update(), pk=alert_id)
    state.standing, state.note, state.muted_until = standing, note.strip(), until
    state.changed_at, state.changed_by = datetime.now(UTC), by.reference
    state.save()
    body = {"alert": str(alert_id), "note": state.note} | ({"until": until.isoformat()} if until else {})
    append(tag, by=by, body=body, ref=alert_id)
    return state
