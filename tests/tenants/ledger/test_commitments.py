"""Commitments and leaf documents: exact bytes, the way back, and what is refused."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.ledger.canonical import dumps
from tenants.ledger.commitments import (
    MAX_LEAF_BYTES,
    LeafError,
    commit,
    decision_leaf,
    event_leaf,
    format_received,
    parse_leaf,
    parse_received,
)

TENANT = UUID("01932f00-0000-7000-8000-000000000001")
RECORD = UUID("01932f00-0000-7000-8000-000000000002")
RECEIVED = datetime(2026, 11, 23, 8, 46, 14, 123_999, tzinfo=UTC)
digests = st.binary(min_size=32, max_size=32)
groups = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
moments = st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1))  # noqa: DTZ001 (Hypothesis adds the zone)


def test_a_commitment_is_the_stated_hash() -> None:
    salt = bytes(range(32))
    expected = hashlib.sha256(b"affidavit/v1/commit/input\x00" + salt + b'{"a":1}').digest()
    assert commit("input", salt, b'{"a":1}') == expected


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_group_salt_and_value_all_bind(one: bytes, other: bytes) -> None:
    salt = b"s" * 32
    assert (commit("input", salt, one) == commit("input", salt, other)) == (one == other)
    assert commit("input", salt, one) != commit("output", salt, one)
    assert commit("input", b"t" * 32, one) != commit("input", salt, one)


@pytest.mark.parametrize(
    ("group", "salt"), [("input", b"short"), ("In", b"s" * 32), ("a\x00", b"s" * 32), ("", b"s" * 32)]
)
def test_commit_refuses_other_groups_and_salts(group: str, salt: bytes) -> None:
    with pytest.raises(LeafError):
        commit(group, salt, b"{}")


@given(
    type=st.from_regex(r"[a-z][a-z0-9_.]{0,63}", fullmatch=True),
    tenant_id=st.uuids(),
    record_id=st.uuids(),
    received_at=moments,
    commitments=st.dictionaries(groups, digests, max_size=8),
    system=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    parent_id=st.none() | st.uuids(),
    policy_hash=st.none() | digests,
    model_hash=st.none() | digests,
)
def test_a_leaf_is_canonical_json_and_reads_back(**fields: Any) -> None:
    leaf = event_leaf(**fields)
    assert leaf == dumps(json.loads(leaf))
    parsed = parse_leaf(leaf)
    received = fields.pop("received_at")
    assert parsed.received_at == received.replace(microsecond=received.microsecond // 1000 * 1000)
    assert {name: getattr(parsed, name) for name in fields} == fields


def test_the_decision_leaf_to_the_byte() -> None:
    leaf = decision_leaf(
        tenant_id=TENANT,
        record_id=RECORD,
        received_at=RECEIVED,
        system='loan "assistant"',
        commitments={"output": b"\x01" * 32, "input": b"\xff" * 32},
        policy_hash=b"\xab" * 32,
    )
    assert leaf == (
        b'{"c":{"input":"__________________________________________8","output":'
        b'"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"},"ph":"' + b"ab" * 32 + b'",'
        b'"rcv":"2026-11-23T08:46:14.123Z","rid":"01932f00-0000-7000-8000-000000000002",'
        b'"sys":"loan \\"assistant\\"","tid":"01932f00-0000-7000-8000-000000000001","typ":"decision","v":1}'
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Decision"},
        {"type": 'x"'},
        {"received_at": RECEIVED.replace(tzinfo=None)},
        {"received_at": RECEIVED.astimezone(timezone(timedelta(hours=1)))},
        {"commitments": {"input": b"short"}},
        {"commitments": {"Input": b"x" * 32}},
        {"policy_hash": b"short"},
        {"system": "\ud800"},
        {"system": "x" * MAX_LEAF_BYTES},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_a_leaf_is_refused_rather_than_wrong(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "type": "decision",
        "tenant_id": TENANT,
        "record_id": RECORD,
        "received_at": RECEIVED,
        "commitments": {"input": b"x" * 32},
    }
    assert event_leaf(**right)
    with pytest.raises(LeafError):
        event_leaf(**(right | wrong))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("v", 2),
        ("typ", 7),
        ("typ", "X"),
        ("tid", "01932F00-0000-7000-8000-000000000001"),
        ("rid", None),
        ("rcv", "2026-13-23T08:46:14.123Z"),
        ("rcv", "2026-11-23T08:46:14Z"),
        ("sys", 1),
        ("c", {"input": "AQ"}),
        ("c", {"input": "_" * 43}),
        ("c", []),
        ("ph", "AB" * 32),
        ("extra", 1),
    ],
)
def test_parse_refuses_leaves_that_are_not_ours(member: str, value: Any) -> None:
    leaf = event_leaf(type="decision", tenant_id=TENANT, record_id=RECORD, received_at=RECEIVED, commitments={})
    with pytest.raises(ValueError):
        parse_leaf(dumps({**json.loads(leaf), member: value}))


def test_parse_refuses_other_spellings_of_a_leaf() -> None:
    leaf = event_leaf(type="decision", tenant_id=TENANT, record_id=RECORD, received_at=RECEIVED, commitments={})
    parse_leaf(leaf)
    for spelling in (leaf + b"\n", leaf.replace(b'"v":1', b'"v":1.0'), json.dumps(json.loads(leaf)).encode(), b"[]"):
        with pytest.raises(ValueError):
            parse_leaf(spelling)


@given(moments)
def test_received_times_round_trip(moment: datetime) -> None:
    text = format_received(moment)
    assert len(text) == 24
    assert format_received(parse_received(text)) == text
    assert timedelta(0) <= moment - parse_received(text) < timedelta(milliseconds=1)
