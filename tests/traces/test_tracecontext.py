"""The vectors of the specification and of its test suite (w3c/trace-context, `test/test.py`)."""

import pytest

from traces.tracecontext import TraceParent, format_tracestate, parse_traceparent, parse_tracestate

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_the_example_of_the_specification() -> None:
    assert parse_traceparent(f"00-{TRACE}-{PARENT}-01") == TraceParent(TRACE, PARENT, 1)
    assert parse_traceparent(f"00-{TRACE}-{PARENT}-01").sampled  # type: ignore[union-attr]
    assert not parse_traceparent(f"00-{TRACE}-{PARENT}-00").sampled  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "foo",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-001",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
        f"00-{TRACE}-{PARENT}-01.",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f".0-{TRACE}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"FF-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.what-the-future-will-be-like",
        f"cc-{TRACE}-{PARENT}-01what",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE[:-1]}.-{PARENT}-01",
        f"00-{TRACE}-{PARENT[:-1]}.-01",
        f"00-{TRACE}-{PARENT}-0G",
        f"00-{TRACE}-{PARENT}-0A",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE[:-1]}٠-{PARENT}-01",
    ],
)
def test_what_is_out_of_form_is_ignored_whole(header: str) -> None:
    assert parse_traceparent(header) is None


@pytest.mark.parametrize("rest", ["", "-", "-what-the-future-will-be-like"])
def test_a_higher_version_is_read_as_far_as_it_is_known(rest: str) -> None:
    parsed = parse_traceparent(f"cc-{TRACE}-{PARENT}-03{rest}")
    assert parsed == TraceParent(TRACE, PARENT, 1)
    assert parsed.header() == f"00-{TRACE}-{PARENT}-01"


def test_flags_are_bits_and_unknown_ones_are_not_passed_on() -> None:
    parsed = parse_traceparent(f"00-{TRACE}-{PARENT}-ff")
    assert parsed is not None
    assert parsed.sampled
    assert parsed.random
    assert parsed.header() == f"00-{TRACE}-{PARENT}-03"
    assert parse_traceparent(f"  00-{TRACE}-{PARENT}-01\t") == TraceParent(TRACE, PARENT, 1)


@pytest.mark.parametrize(
    ("headers", "members"),
    [
        (["congo=t61rcWkgMzE"], [("congo", "t61rcWkgMzE")]),
        (["rojo=00f067aa0ba902b7,congo=t61"], [("rojo", "00f067aa0ba902b7"), ("congo", "t61")]),
        (["foo=1", "bar=2"], [("foo", "1"), ("bar", "2")]),
        (["foo=1 \t , \t bar=2, \t baz=3"], [("foo", "1"), ("bar", "2"), ("baz", "3")]),
        (["foo=1,", ",bar=2"], [("foo", "1"), ("bar", "2")]),
        (["1a-2f@foo=bar1,0@x=2"], [("1a-2f@foo", "bar1"), ("0@x", "2")]),
        (["fw529a3039@dt=FfAx"], [("fw529a3039@dt", "FfAx")]),
        (["foo= 1 2"], [("foo", " 1 2")]),
        (["f" * 256 + "=" + "v" * 256], [("f" * 256, "v" * 256)]),
        ([], []),
        ([""], []),
    ],
)
def test_tracestate_is_read_in_order(headers: list[str], members: list[tuple[str, str]]) -> None:
    assert parse_tracestate(headers) == members


@pytest.mark.parametrize(
    "header",
    [
        "foo",
        "foo=",
        "=1",
        "foo=1=2",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1,foo@=2",
        "foo=1,foo=1",
        "-foo=1",
        "f" * 257 + "=1",
        "foo=" + "v" * 257,
        "foo=\x001",
        "foo=ü",
        ",".join(f"k{i}=1" for i in range(33)),
    ],
)
def test_a_bad_tracestate_is_dropped_and_nothing_else(header: str) -> None:
    assert parse_tracestate([header]) == []


def test_thirty_two_members_pass_and_long_ones_are_dropped_first() -> None:
    many = [(f"k{i}", "1") for i in range(32)]
    assert parse_tracestate([format_tracestate(many)]) == many
    sent = format_tracestate([("a", "x" * 200), ("b", "1"), ("c", "y" * 250), ("d", "z" * 100)])
    assert [key for key, _ in parse_tracestate([sent])] == ["a", "b", "d"]
    assert len(format_tracestate([(f"k{i}", "v" * 100) for i in range(32)])) <= 512
