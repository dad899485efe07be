"""Token usage in one form, whoever reported it. Pure.

The contract: input includes what was read from and written to a cache, output includes reasoning. OpenAI and Gemini
count input that way; Anthropic and Bedrock report cached tokens beside it; Gemini reports reasoning beside its output.
`usage_from_response` turns a provider's own words into the contract; `buckets` splits the contract into parts that
are disjoint, so that no token can be priced twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, by the contract; `units` counts what is not sold by the token (requests, images, seconds)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0  # of the written ones, those that are kept for an hour
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    units: tuple[tuple[str, int], ...] = ()


class Buckets(NamedTuple):
    """Disjoint parts of a usage: their sum is every token once."""

    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    input_audio: int
    output: int
    reasoning: int
    output_audio: int

    @property
    def input_size(self) -> int:
        """All of the input: what tiers go by."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h + self.input_audio


def buckets(usage: Usage) -> Buckets:
    """Split a usage into disjoint parts. What is left for a part is bounded by what the others have not taken.

    Numbers that break the contract are read as they must have been meant: cached tokens that do not fit into the
    input were reported beside it, and are added once; likewise reasoning.
    """
    read, written, reasoning = usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    fresh = usage.input_tokens - read - written
    if fresh < 0:
        fresh = usage.input_tokens
    spoken = usage.output_tokens - reasoning
    if spoken < 0:
        spoken = usage.output_tokens
    for_an_hour = min(usage.cache_write_1h_tokens, written)
    input_audio = min(usage.input_audio_tokens, fresh)
    output_audio = min(usage.output_audio_tokens, spoken)
    return Buckets(
        input=fresh - input_audio,
        cache_read=read,
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
        input_audio=input_audio,
        output=spoken - output_audio,
        reasoning=reasoning,
        output_audio=output_audio,
    )


class UsageNotRead(ValueError):
    """The object is in no form of usage that is known."""


def usage_from_response(body: Mapping[str, Any]) -> Usage:
    """The usage in a provider's response (or the usage object alone): OpenAI and what speaks like it, Anthropic,
    Gemini, Bedrock. Raises `UsageNotRead`."""
    found = body.get("usage") or body.get("usageMetadata") or body
    if not isinstance(found, Mapping):
        raise UsageNotRead("The usage is not an object.")
    for known, read in _READERS:
        if known & found.keys():
            return read(found)
    raise UsageNotRead("No usage of a known form: send the provider's `usage` or `usageMetadata` as it is.")


def _count(found: Mapping[str, Any], *path: str) -> int:
    value: Any = found
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _openai_chat(found: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=_count(found, "prompt_tokens"),
        output_tokens=_count(found, "completion_tokens"),
        cache_read_tokens=_count(found, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_count(found, "completion_tokens_details", "reasoning_tokens"),
        input_audio_tokens=_count(found, "prompt_tokens_details", "audio_tokens"),
        output_audio_tokens=_count(found, "completion_tokens_details", "audio_tokens"),
    )


def _openai_responses(found: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=_count(found, "input_tokens"),
        output_tokens=_count(found, "output_tokens"),
        cache_read_tokens=_count(found, "input_tokens_details", "cached_tokens"),
        cache_write_tokens=_count(found, "input_tokens_details", "cache_write_tokens"),
        reasoning_tokens=_count(found, "output_tokens_details", "reasoning_tokens"),
    )


def _anthropic(found: Mapping[str, Any]) -> Usage:
    """Cached tokens stand beside `input_tokens`; thinking is inside `output_tokens`."""
    read, written = _count(found, "cache_read_input_tokens"), _count(found, "cache_creation_input_tokens")
    return Usage(
        input_tokens=_count(found, "input_tokens") + read + written,
        output_tokens=_count(found, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=_count(found, "cache_creation", "ephemeral_1h_input_tokens"),
        reasoning_tokens=_count(found, "output_tokens_details", "thinking_tokens"),
    )


def _gemini(found: Mapping[str, Any]) -> Usage:
    """Cached tokens are inside the prompt; tool results stand beside it, thoughts beside the candidates."""
    thoughts = _count(found, "thoughtsTokenCount")
    return Usage(
        input_tokens=_count(found, "promptTokenCount") + _count(found, "toolUsePromptTokenCount"),
        output_tokens=_count(found, "candidatesTokenCount") + thoughts,
        cache_read_tokens=_count(found, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        input_audio_tokens=max(
            _modality(found, "promptTokensDetails", "AUDIO") - _modality(found, "cacheTokensDetails", "AUDIO"), 0
        ),
        output_audio_tokens=_modality(found, "candidatesTokensDetails", "AUDIO"),
    )


def _modality(found: Mapping[str, Any], name: str, wanted: str) -> int:
    details = found.get(name)
    if not isinstance(details, Sequence):
        return 0
    rows = [one for one in details if isinstance(one, Mapping) and one.get("modality") == wanted]
    return sum(_count(row, "tokenCount") for row in rows)


def _bedrock(found: Mapping[str, Any]) -> Usage:
    """Cached tokens stand beside `inputTokens`; the two APIs of Bedrock name them differently."""
    read = _count(found, "cacheReadInputTokens") or _count(found, "cacheReadInputTokenCount")
    written = _count(found, "cacheWriteInputTokens") or _count(found, "cacheWriteInputTokenCount")
    return Usage(
        input_tokens=_count(found, "inputTokens") + read + written,
        output_tokens=_count(found, "outputTokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


# Told apart by the names that only one of them has; Anthropic's come before OpenAI's, which are a part of them.
_READERS = (
    ({"prompt_tokens", "completion_tokens"}, _openai_chat),
    ({"promptTokenCount", "candidatesTokenCount"}, _gemini),
    ({"inputTokens", "outputTokens"}, _bedrock),
    ({"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "service_tier"}, _anthropic),
    ({"input_tokens", "output_tokens"}, _openai_responses),
)
