"""Groups, commitments and the sealed payload."""

import os
import uuid

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.crypto import SealError
from tenants.ledger.commitments import commit
from tests.factories.traces import a_decision
from traces.sealing import (
    GROUPS,
    bound_to,
    canonical_groups,
    fingerprint,
    grouped,
    open_content,
    salts_from,
    seal_content,
)

KEY = bytes(range(32))
ROW = bound_to(uuid.UUID(int=1), uuid.UUID(int=2))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_every_member_is_in_one_group() -> None:
    decision = a_decision(enforcement=[{"guard": "pii"}], human={"by": "x"})
    groups = grouped(decision)
    assert set(groups) <= set(GROUPS)
    merged: dict[str, object] = {}
    for members in groups.values():
        assert not merged.keys() & members.keys()
        merged |= members
    assert merged == decision
    assert set(groups["subject"]) == {"subject", "user", "session"}


@given(st.dictionaries(st.sampled_from(["input", "output", "metadata", "subject", "outcome"]), json_values))
def test_what_was_sealed_comes_back_byte_for_byte(raw: dict[str, object]) -> None:
    canonical, seed = canonical_groups(raw), os.urandom(32)
    content = open_content(KEY, seal_content(KEY, seed, canonical, ROW), ROW)
    assert dict(content.canonical) == canonical
    salts = salts_from(seed)
    assert content.commitments() == {group: commit(group, salts[group], data) for group, data in canonical.items()}


def test_a_payload_opens_only_in_its_row_and_whole() -> None:
    sealed = seal_content(KEY, bytes(32), canonical_groups(a_decision()), ROW)
    with pytest.raises(SealError):
        open_content(KEY, sealed, bound_to(uuid.UUID(int=1), uuid.UUID(int=3)))
    with pytest.raises(SealError):
        open_content(KEY, sealed[:-1] + bytes([sealed[-1] ^ 1]), ROW)
    with pytest.raises(SealError):
        open_content(bytes(32), sealed, ROW)


def test_the_fingerprint_sees_content_not_form() -> None:
    decision = a_decision(external_id="x", trace_id="0" * 31 + "1")
    reordered = orjson.loads(orjson.dumps(dict(reversed(list(decision.items())))))
    assert fingerprint(canonical_groups(decision)) == fingerprint(canonical_groups(reordered))
    changed = decision | {"output": "other"}
    assert fingerprint(canonical_groups(decision)) != fingerprint(canonical_groups(changed))


def test_salts_differ_by_group_and_by_record() -> None:
    first, second = salts_from(bytes(32)), salts_from(b"\1" * 32)
    assert len(set(first.values()) | set(second.values())) == 2 * len(GROUPS)
