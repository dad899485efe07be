"""Addresses of a trace in other tools: a template with places, checked when it is set, filled when it is shown. Pure.

What fills a place is made here (hex, digits, times), so an address cannot be bent by what an application sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

PLACES = {
    "trace_id": "32 hex digits",
    "span_id": "16 hex digits",
    "trace_id_decimal": "the lower 64 bits as a decimal number (Datadog)",
    "span_id_decimal": "the span id as a decimal number (Datadog)",
    "time_ms": "when it happened, Unix milliseconds",
    "from_ms": "half an hour before, Unix milliseconds",
    "to_ms": "half an hour after, Unix milliseconds",
    "from_s": "half an hour before, Unix seconds",
    "to_s": "half an hour after, Unix seconds",
    "time_iso": "when it happened, RFC 3339",
    "from_iso": "half an hour before, RFC 3339",
    "to_iso": "half an hour after, RFC 3339",
}
AROUND = timedelta(minutes=30)

_GRAFANA = (
    "https://grafana.example.com/explore?schemaVersion=1&panes=%7B%22a%22%3A%7B%22datasource%22%3A%22tempo%22%2C%22queries"
    "%22%3A%5B%7B%22refId%22%3A%22A%22%2C%22queryType%22%3A%22traceql%22%2C%22query%22%3A%22{trace_id}%22%7D%5D%2C%22range"
    "%22%3A%7B%22from%22%3A%22{from_ms}%22%2C%22to%22%3A%22{to_ms}%22%7D%7D%7D"
)
# Kind → its name, and a template to change the host (and the team, account or index) of.
PRESETS: Mapping[str, tuple[str, str]] = {
    "datadog": ("Datadog", "https://app.datadoghq.com/apm/trace/{trace_id}?spanID={span_id_decimal}&start={from_ms}&end={to_ms}"),
    "newrelic": ("New Relic", "https://one.newrelic.com/distributed-tracing?query=traceId%3D{trace_id}&begin={from_ms}&end={to_ms}"),
    "tempo": ("Grafana Tempo", _GRAFANA),
    "jaeger": ("Jaeger", "https://jaeger.example.com/trace/{trace_id}?uiFind={span_id}"),
    "honeycomb": ("Honeycomb", "https://ui.honeycomb.io/your-team/environments/your-environment/trace?trace_id={trace_id}&span={span_id}&trace_start_ts={from_s}&trace_end_ts={to_s}"),
    "elastic": ("Elastic", "https://kibana.example.com/app/apm/link-to/trace/{trace_id}?rangeFrom={from_iso}&rangeTo={to_iso}"),
    "custom": ("Another", "https://"),
}  # fmt: skip

_PLACE = re.compile(r"\{([^{}]*)\}")
_FORBIDDEN = re.compile(r"[\s\"'<>\\^`\x00-\x1f\x7f]")


class TemplateError(ValueError):
    """A template that leads nowhere safe; the message says what to write."""


def check_template(text: str) -> str:
    """The template, if it can be shown as a link. Raises `TemplateError`."""
    if _FORBIDDEN.search(text):
        raise TemplateError("An address holds no spaces, quotes or angle brackets.")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise TemplateError("This is no address.") from None
    if parts.scheme != "https" or not text.startswith("https://") or not host:
        raise TemplateError("The address begins with https:// and names a host.")
    if "{" in parts.netloc or "@" in parts.netloc:
        raise TemplateError("The host is written out, without a place and without a password.")
    if not re.fullmatch(r"[a-z0-9.\-\[\]:]+", host, re.ASCII):
        raise TemplateError("The host is written in ASCII.")
    unknown = sorted(set(_PLACE.findall(text)) - PLACES.keys())
    if unknown:
        raise TemplateError(f"Nothing is known as {{{unknown[0]}}}; there are {', '.join(sorted(PLACES))}.")
    if re.search(r"[{}]", _PLACE.sub("", text)):
        raise TemplateError("A brace stands alone.")
    if not {"trace_id", "trace_id_decimal"} & set(_PLACE.findall(text)):
        raise TemplateError("The address needs {trace_id} or {trace_id_decimal}.")
    return text


@dataclass(frozen=True, slots=True)
class Place:
    """What a link is about: ids as lower-case hex, the span's may be empty."""

    trace_id: str
    span_id: str
    at: datetime


def filled(template: str, place: Place) -> str:
    """The address for one trace, or one span of it."""
    before, after = place.at - AROUND, place.at + AROUND
    values = {
        "trace_id": place.trace_id,
        "span_id": place.span_id,
        "trace_id_decimal": str(int(place.trace_id[16:], 16)),
        "span_id_decimal": str(int(place.span_id, 16)) if place.span_id else "",
        "time_ms": _ms(place.at),
        "from_ms": _ms(before),
        "to_ms": _ms(after),
        "from_s": str(int(before.timestamp())),
        "to_s": str(int(after.timestamp())),
        "time_iso": _iso(place.at),
        "from_iso": _iso(before),
        "to_iso": _iso(after),
    }
    return _PLACE.sub(lambda match: values[match[1]], template)


def _ms(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"
