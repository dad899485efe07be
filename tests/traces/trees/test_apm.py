"""Links to other tools: templates that lead somewhere safe, filled with what we made ourselves."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from traces.trees.apm import PRESETS, Place, TemplateError, check_template, filled

PLACE = Place("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", datetime(2026, 11, 20, 8, 46, 14, tzinfo=UTC))

BAD = [
    "http://apm.example.com/{trace_id}",
    "javascript:alert('{trace_id}')",
    "JAVASCRIPT://x/%0aalert({trace_id})",
    "data:text/html,{trace_id}",
    "//apm.example.com/{trace_id}",
    "https:///{trace_id}",
    "https://{trace_id}.example.com/",
    "https://user:secret@apm.example.com/{trace_id}",
    "https://apm.example.com@evil.example/{trace_id}",
    "https://apm.example.com/{trace_id}\nX: y",
    "https://apm.example.com/<script>{trace_id}",
    'https://apm.example.com/"{trace_id}',
    "https://apm.example.com\\evil/{trace_id}",
    "https://аpm.example.com/{trace_id}",  # a Cyrillic letter
    "https://apm.example.com:port/{trace_id}",
    "https://apm.example.com/{user}/{trace_id}",
    "https://apm.example.com/{trace_id.__class__}",
    "https://apm.example.com/{trace_id",
    "https://apm.example.com/nothing",
    "",
]


@pytest.mark.parametrize("template", BAD)
def test_an_address_that_leads_nowhere_safe_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        check_template(template)


@pytest.mark.parametrize("kind", [kind for kind in PRESETS if kind != "custom"])
def test_each_preset_is_good_and_fills_completely(kind: str) -> None:
    url = filled(check_template(PRESETS[kind][1]), PLACE)
    assert urlsplit(url).scheme == "https"
    assert PLACE.trace_id in url
    assert "{" not in url


def test_places_are_filled_with_what_they_say() -> None:
    template = "https://x/{trace_id_decimal}/{span_id_decimal}/{time_ms}/{from_s}/{to_iso}/{trace_id}/{span_id}"
    assert filled(template, PLACE) == (
        "https://x/11803532876627986230/67667974448284343/1763628374000/1763626574/2026-11-20T09:16:14Z"
        "/4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba902b7"
    ).replace("1763628374000", str(int(PLACE.at.timestamp() * 1000))).replace(
        "1763626574", str(int(PLACE.at.timestamp()) - 1800)
    )
