"""Prices: exact to the unit, tiers, caches, variants, units; and what is no price."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.costs.book import Call, PriceBook, own_entry, price_list
from traces.costs.listing import list_documents
from traces.costs.pricing import TOKEN_RATES, PriceError, price_of, price_sha256, read_price
from traces.costs.usage import Usage, buckets

AT = datetime(2026, 11, 1, tzinfo=UTC)
SONNET: dict[str, Any] = {
    "provider": "anthropic", "model": "claude-sonnet-4-5", "currency": "USD",
    "rates": {
        "input": {"base": "3", "tiers": [[200_000, "6"]]}, "cache_read": {"base": "0.3", "tiers": [[200_000, "0.6"]]},
        "cache_write": {"base": "3.75", "tiers": [[200_000, "7.5"]]},
        "output": {"base": "15", "tiers": [[200_000, "22.5"]]},
    },
    "variants": [{"name": "batch", "from": "2026-10-14T00:00:00Z", "rates": {"input": "1.5", "output": "7.5"}}],
}  # fmt: skip
RATE = st.decimals(0, 1_000, places=12).map(str)
COUNT = st.integers(0, 10**9)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """The published list, and no agreement."""
    return PriceBook(0, [], price_list(1, [(price_sha256(one), one) for one in list_documents()]))


@pytest.mark.parametrize(
    ("provider", "model", "usage", "micros"),
    [
        ("openai", "gpt-4o", Usage(100_000, 5_000, 80_000), 200_000),
        ("azure.ai.openai", "gpt-4o", Usage(1_000, 100, 200), 3_250),
        ("anthropic", "claude-sonnet-4-5", Usage(300_000, 1_000, 100_000, 20_000), 1_312_500),
        ("gcp.gemini", "gemini-2.5-pro", Usage(1_000, 100, 200), 2_025),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", Usage(1_000, 100, 200), 4_356),
    ],
)
def test_published_prices(book: PriceBook, provider: str, model: str, usage: Usage, micros: int) -> None:
    cost = book.cost_of(Call(provider, model, "", usage), AT)
    assert cost is not None
    assert (cost.micros, cost.currency) == (micros, "USD")


def test_a_price_has_a_history(book: PriceBook) -> None:
    call = Call("openai", "o3", "", Usage(1_000_000, 0))
    costs = [book.cost_of(call, datetime(2025, month, 1, tzinfo=UTC)) for month in (5, 8)]
    assert [cost.micros for cost in costs if cost] == [10_000_000, 2_000_000]
    assert costs[0] != costs[1]


def test_what_is_not_listed_has_no_price_and_is_never_free(book: PriceBook) -> None:
    assert book.cost_of(Call("openai", "made-up", "", Usage(10, 10)), AT) is None
    assert book.cost_of(Call("", "", "", Usage(10, 10)), AT) is None
    assert book.cost_of(Call("openai", "gpt-4o", "", Usage()), AT) is None


@given(rates=st.dictionaries(st.sampled_from(sorted(TOKEN_RATES)), RATE), usage=st.builds(Usage, *[COUNT] * 8))
def test_the_sum_is_exact_and_rounded_once(rates: dict[str, str], usage: Usage) -> None:
    rates = {"input": "1.5", "output": "2", "cache_write": "0.1"} | rates
    cost = price_of(usage, read_price({"currency": "USD", "rates": rates}), at=AT)
    own = {"cache_read": "input", "cache_write_1h": "cache_write", "input_audio": "input"}
    own |= {"reasoning": "output", "output_audio": "output"}
    with localcontext(prec=80):
        parts = buckets(usage)._asdict().items()
        exact = sum((n * Decimal(rates.get(name) or rates[own[name]]) for name, n in parts), Decimal(0))
        expected = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    assert (cost.micros if cost else 0) == expected


def test_half_a_unit_goes_to_the_even_one() -> None:
    price = read_price({"currency": "USD", "rates": {"input": "0.5"}})
    assert [getattr(price_of(Usage(n), price, at=AT), "micros", None) for n in (1, 2, 3, 5)] == [0, 1, 2, 2]


def test_a_tier_is_for_the_whole_call() -> None:
    price = read_price(SONNET)
    below, above = (price_of(Usage(n, 0), price, at=AT) for n in (200_000, 200_001))
    assert below
    assert above
    assert (below.micros, above.micros) == (600_000, 1_200_006)


def test_a_batch_is_cheaper_from_its_day_on() -> None:
    price, usage = read_price(SONNET), Usage(1_000, 1_000)
    before = price_of(usage, price, at=datetime(2026, 10, 1, tzinfo=UTC), variant="batch")
    after = price_of(usage, price, at=AT, variant="batch")
    assert before
    assert after
    assert (before.micros, after.micros) == (18_000, 9_000)


def test_an_applications_cache_costs_nothing_and_saves_all() -> None:
    price = read_price(SONNET)
    paid = price_of(Usage(1_000, 100, 500), price, at=AT)
    free = price_of(Usage(1_000, 100, 500), price, at=AT, cached=True)
    assert paid
    assert free
    assert (paid.micros, paid.saved_micros) == (3_150, 1_350)
    assert (free.micros, free.saved_micros) == (0, 3_150)


def test_what_is_sold_by_the_piece() -> None:
    price = read_price({"currency": "EUR", "units": {"requests": "0.005", "images": "0.04"}})
    one, three = price_of(Usage(), price, at=AT), price_of(Usage(units=(("images", 3),)), price, at=AT)
    assert one
    assert three
    assert (one.micros, three.micros, three.currency) == (5_000, 125_000, "EUR")
    assert price_of(Usage(10), price, at=AT) is None, "tokens that nobody has a rate for are not free"


def test_numbers_that_cannot_be_meant_have_no_cost() -> None:
    price = read_price({"currency": "USD", "rates": {"input": "1000"}})
    assert price_of(Usage(2**53), price, at=AT) is None


def test_an_agreement_goes_before_the_list_and_ends(book: PriceBook) -> None:
    agreed: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o",
        "currency": "EUR",
        "rates": {"input": "1", "output": "4"},
    }
    ends: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o",
        "currency": "EUR",
        "valid_from": "2026-11-15T00:00:00Z",
    }
    own = [own_entry(number, price_sha256(one), one) for number, one in enumerate((agreed, ends), 1)]
    mine, call = PriceBook(2, own, book.listed), Call("openai", "gpt-4o", "", Usage(1_000_000))
    during, after = (mine.cost_of(call, at) for at in (AT, datetime(2026, 11, 20, tzinfo=UTC)))
    assert during
    assert after
    assert (during.micros, during.currency) == (1_000_000, "EUR")
    assert (after.micros, after.currency) == (2_500_000, "USD")


@pytest.mark.parametrize(
    "wrong",
    [
        {"currency": "usd"}, {"currency": "USD", "rates": {"inputs": "1"}}, {"currency": "USD", "rates": {"input": 1}},
        {"currency": "USD", "rates": {"input": "-1"}}, {"currency": "USD", "rates": {"input": "0.0000000000001"}},
        {"currency": "USD", "rates": {"input": "NaN"}}, {"currency": "USD", "rates": [1]},
        {"currency": "USD", "rates": {"input": {"base": "1", "tiers": [[5, "1"], [5, "2"]]}}},
        {"currency": "USD", "valid_from": "2026-01-01"}, {"currency": "USD", "units": ["x"]},
        {"currency": "USD", "variants": [1]}, {"currency": "USD", "rates": {"input": {"base": "1", "tiers": [7]}}},
        {"currency": "USD", "valid_from": "2026-02-01T00:00:00Z", "valid_to": "2026-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_what_is_no_price(wrong: dict[str, Any]) -> None:
    with pytest.raises(PriceError):
        read_price(wrong)
