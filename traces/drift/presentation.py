"""Alerts as their pages show them. Numbers in, words and coordinates out; no writes."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from traces.conversation import excerpt, turns
from traces.drift.names import channel_name
from traces.drift.observation import VERSIONS
from traces.drift.selectors import PAGE_SIZE, Shown
from traces.drift.severity import severity_of
from traces.sealing import Content
from traces.selectors import members_of

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 200, 40, 26
EXCERPT = 600


def alert_row(shown: Shown, slug: str) -> dict[str, Any]:
    """A line of the list."""
    alert, until = shown.alert, shown.state.muted_until
    standing = shown.state.standing_at(datetime.now(UTC))
    return {
        "url": reverse("drift-detail", args=[slug, shown.id]),
        "what": alert.get_kind_display(),
        "channel": "" if alert.p is None else channel_name(alert.channel),
        "where": str(shown.deployment),
        "segment": alert.segment,
        "cause": alert.cause,
        "onset_at": alert.onset_at,
        "noticed_at": alert.noticed_at,
        "state": standing,
        "state_label": f"Muted until {until:%-d %b %Y, %H:%M} UTC" if standing == "muted" and until else standing.label,
    }


def older_url(url: str, found: Sequence[Shown]) -> str:
    """The next page; empty on the last."""
    if len(found) < PAGE_SIZE:
        return ""
    return f"{url}?{urlencode({'before': found[-1].alert.noticed_at.isoformat()})}"


def example_ids(shown: Shown) -> list[uuid.UUID]:
    """The decisions that the page quotes."""
    pairs = shown.document.get("pairs", [])
    return [uuid.UUID(pair[side]) for pair in pairs for side in ("before", "after")]


def alert_page(shown: Shown, slug: str, contents: Mapping[uuid.UUID, Content]) -> dict[str, Any]:
    """Everything of the page but the actions."""
    document, alert = shown.document, shown.alert
    causes = document.get("causes", [])
    return {
        "alert": alert_row(shown, slug),
        "list_url": reverse("drift-list", args=[slug]),
        "note": shown.state.note,
        "facts": _facts(shown, document),
        "causes": [cause for cause in causes if not cause["rejected"]],
        "rejected": [cause for cause in causes if cause["rejected"]],
        "words": [_change(word["text"], word["before"], word["after"]) for word in document.get("words", [])],
        "channels": [
            {"label": channel_name(one["name"]), "p": _p(one["p"]), "moved": one["p"] < 1e-3}
            for one in document.get("channels", [])
        ],
        "pairs": [_pair(pair, slug, contents, _labels(causes)) for pair in document.get("pairs", [])],
        "can_quote": bool(contents),
        "chart": chart(document.get("chart", []), alert) if document.get("chart") else None,
        "event": document.get("text"),
        "first_url": reverse("decision-detail", args=[slug, document["first"]]) if document.get("first") else "",
    }


def _facts(shown: Shown, document: Mapping[str, Any]) -> list[dict[str, str]]:
    alert = shown.alert
    facts = [
        ("Severity", severity_of(alert.kind).label),
        ("Where", f"{shown.deployment}{f', segment {alert.segment}' if alert.segment else ''}"),
    ]
    if alert.p is None:
        return [{"label": label, "value": value} for label, value in [*facts, ("Since", _when(alert.onset_at))]]
    records = document["records"]
    facts += [
        ("Began" if alert.ramp_end_at is None else "Began to shift", _when(alert.onset_at)),
        ("Between (90 %)", f"{_when(alert.onset_low_at)} and {_when(alert.onset_high_at)}"),
        *([("Arrived", _when(alert.ramp_end_at))] if alert.ramp_end_at else []),
        ("Noticed", f"{_when(alert.noticed_at)}, on “{channel_name(alert.channel)}” (p {_p(alert.p)} after shuffling)"),
        ("Compared", f"{records['before']:,} decisions before, {records['after']:,} after"),
        ("Estimate", "final" if alert.final else "first; again when 200 more decisions are in"),
    ]
    return [{"label": label, "value": value} for label, value in facts]


def _when(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M} UTC"


def _p(p: float) -> str:
    return "< 10⁻⁹" if p < 1e-9 else f"{p:.1g}"


def _change(text: str, before: float, after: float) -> dict[str, str]:
    return {"text": text, "before": f"{before:.0%}", "after": f"{after:.0%}"}


def _labels(causes: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What the two sides are called: with the version on each, where one that changed is the likeliest cause."""
    first = next((cause for cause in causes if not cause["rejected"]), None)
    if first is None or first["field"] not in VERSIONS or not (first.get("old") and first.get("new")):
        return "Before", "After"
    what = first["field"].replace("_", " ")
    return f"Before, {what} {first['old']}", f"After, {what} {first['new']}"


def _pair(
    pair: Mapping[str, Any], slug: str, contents: Mapping[uuid.UUID, Content], labels: tuple[str, str]
) -> dict[str, Any]:
    return {
        "exact": pair["exact"],
        "sides": [
            _side(label, uuid.UUID(pair[name]), slug, contents)
            for label, name in zip(labels, ("before", "after"), strict=True)
        ],
    }


def _side(label: str, pk: uuid.UUID, slug: str, contents: Mapping[uuid.UUID, Content]) -> dict[str, str]:
    found = {"label": label, "url": reverse("decision-detail", args=[slug, pk]), "asked": "", "answered": ""}
    if pk in contents:
        members = members_of(contents[pk])
        found["asked"] = excerpt(turns(members.get("input"), "user"), last="user", length=200)
        found["answered"] = excerpt(turns(members.get("output"), "assistant"), length=EXCERPT)
    return found


def chart(points: Sequence[Sequence[float]], alert: Any) -> dict[str, Any]:
    """How far the records lean to the new, over time: a line with a dot a point, the onset as a hatched band."""
    first, last = points[0][0], points[-1][0]
    values = [min(1.5, max(-0.5, value)) for _, value in points]
    low, high = min(0.0, *values), max(1.0, *values)

    def x(at: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * min(1.0, max(0.0, (at - first) / max(last - first, 1.0))), 1)

    def y(value: float) -> float:
        return round(8 + (HEIGHT - BOTTOM - 16) * (high - value) / (high - low), 1)

    places = [(x(at), y(value)) for (at, _), value in zip(points, values, strict=True)]
    band = (x(alert.onset_low_at.timestamp()), x((alert.ramp_end_at or alert.onset_high_at).timestamp()))
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "before_y": y(0.0), "after_y": y(1.0),
        "line": " ".join(f"{a},{b}" for a, b in places),
        "dots": [{"x": a, "y": b} for a, b in places],
        "band": {"x": band[0], "width": max(3.0, round(band[1] - band[0], 1)), "height": HEIGHT - BOTTOM},
        "onset": x(alert.onset_at.timestamp()),
        "from": datetime.fromtimestamp(first, tz=UTC), "to": datetime.fromtimestamp(last, tz=UTC),
    }  # fmt: skip
