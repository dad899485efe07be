"""From usage and a price to micro-units, exact to the unit. Pure.

A price is a document; its SHA-256 over RFC 8785 bytes is what a record refers to. Rates are decimal strings: a token's
is per million tokens, so that rate × tokens is micro-units; a unit's (`requests`, `images`, …) is for one. A rate has
at most 12 places and is held as a whole number of 10⁻¹², so all arithmetic is exact; the one rounding, half to even,
is of a record's sum.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tenants.ledger.canonical import dumps
from traces.costs.usage import Buckets, Usage, buckets

MICRO = 1_000_000
MOST_RATE = 10**9
MOST = 10**15  # a record that costs a billion is a mistake in its numbers: it stays unpriced
PLACES = 12
SCALE: int = 10**PLACES

# Which rate a part takes when it has none of its own: no discount is given that was not agreed.
FALLBACK = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "reasoning": "output",
    "output_audio": "output",
}
PARTS = Buckets._fields
CACHED_PARTS = frozenset({"cache_read", "cache_write", "cache_write_1h"})
TOKEN_RATES = frozenset(PARTS)


class PriceError(ValueError):
    """The document is no price; the message says where."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate, and the ones that take its place for a whole call whose input exceeds a size (ascending)."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """The rate of a call of that input, in 10⁻¹²."""
        found = self.base
        for start, rate in self.tiers:
            if input_tokens > start:
                found = rate
        return found


Rates = Mapping[str, Rate]


@dataclass(frozen=True, slots=True)
class Variant:
    """Rates under a condition of the request (`batch`, `flex`, …), from a day on; the others stay."""

    name: str
    since: datetime | None
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """A price as it is applied; `sha256` is that of its document."""

    sha256: bytes
    provider: str
    model: str
    currency: str
    rates: Rates
    units: Mapping[str, int] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def holds_at(self, at: datetime) -> bool:
        """Whether it was valid then: from included, to excluded."""
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)

    def rates_for(self, variant: str, at: datetime) -> Rates:
        """The standard rates, with those of the variant in their place."""
        chosen = next((v for v in self.variants if v.name == variant and (v.since is None or v.since <= at)), None)
        return {**self.rates, **chosen.rates} if chosen else self.rates


@dataclass(frozen=True, slots=True)
class Cost:
    """Micro-units of `currency`, what caches saved of it, and the price that said so."""

    micros: int
    saved_micros: int
    currency: str
    price_sha256: bytes


def price_of(usage: Usage, price: Price, *, at: datetime, variant: str = "", cached: bool = False) -> Cost | None:
    """What a call costs; None when a part of it has no rate, or the numbers cannot be meant.

    `cached`: an application's cache answered, no model was asked. Saved is what the provider's cache took off the
    uncached rate; of a cached answer, all that it would have cost.
    """
    rates = price.rates_for(variant, at)
    parts = buckets(usage)
    size = parts.input_size
    if not any(parts) and not usage.units and "requests" not in price.units:
        return None  # nothing was counted that this price is about
    due = uncached_due = _units(usage, price)
    plain = rate_of(rates, "input")
    for name, count in zip(PARTS, parts, strict=True):
        if count:
            found = rate_of(rates, name)
            if found is None:
                return None
            rate = found.at(size)
            due += count * rate
            uncached_due += count * (plain.at(size) if plain and name in CACHED_PARTS else rate)
    micros, uncached = rounded(due), rounded(uncached_due)
    if max(micros, uncached) > MOST:
        return None
    if cached:
        return Cost(0, micros, price.currency, price.sha256)
    return Cost(micros, uncached - micros, price.currency, price.sha256)


def _units(usage: Usage, price: Price) -> int:
    counts: dict[str, int] = {"requests": 1, **dict(usage.units)}
    return sum(counts.get(name, 0) * rate * MICRO for name, rate in price.units.items())


def rate_of(rates: Rates, name: str) -> Rate | None:
    """The part's own rate, or the one it falls back to; None: nothing is known of what it costs."""
    wanted: str | None = name
    while wanted is not None:
        if wanted in rates:
            return rates[wanted]
        wanted = FALLBACK.get(wanted)
    return None


def rounded(amount: int) -> int:
    """The one rounding: from 10⁻¹² to whole micro-units, half to even."""
    whole, rest = divmod(amount, SCALE)
    return whole + int(rest * 2 > SCALE or (rest * 2 == SCALE and whole % 2 == 1))


# --- Documents ------------------------------------------------------------------------------------------------------


def price_sha256(document: Mapping[str, Any]) -> bytes:
    """SHA-256 over the document's RFC 8785 bytes."""
    return hashlib.sha256(dumps(document)).digest()


def read_price(document: Mapping[str, Any], sha256: bytes | None = None) -> Price:
    """A price from its document; raises `PriceError`. Members:

    `provider`, `model`, `currency` (ISO 4217); `rates` {part: rate}; `units` {name: rate}; `variants`
    [{`name`, `from`?, `rates`}]; `valid_from`, `valid_to` (RFC 3339). A rate is "2.50" or
    {`base`: "3", `tiers`: [[200000, "6"], …]}. Others (`names`, `source`, `note`) are kept, not read here.
    """
    currency = document.get("currency")
    if not (isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise PriceError("currency: three capital letters, such as USD.")
    units = document.get("units") or {}
    if not isinstance(units, Mapping):
        raise PriceError("units: an object of prices for one unit each.")
    start, end = (read_moment(document.get(name), name) for name in ("valid_from", "valid_to"))
    if start and end and start >= end:
        raise PriceError("valid_to: after valid_from.")
    return Price(
        sha256=sha256 or price_sha256(document),
        provider=str(document.get("provider") or ""),
        model=str(document.get("model") or ""),
        currency=currency,
        rates=_read_rates(document.get("rates") or {}, "rates"),
        units={str(name): read_decimal(value, f"units.{name}") for name, value in units.items()},
        variants=tuple(_read_variants(document.get("variants") or [])),
        valid_from=start,
        valid_to=end,
    )


def _read_rates(values: Any, where: str) -> dict[str, Rate]:
    if not isinstance(values, Mapping):
        raise PriceError(f"{where}: an object of rates.")
    if unknown := sorted(set(values) - TOKEN_RATES):
        raise PriceError(f"{where}: {', '.join(unknown)} is not one of {', '.join(sorted(TOKEN_RATES))}.")
    return {name: _read_rate(value, f"{where}.{name}") for name, value in values.items()}


def _read_rate(value: Any, where: str) -> Rate:
    if not isinstance(value, Mapping):
        return Rate(read_decimal(value, where))
    tiers = value.get("tiers") or []
    if not isinstance(tiers, list) or not all(isinstance(one, list) and len(one) == 2 for one in tiers):
        raise PriceError(f'{where}: tiers are pairs of a size and a rate, such as [200000, "6"].')
    sizes = [size for size, _ in tiers]
    if not all(isinstance(size, int) and size >= 0 for size in sizes) or sizes != sorted(set(sizes)):
        raise PriceError(f"{where}: tiers begin at ascending sizes.")
    return Rate(
        read_decimal(value.get("base"), where), tuple((size, read_decimal(rate, where)) for size, rate in tiers)
    )


def _read_variants(values: Any) -> list[Variant]:
    where = "variants"
    if not isinstance(values, list) or not all(isinstance(one, Mapping) for one in values):
        raise PriceError(f"{where}: a list of objects with `name`, `from` and `rates`.")
    return [
        Variant(str(one.get("name")), read_moment(one.get("from"), where), _read_rates(one.get("rates"), where))
        for one in values
    ]


def read_decimal(value: Any, where: str) -> int:
    """A rate in 10⁻¹², from a decimal string: not negative, at most 12 places. Raises `PriceError`."""
    try:
        found = Decimal(value) if isinstance(value, str) and len(value) <= 32 else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or not 0 <= found <= MOST_RATE:
        raise PriceError(f'{where}: a price as a string, such as "2.50", from 0 up to {MOST_RATE:,}.')
    scaled = found.scaleb(PLACES)
    if scaled != scaled.to_integral_value():
        raise PriceError(f"{where}: at most {PLACES} decimal places.")
    return int(scaled)


def read_moment(value: Any, where: str) -> datetime | None:
    """An RFC 3339 time with its zone, or nothing. Raises `PriceError`."""
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PriceError(f"{where}: a time such as 2026-01-01T00:00:00Z.")
    return moment
