"""Both forms read alike; what is no OTLP is refused, whatever it is."""

import gzip
import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.otlp.wire import DATA, PAYLOADS, as_protobuf, payload, span_message, traces_request
from traces.otlp.decode import MAX_ITEMS, Form, read_logs, read_spans
from traces.otlp.spans import id_problem
from traces.submissions import BodyError

NAMES = sorted(path.stem for path in PAYLOADS.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_protobuf_and_json_are_the_same_spans(name: str) -> None:
    document = payload(name)
    from_json = read_spans(json.dumps(document).encode(), Form.JSON)
    from_protobuf = read_spans(as_protobuf(document), Form.PROTOBUF)
    assert from_json == from_protobuf
    assert [span.fingerprint() for span in from_json] == [span.fingerprint() for span in from_protobuf]
    assert len(from_json) >= 1


def test_every_kind_of_value_becomes_ijson() -> None:
    values = {
        "text": "ü",
        "whole": 42,
        "huge": 2**62,
        "double": 0.5,
        "nan": math.nan,
        "infinite": -math.inf,
        "vast": 1e300,
        "true": True,
        "bytes": b"\xff\x00",
        "list": [1, "two", [3]],
        "map": {"a": {"b": 1}},
        "nothing": None,
    }
    (span,) = read_spans(traces_request(span_message(values)), Form.PROTOBUF)
    assert span.attributes == {
        "text": "ü",
        "whole": 42,
        "huge": "4611686018427387904",
        "double": 0.5,
        "nan": "nan",
        "infinite": "-inf",
        "vast": "1e+300",
        "true": True,
        "bytes": "/wA=",
        "list": [1, "two", [3]],
        "map": {"a": {"b": 1}},
        "nothing": None,
    }


def one_json_span(**members: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [members]}]}]}).encode()


def test_json_is_read_leniently() -> None:
    body = one_json_span(
        trace_id="4BF92F3577B34DA6A3CE929D0E0E4736",
        spanId="00F067AA0BA902B7",
        kind="SPAN_KIND_CLIENT",
        startTimeUnixNano=1763700000123456789,
        end_time_unix_nano="1763700000999999999",
        status={"code": "STATUS_CODE_ERROR"},
        unknownMember={"anything": 1},
        attributes=[
            {"key": "n", "value": {"int_value": 5}},
            {"key": "empty"},
            {"key": "new", "value": {"futureValue": 1}},
        ],
    )
    (span,) = read_spans(body, Form.JSON)
    assert (span.trace_id, span.span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert (span.kind, span.status, span.duration_ns) == (3, 2, 876_543_210)
    assert span.attributes == {"n": 5, "empty": None, "new": None}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b"[]",
        b"null",
        b'"text"',
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": [1]}',
        b'{"resourceSpans": [{"resource": []}]}',
        b'{"resourceSpans": [{"scopeSpans": "x"}]}',
        one_json_span(name=1),
        one_json_span(kind="SPAN_KIND_NEW"),
        one_json_span(kind=True),
        one_json_span(startTimeUnixNano="soon"),
        one_json_span(startTimeUnixNano=2**64),
        one_json_span(startTimeUnixNano="9" * 5000),
        one_json_span(attributes=[{"key": 1}]),
        one_json_span(attributes=[{"key": "a", "value": {"stringValue": 1}}]),
        one_json_span(attributes=[{"key": "a", "value": {"bytesValue": "###"}}]),
        one_json_span(attributes=[{"key": "a", "value": {"doubleValue": {}}}]),
        one_json_span(attributes=[{"key": "a", "value": {"arrayValue": []}}]),
        b'{"a":' * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_otlp_is_refused(body: bytes) -> None:
    with pytest.raises(BodyError) as refused:
        read_spans(body, Form.JSON)
    assert refused.value.status == 400


@settings(max_examples=300, deadline=1000)
@given(st.binary(max_size=400))
def test_any_bytes_are_protobuf_or_refused(body: bytes) -> None:
    for read in (read_spans, read_logs):
        try:
            found = read(body, Form.PROTOBUF)
        except BodyError as error:
            assert error.status == 400  # noqa: PT017
        else:
            assert isinstance(found, list)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["resourceSpans", "scopeSpans", "spans", "attributes", "key", "value", "stringValue", "arrayValue", "values",
         "traceId", "kind", "events", "status", "resource", "startTimeUnixNano", "intValue", "doubleValue"]
    ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=1000)
@given(st.dictionaries(st.sampled_from(["resourceSpans", "resourceLogs"]), json_values))
def test_any_json_is_read_or_refused(document: dict[str, Any]) -> None:
    for read in (read_spans, read_logs):
        try:
            read(orjson.dumps(document), Form.JSON)
        except BodyError as error:
            assert error.status == 400  # noqa: PT017


def test_fields_of_a_later_protobuf_are_ignored() -> None:
    body = traces_request(span_message({"n": 5}))
    later = body + b"\xfa\x7f\x03new" + b"\x80\x7d\x01"  # fields 2047 and 2000, as text and as a number
    assert read_spans(later, Form.PROTOBUF) == read_spans(body, Form.PROTOBUF)


def test_deep_values_are_kept_as_text() -> None:
    deep: Any = "bottom"
    for _ in range(30):
        deep = [deep]
    (span,) = read_spans(traces_request(span_message({"deep": deep})), Form.PROTOBUF)
    assert "bottom" in json.dumps(span.attributes["deep"])


def test_a_request_holds_a_bounded_number() -> None:
    with pytest.raises(BodyError) as refused:
        read_spans(traces_request(*[span_message()] * (MAX_ITEMS + 1)), Form.PROTOBUF)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("trace_id", "span_id", "is_wrong"),
    [("a" * 32, "b" * 16, False), ("0" * 32, "b" * 16, True), ("a" * 32, "0" * 16, True), ("a" * 30, "b" * 16, True),
     ("", "b" * 16, True), ("a" * 32, "", True)],
)  # fmt: skip
def test_ids_are_those_of_trace_context(trace_id: str, span_id: str, is_wrong: bool) -> None:
    assert bool(id_problem(trace_id, span_id)) is is_wrong


@pytest.mark.skipif(not DATA.exists(), reason="the public evaluation data is not here")
def test_the_examples_of_the_protocol_are_read() -> None:
    folder = DATA / "otlp_examples"
    (span,) = read_spans((folder / "trace.json").read_bytes(), Form.JSON)
    assert (span.trace_id, span.name) == ("5b8efff798038103d269b633813fc60c", "I'm a server span")
    (event,) = read_logs((folder / "events.json").read_bytes(), Form.JSON)
    assert (event.name, event.body["type"]) == ("browser.page_view", 0)
    (log,) = read_logs((folder / "logs.json").read_bytes(), Form.JSON)
    assert log.attributes["map.attribute"] == {"some.map.key": "some value"}
    assert read_spans((folder / "metrics.json").read_bytes(), Form.JSON) == []


def test_gzip_is_not_decoded_here() -> None:
    with pytest.raises(BodyError):
        read_spans(gzip.compress(traces_request(span_message())), Form.PROTOBUF)
