"""Whether somebody silenced what an alert is about. It is stored and listed all the same: only nobody is told."""

from datetime import datetime

from traces.models.drift import DriftAlert, DriftAlertState, DriftStanding


def is_muted(alert: DriftAlert, now: datetime) -> bool:
    """Whether an alert of the same deployment, kind, segment and channel is muted until after `now`.

    An event's channel names whom it is about: of events, a mute holds for the kind in the deployment.
    """
    muted = DriftAlertState.objects.filter(standing=DriftStanding.MUTED, muted_until__gt=now)
    same = DriftAlert.objects.filter(deployment_id=alert.deployment_id, kind=alert.kind, segment=alert.segment)
    if alert.p is not None:
        same = same.filter(channel=alert.channel)
    return same.filter(pk__in=muted.values("pk")).exists()
