"""From a signal of the watch to an alert: the row, its evidence, and the leaf that says when we knew."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tenants.actors import system_actor
from tenants.events import Tag
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from traces.drift import evidence, telling, words
from traces.drift.causes import Happening
from traces.drift.events import Event
from traces.drift.finding import weigh_events
from traces.drift.frame import Frame, Row
from traces.drift.observation import text_of
from traces.drift.watch import Change, Signal
from traces.marks.selectors import MarkFilter, marks
from traces.models import Deployment, Mark
from traces.models.drift import DriftAlert, DriftAlertState, DriftKind, DriftStanding
from traces.models.mark import MarkKind
from traces.selectors import members_of, read_contents

AGAIN_AFTER = timedelta(hours=6)
EVENTS_AROUND = timedelta(days=1)
MAX_EVENTS = 50  # that are weighed, the newest
TEXTS = 300  # answers of each side that words are counted in


def write(
    tenant_id: uuid.UUID, deployment_id: uuid.UUID, signal: Signal, opened: uuid.UUID | None, at: float
) -> uuid.UUID | None:
    """Store what was noticed; returns the alert that still waits for its final word. Written before: left as it is."""
    if isinstance(signal, Event) and _told_lately(deployment_id, signal):
        return opened
    if isinstance(signal, Change):
        signal = _beside_events(deployment_id, signal)
    fields = _event_fields(signal) if isinstance(signal, Event) else _change_fields(signal)
    fields |= {"deployment_id": deployment_id}
    final = bool(fields["final"])
    if not isinstance(signal, Event):
        fields["supersedes_id"] = opened if final else None
    same = ("deployment_id", "kind", "segment", "channel", "noticed_at", "final")
    if known := DriftAlert.objects.filter(**{name: fields[name] for name in same}).first():
        return opened if isinstance(signal, Event) else None if final else known.pk
    alert = DriftAlert.objects.create(**fields)
    first = fields.get("supersedes_id") or alert.pk
    DriftAlertState.objects.get_or_create(pk=first, defaults={"standing": DriftStanding.OPEN})
    append(
        Tag.DRIFT_NOTICED,
        by=system_actor(tenant_id, "drift"),
        body={
            "alert": str(first), "deployment": str(deployment_id), "kind": alert.kind, "channel": alert.channel,
            "onset": alert.onset_at.isoformat(), "final": final, "cause": alert.cause,
        },
        ref=alert.pk,
    )  # fmt: skip
    telling.tell(alert)
    if isinstance(signal, Event):
        return opened
    return None if final else alert.pk


def _beside_events(deployment_id: uuid.UUID, change: Change) -> Change:
    """The change, its causes ranked beside the events that programs told of around its onset."""
    onset, last = change.finding.onset, len(change.rows) - 1
    low, high = (change.rows[min(at, last)].seen.at for at in (onset.low, onset.end or onset.high))
    deployment = Deployment.objects.get(pk=deployment_id)
    wanted = MarkFilter(_moment(low) - EVENTS_AROUND, _moment(high) + EVENTS_AROUND, system=deployment.system)
    found = marks(wanted).filter(environment__in=["", deployment.environment])[:MAX_EVENTS]
    return replace(change, finding=weigh_events(change.rows, change.finding, [_happening(mark) for mark in found]))


def _happening(mark: Mark) -> Happening:
    where = f" on {mark.instance}" if mark.instance else ""
    text = f"{MarkKind(mark.kind).label.lower()}{where}: {mark.title}"
    until = mark.ended_at.timestamp() if mark.ended_at and mark.ended_at > mark.occurred_at else None
    return Happening(text, mark.occurred_at.timestamp(), until, mark.instance)


def _told_lately(deployment_id: uuid.UUID, event: Event) -> bool:
    """Whether the same thing about the same one was told hours ago: it goes on, which is no news."""
    since = _moment(event.at) - AGAIN_AFTER
    return DriftAlert.objects.filter(
        deployment_id=deployment_id,
        channel=_event_channel(event),
        noticed_at__gt=since,
        noticed_at__lt=_moment(event.at),
    ).exists()


def _event_channel(event: Event) -> str:
    return f"{event.kind}:{event.who}"[:200]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)


def _event_fields(event: Event) -> dict[str, Any]:
    document: dict[str, Any] = {"text": event.text, "count": event.count, "first": event.first_id}
    return {
        "kind": event.kind, "segment": "", "channel": _event_channel(event), "cause": event.text, "p": None,
        "noticed_at": _moment(event.at), "onset_at": _moment(event.since), "onset_low_at": _moment(event.since),
        "onset_high_at": _moment(event.since), "final": True, "document": dumps(document),
    }  # fmt: skip


def _change_fields(change: Change) -> dict[str, Any]:
    finding, rows = change.finding, change.rows
    onset = finding.onset

    def at(index: int) -> datetime:
        return _moment(rows[min(index, len(rows) - 1)].seen.at)

    kind = DriftKind.INPUT if finding.kind == "input shift" else DriftKind.BEHAVIOUR
    return {
        "kind": kind, "segment": change.segment, "channel": finding.alarm.channel,
        "cause": finding.causes[0].text, "p": finding.alarm.p, "noticed_at": _moment(finding.alarm.at),
        "onset_at": at(onset.index), "onset_low_at": at(onset.low), "onset_high_at": at(onset.high),
        "ramp_end_at": at(onset.end) if onset.end is not None else None, "final": change.final,
        "document": dumps(_document(change)),
    }  # fmt: skip


def _document(change: Change) -> dict[str, Any]:
    """Everything that speaks for it, in I-JSON."""
    finding, rows = change.finding, change.rows
    frame, split = Frame.of(rows), finding.onset.index
    words_before, words_after = _texts(rows[max(0, split - TEXTS) : split]), _texts(rows[split : split + TEXTS])
    return {
        "alarm": {"channel": finding.alarm.channel, "p": finding.alarm.p, "window": finding.alarm.window},
        "records": {"before": split, "after": len(rows) - split},
        "channels": [{"name": name, "p": p} for name, p in sorted(finding.shifts.items(), key=lambda item: item[1])],
        "causes": [asdict(cause) | {"rejected": cause.rejected} for cause in finding.causes],
        "words": [asdict(word) for word in evidence.telling_words(words_before, words_after)],
        "style": [
            {"name": name, "before": old, "after": new} for name, old, new in evidence.style_changes(frame, split)
        ],
        "pairs": [asdict(pair) for pair in evidence.pairs(rows, split)],
        "chart": [[at, round(value, 4)] for at, value in finding.chart],
    }


def _texts(rows: Sequence[Row]) -> list[list[str]]:
    contents = read_contents([uuid.UUID(row.seen.id) for row in rows if row.features.has_text])
    return [words.tokens(_answer(members_of(content))) for content in contents.values()]


def _answer(members: Mapping[str, Any]) -> str:
    output = members.get("output")
    return output if isinstance(output, str) else text_of(output, "assistant")
