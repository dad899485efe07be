"""Is what an answer says in the context that it was given? Sentence by sentence: likeness, words, numbers. Pure.

A sentence is held against every sentence of the context. Three things speak: how near the nearest is in meaning, which
share of its content words the context has, and which share of its numbers: a wrong amount in a right sentence is the
commonest harm, and embeddings hardly see it. This finds what has no support; that a claim *follows* it does not prove.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from traces.meaning.linear import Linear

VERSION = "1"
MOST_SENTENCES = 24  # of a text; the rest is not looked at
SUPPORTED = 0.5
_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_STOP = frozenset(
    {
        "the", "and", "for", "are", "was", "were", "with", "that", "this", "from", "have", "has", "had", "not",
        "but", "you", "your", "our", "their", "its", "his", "her", "they", "will", "would", "can", "could", "should",
        "may", "might", "must", "been", "being", "than", "then", "there", "here", "what", "which", "who", "whom",
        "when", "where", "why", "how", "all", "any", "each", "more", "most", "other", "some", "such", "only", "own",
        "same", "too", "very", "just", "about", "into", "over", "after", "before", "also",
    }
)  # fmt: skip


def sentences(text: str) -> list[str]:
    """Sentences of at least three words, in order."""
    return [found for piece in _END.split(text) if len((found := piece.strip(" -*•#>\t")).split()) >= 3]


def content_words(text: str) -> set[str]:
    """Words that carry meaning, folded."""
    return {word for word in _WORD.findall(text.casefold()) if word not in _STOP}


def numbers(text: str) -> set[str]:
    """Numbers as digits alone: 5,000 and 5000 are the same."""
    return {re.sub(r"[.,](?=\d{3}\b)", "", number) for number in _NUMBER.findall(text)}


def support_features(
    sentence: str, vector: NDArray[np.float32], context: Sequence[str], vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Nearest cosine, share of content words, share of numbers (1 where there are none)."""
    words, figures, whole = content_words(sentence), numbers(sentence), " ".join(context)
    return np.asarray(
        [
            float((vectors @ vector).max()) if len(vectors) else 0.0,
            len(words & content_words(whole)) / len(words) if words else 1.0,
            len(figures & numbers(whole)) / len(figures) if figures else 1.0,
        ]
    )


@lru_cache(maxsize=1)
def model() -> Linear:
    """The weights that ship."""
    return Linear.load("support")


def support(sentence: str, vector: NDArray[np.float32], context: Sequence[str], vectors: NDArray[np.float32]) -> float:
    """The probability that the context says so; never above one half for a number that the context does not have."""
    row = support_features(sentence, vector, context, vectors)
    p = model().probability(row)
    return min(p, 0.49) if row[2] < 1 else p
