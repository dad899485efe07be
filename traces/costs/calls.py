"""From a submission to what a price depends on. Pure.

An application says in `metadata` what the contract has no field for: `cache_hit` (its own cache answered, so nothing
is due) and `units` (counts of what is not sold by the token). `model.parameters` holds `service_tier`, or
`processing: batch`, as sent to the provider.
"""

from collections.abc import Mapping
from typing import Any

from traces.costs.book import Call
from traces.costs.usage import Usage
from traces.submissions import Submitted


def call_of(typed: Submitted) -> Call | None:
    """The call behind a decision; None where no model is named and nothing was counted."""
    model, reported = typed.model, typed.usage
    if reported is None and (model is None or not model.name):
        return None
    metadata = typed.metadata or {}
    usage = Usage(
        input_tokens=(reported.input_tokens or 0) if reported else 0,
        output_tokens=(reported.output_tokens or 0) if reported else 0,
        cache_read_tokens=(reported.cache_read_tokens or 0) if reported else 0,
        cache_write_tokens=(reported.cache_write_tokens or 0) if reported else 0,
        reasoning_tokens=(reported.reasoning_tokens or 0) if reported else 0,
        units=units_in(metadata.get("units")),
    )
    return Call(
        provider=model.provider if model else "",
        model=model.name if model else "",
        version=model.version if model else "",
        usage=usage,
        variant=variant_in((model.parameters if model else None) or {}),
        cached=metadata.get("cache_hit") is True,
    )


def variant_in(parameters: Mapping[str, Any]) -> str:
    """Under which of a provider's tariffs the call ran; empty: the standard one."""
    found = parameters.get("processing") or parameters.get("service_tier")
    return found if isinstance(found, str) else ""


def units_in(counts: Any) -> tuple[tuple[str, int], ...]:
    """Counts of units that are whole numbers, by name; anything else is left alone."""
    if not isinstance(counts, Mapping):
        return ()
    whole = {name: n for name, n in counts.items() if isinstance(n, int) and not isinstance(n, bool)}
    return tuple(sorted((name, n) for name, n in whole.items() if 0 < n < 2**53))
