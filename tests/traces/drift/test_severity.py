"""Every kind of alert has a severity: one without would stop the watch that noticed it."""

from traces.drift.severity import OF_KIND, kinds_from, severity_of
from traces.models.drift import AlertSeverity, DriftKind


def test_every_kind_has_a_severity() -> None:
    assert set(OF_KIND) == set(DriftKind)
    assert severity_of("lengths") == AlertSeverity.MEDIUM


def test_the_least_severity_asks_for_all() -> None:
    assert set(kinds_from("low")) == set(DriftKind)
    assert set(kinds_from("high")) == {"behaviour", "runaway_session"}
