"""Selection against its definition."""

import hashlib
import uuid

from hypothesis import given
from hypothesis import strategies as st

from audits.sampling import rank, seed_of, select
from audits.sampling.selection import select_strata


@given(st.binary(min_size=32, max_size=32), st.sets(st.integers(0, 2**40), max_size=60), st.integers(0, 70))
def test_selection_is_by_rank_and_does_not_depend_on_order(seed: bytes, population: set[int], n: int) -> None:
    chosen = select(seed, sorted(population), n)
    assert chosen == select(seed, sorted(population, reverse=True), n)
    assert chosen == sorted(population, key=lambda index: hashlib.sha256(seed + index.to_bytes(8, "big")).digest())[:n]
    rest = population - set(chosen)
    assert len(chosen) == min(n, len(population))
    assert not rest or not chosen or max(rank(seed, i) for i in chosen) < min(rank(seed, i) for i in rest)


def test_the_seed_is_of_the_root_and_the_case() -> None:
    case = uuid.UUID("0190a5d2-7b1e-7c3a-9f00-1234567890ab")
    assert seed_of(b"\1" * 32, case) == hashlib.sha256(b"\1" * 32 + case.bytes).digest()
    assert seed_of(b"\1" * 32, case) != seed_of(b"\2" * 32, case)


@given(st.binary(min_size=32, max_size=32), st.lists(st.integers(1, 3), min_size=1, max_size=40), st.data())
def test_each_stratum_is_drawn_from_as_if_it_were_alone(seed: bytes, numbers: list[int], data: st.DataObject) -> None:
    rows = list(enumerate(numbers))
    sizes = data.draw(st.lists(st.integers(0, 10), min_size=3, max_size=3))
    members = {number: [index for index, other in rows if other == number] for number in (1, 2, 3)}
    expected = [(index, n) for n in (1, 2, 3) for index in select(seed, members[n], sizes[n - 1])]
    assert select_strata(seed, rows, sizes) == expected
