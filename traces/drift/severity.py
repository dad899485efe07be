"""How much an alert matters before anybody has looked: by what kind of thing was noticed. Pure."""

from collections.abc import Mapping, Sequence

from traces.models.drift import AlertSeverity, DriftKind

OF_KIND: Mapping[str, AlertSeverity] = {
    DriftKind.BEHAVIOUR: AlertSeverity.HIGH,  # the AI does something else than it did
    DriftKind.RUNAWAY: AlertSeverity.HIGH,  # money goes while nobody looks
    DriftKind.INPUT: AlertSeverity.MEDIUM,  # others ask, or ask otherwise; answers may still be right
    DriftKind.REPEATS: AlertSeverity.MEDIUM,
    DriftKind.LENGTHS: AlertSeverity.MEDIUM,  # longer is dearer; what is answered may still be right
    DriftKind.ODD_INPUTS: AlertSeverity.LOW,
}
ORDER = (AlertSeverity.LOW, AlertSeverity.MEDIUM, AlertSeverity.HIGH)


def severity_of(kind: str) -> AlertSeverity:
    """The severity of a kind of alert."""
    return OF_KIND[kind]


def kinds_from(least: str) -> Sequence[str]:
    """The kinds that are at least this severe."""
    allowed = ORDER[ORDER.index(AlertSeverity(least)) :]
    return [kind for kind, severity in OF_KIND.items() if severity in allowed]
