"""The published prices that come with the package `genai-prices`, as documents of ours. Never asks the network."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib.metadata import version
from itertools import pairwise
from typing import Any

from traces.costs.pricing import PLACES

PACKAGE = "genai-prices"

# Names there → parts here. What is sold by other units follows, with how many of ours one of theirs is.
TOKENS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "output_reasoning_mtok": "reasoning",
}
UNITS = {
    "requests_kcount": ("requests", 1_000),
    "web_searches_kcount": ("web_searches", 1_000),
    "storage_searches_kcount": ("storage_searches", 1_000),
    "input_mchars": ("characters", 1_000_000),
    "input_document_kpages": ("pages", 1_000),
    "audio_hours": ("audio_hours", 1),
    "input_audio_hours": ("audio_hours", 1),
}


def list_documents() -> Iterator[dict[str, Any]]:
    """Every price of the list, in its order: first the provider's, then the model's, then the day it began."""
    # Late: three megabytes that only this command needs.
    from genai_prices.data import providers

    source = f"{PACKAGE} {version(PACKAGE)}"
    for provider in providers:
        listed_by = {
            "names": clause(provider.provider_match),
            "models": clause(provider.model_match),
            "fallback": list(provider.fallback_model_providers or ()),
        }
        for model in provider.models:
            about = {
                "provider": provider.id,
                "model": model.id,
                "currency": "USD",
                "names": clause(model.match),
                "listed_by": {name: value for name, value in listed_by.items() if value},
                "source": source,
            }
            variants = list(_variants(model.price_variants or ()))
            for start, end, prices in _periods(model.prices):
                found = about | _prices(prices) | ({"variants": variants} if variants else {})
                yield found | {name: at for name, at in (("valid_from", start), ("valid_to", end)) if at}


def clause(found: Any) -> dict[str, Any] | None:
    """A match clause of theirs as JSON (`costs.book.matches`)."""
    if found is None:
        return None
    ((name, value),) = vars(found).items()
    if isinstance(value, list):
        return {name.rstrip("_"): [clause(one) for one in value]}
    return {name: value}


def _periods(prices: Any) -> Iterator[tuple[str, str, Any]]:
    """Each price with its first moment and the next one's. Prices by the hour of the day are left out: the plain one
    is an upper bound, and says so by being the list's first."""
    if not isinstance(prices, Sequence):
        yield "", "", prices
        return
    dated = [(_midnight(one.constraint), one.prices) for one in prices if _is_dated(one.constraint)]
    dated.sort(key=lambda pair: pair[0])
    for (start, found), (end, _) in pairwise([*dated, ("", None)]):
        yield start, end, found


def _is_dated(constraint: Any) -> bool:
    return constraint is None or hasattr(constraint, "start_date")


def _midnight(constraint: Any) -> str:
    if constraint is None:
        return ""
    return datetime.combine(constraint.start_date, time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _variants(variants: Any) -> Iterator[dict[str, Any]]:
    for one in variants:
        names = list(one.when.values())
        rates = _prices(one.prices).get("rates")
        if len(names) == 1 and rates and _is_dated(one.constraint):
            start = _midnight(one.constraint)
            yield {"name": names[0], "rates": rates} | ({"from": start} if start else {})


def _prices(prices: Any) -> dict[str, Any]:
    values: Mapping[str, Any] = {name: value for name, value in vars(prices).items() if value is not None}
    rates = {TOKENS[name]: _rate(value) for name, value in values.items() if name in TOKENS}
    units = {
        UNITS[name][0]: text(value / UNITS[name][1])
        for name, value in values.items()
        if name in UNITS and isinstance(value, Decimal)
    }
    return {name: found for name, found in (("rates", rates), ("units", units)) if found}


def _rate(value: Any) -> Any:
    if isinstance(value, Decimal):
        return text(value)
    return {"base": text(value.base), "tiers": [[tier.start, text(tier.price)] for tier in value.tiers]}


def text(value: Decimal) -> str:
    """A decimal in plain digits, to 12 places: beyond them the list holds nothing but the noise of floats."""
    return f"{round(value, PLACES).normalize():f}"
