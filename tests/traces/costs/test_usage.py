"""Usage in the contract's form: disjoint, and what each provider means by its words."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.costs.usage import Buckets, Usage, UsageNotRead, buckets, usage_from_response

CALLS = Path(__file__).resolve().parents[4] / "shared" / "data" / "provider_calls"
COUNT = st.integers(0, 10**9)

VECTORS = [
    pytest.param(
        {"prompt_tokens": 100, "completion_tokens": 50,
         "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 5},
         "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 7}},
        Buckets(15, 80, 0, 0, 5, 13, 30, 7), id="openai chat: cached inside, reasoning inside"),
    pytest.param(
        {"input_tokens": 100, "output_tokens": 50, "input_tokens_details": {"cached_tokens": 60},
         "output_tokens_details": {"reasoning_tokens": 20}},
        Buckets(40, 60, 0, 0, 0, 30, 20, 0), id="openai responses"),
    pytest.param(
        {"input_tokens": 6, "output_tokens": 489, "cache_read_input_tokens": 20_443, "cache_creation_input_tokens": 574,
         "cache_creation": {"ephemeral_1h_input_tokens": 74, "ephemeral_5m_input_tokens": 500},
         "output_tokens_details": {"thinking_tokens": 77}},
        Buckets(6, 20_443, 500, 74, 0, 412, 77, 0), id="anthropic: cached beside, thinking inside"),
    pytest.param(
        {"promptTokenCount": 17_713, "candidatesTokenCount": 68, "thoughtsTokenCount": 821,
         "cachedContentTokenCount": 17_379, "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 1_881}],
         "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1_917}, {"modality": "TEXT", "tokenCount": 16}]},
        Buckets(298, 17_379, 0, 0, 36, 68, 821, 0), id="gemini: cached inside, thoughts beside"),
    pytest.param(
        {"promptTokenCount": 15, "candidatesTokenCount": 40, "thoughtsTokenCount": 257, "toolUsePromptTokenCount": 288},
        Buckets(303, 0, 0, 0, 0, 40, 257, 0), id="gemini: tool results beside the prompt"),
    pytest.param(
        {"promptTokenCount": 93, "candidatesTokenCount": 398, "thoughtsTokenCount": 76},
        Buckets(93, 0, 0, 0, 0, 398, 76, 0), id="gemini: few thoughts, still beside"),
    pytest.param(
        {"inputTokens": 7, "outputTokens": 64, "cacheReadInputTokens": 20, "cacheWriteInputTokens": 3},
        Buckets(7, 20, 3, 0, 0, 64, 0, 0), id="bedrock converse: cached beside"),
    pytest.param(
        {"inputTokens": 16, "outputTokens": 27, "cacheReadInputTokenCount": 5, "cacheWriteInputTokenCount": 0},
        Buckets(16, 5, 0, 0, 0, 27, 0, 0), id="bedrock nova invoke"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), VECTORS)
def test_each_provider_is_read_as_it_means_it(found: dict[str, Any], expected: Buckets) -> None:
    assert buckets(usage_from_response({"usage": found})) == expected


def test_what_is_no_usage_is_refused() -> None:
    for body in ({}, {"usage": {"guardrail": 1}}, {"usage": [1]}):
        with pytest.raises(UsageNotRead):
            usage_from_response(body)


@given(st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT))
def test_no_token_is_counted_twice_and_none_is_lost(usage: Usage) -> None:
    parts = buckets(usage)
    assert min(parts) >= 0
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    inside = cached <= usage.input_tokens
    assert parts.input_size == usage.input_tokens + (0 if inside else cached)
    outside = usage.reasoning_tokens > usage.output_tokens
    output = parts.output + parts.reasoning + parts.output_audio
    assert output == usage.output_tokens + (usage.reasoning_tokens if outside else 0)


def test_cached_tokens_that_do_not_fit_were_reported_beside_the_input() -> None:
    assert buckets(Usage(input_tokens=10, cache_read_tokens=100)).input == 10
    assert buckets(Usage(input_tokens=110, cache_read_tokens=100)).input == 10


def recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    """Usage objects that providers sent, with the total that they gave (from recordings of real calls)."""
    for path in sorted(CALLS.glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            for line in lines:
                call = json.loads(line)
                try:
                    body = json.loads(call["response_body"])
                except (TypeError, ValueError):
                    continue
                found = (body.get("usage") or body.get("usageMetadata")) if isinstance(body, dict) else None
                if isinstance(found, dict):
                    yield call["provider_host"], found


@pytest.mark.skipif(not CALLS.exists(), reason="the recordings of provider calls are not here")
def test_recorded_calls_add_up_to_what_the_provider_says() -> None:
    checked = 0
    for host, found in recorded():
        total = found.get("total_tokens") or found.get("totalTokenCount") or found.get("totalTokens")
        try:
            parts = buckets(usage_from_response({"usage": found}))
        except UsageNotRead:
            continue
        if isinstance(total, int) and ("openai" in host or "google" in host or "bedrock" in host):
            assert sum(parts) == total, (host, found)
            checked += 1
    assert checked > 300
