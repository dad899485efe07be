"""Token counts in one meaning: `input_tokens` includes the cached ones, `output_tokens` the reasoning ones. Pure.

Senders differ. Anthropic and Bedrock count cached tokens beside the input, OpenAI and Gemini within it; and each
instrumentation library decides anew. What was decided, and why, is kept with the raw numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from traces.otlp.attributes import Attributes, as_count, read_json

_INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
)
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
_TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens")
# By these names the conventions define cached tokens as a part of the input.
_WITHIN = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
_CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "ai.usage.cachedInputTokens",
)
_CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.outputTokenDetails.reasoningTokens",
    "ai.usage.reasoningTokens",
)
_LANGFUSE_CACHE_READ = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "input_cached")
_LANGFUSE_CACHE_WRITE = ("cache_creation_input_tokens", "input_cache_creation", "input_cache_write")
_LANGFUSE_REASONING = ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens")
_CACHE_APART = frozenset({"anthropic", "aws.bedrock"})


@dataclass(frozen=True, slots=True)
class Counts:
    """What was reported, in the sender's own meaning. `cache`: whether its input has the cached tokens, if known."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cache: str = ""  # "within", "apart", or unknown


@dataclass(frozen=True, slots=True)
class Reading:
    """The contract's `usage`, and how it came about when there was something to decide."""

    usage: dict[str, int]
    rule: str


def usage_of(attributes: Attributes, provider: str) -> Reading:
    """The tokens of one model call."""
    details = read_json(attributes.values.get("langfuse.observation.usage_details"))
    if isinstance(details, dict) and details:
        return normalised(_langfuse_counts(details), provider)
    usage = read_json(attributes.values.get("mlflow.chat.tokenUsage"))
    if isinstance(usage, dict):
        return normalised(_mlflow_counts(usage), provider)
    return normalised(_counts(attributes, provider), provider)


def _counts(attributes: Attributes, provider: str) -> Counts:
    cache = "within" if any(name in attributes for name in _WITHIN) else ""
    # The AI SDK before its version 6 passed Anthropic's numbers on, and made its total of them.
    if not cache and "ai.usage.cachedInputTokens" in attributes and provider in _CACHE_APART:
        cache = "apart"
    return Counts(
        attributes.count(_INPUT),
        attributes.count(_OUTPUT),
        attributes.count(_TOTAL),
        attributes.count(_CACHE_READ),
        attributes.count(_CACHE_WRITE),
        attributes.count(_REASONING),
        cache,
    )


def _langfuse_counts(details: Mapping[str, Any]) -> Counts:
    """Langfuse's own buckets do not overlap; the OpenAI form it also takes nests them."""
    if "prompt_tokens" in details:
        prompt, completion = (details.get(f"{side}_tokens_details") for side in ("prompt", "completion"))
        return Counts(
            as_count(details.get("prompt_tokens")),
            as_count(details.get("completion_tokens")),
            as_count(details.get("total_tokens")),
            as_count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else None,
            None,
            as_count(completion.get("reasoning_tokens")) if isinstance(completion, dict) else None,
            "within",
        )
    buckets = Attributes(details)
    return Counts(
        buckets.count(("input", "input_tokens")),
        buckets.count(("output", "output_tokens")),
        buckets.count(("total", "total_tokens")),
        buckets.count(_LANGFUSE_CACHE_READ),
        buckets.count(_LANGFUSE_CACHE_WRITE),
        buckets.count(_LANGFUSE_REASONING),
        "apart",
    )


def _mlflow_counts(usage: Mapping[str, Any]) -> Counts:
    reported = Attributes(usage)
    return Counts(
        reported.count(("input_tokens",)),
        reported.count(("output_tokens",)),
        reported.count(("total_tokens",)),
        reported.count(("cache_read_input_tokens",)),
        reported.count(("cache_creation_input_tokens",)),
    )


def normalised(counts: Counts, provider: str) -> Reading:
    """One meaning for all: cached tokens join the input, and reasoning the output, where they were counted apart."""
    cached = (counts.cache_read or 0) + (counts.cache_write or 0)
    apart, rule = _cache_is_apart(counts, cached, provider) if cached else (False, "")
    total_input = counts.input + cached if counts.input is not None and apart else counts.input
    output = counts.output
    if output is not None and counts.reasoning and _reasoning_is_apart(counts, total_input, output):
        output += counts.reasoning
        rule = "; ".join(filter(None, (rule, "reasoning tokens were counted beside the output")))
    found = {
        "input_tokens": total_input,
        "output_tokens": output,
        "cache_read_tokens": counts.cache_read,
        "cache_write_tokens": counts.cache_write,
        "reasoning_tokens": counts.reasoning,
    }
    return Reading({name: value for name, value in found.items() if value is not None}, rule)


def _cache_is_apart(counts: Counts, cached: int, provider: str) -> tuple[bool, str]:
    if counts.cache == "apart":
        return True, "cached tokens were counted beside the input: this sender's buckets do not overlap"
    if counts.input is not None and cached > counts.input:
        return True, "cached tokens were counted beside the input: they exceed it"
    if counts.total is not None and counts.total == (counts.input or 0) + (counts.output or 0) + cached:
        return True, "cached tokens were counted beside the input: so the total says"
    if counts.cache == "within":
        return False, "cached tokens are within the input: so its names are defined"
    if counts.total is not None and counts.total == (counts.input or 0) + (counts.output or 0):
        return False, "cached tokens are within the input: so the total says"
    if provider in _CACHE_APART:
        return True, f"cached tokens were counted beside the input: {provider} does"
    return False, "cached tokens are within the input: most providers count so"


def _reasoning_is_apart(counts: Counts, total_input: int | None, output: int) -> bool:
    reasoning = counts.reasoning or 0
    if reasoning > output or counts.cache == "apart":
        return True
    return counts.total is not None and counts.total == (total_input or 0) + output + reasoning
