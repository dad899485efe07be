"""A stand-in for the encoder: texts that share words are near. Deterministic, instant, no torch."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from traces.meaning.encoder import DIMENSIONS


class Words:
    """Counts what it is asked to encode."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        return np.stack([vector(text) for text in texts]) if texts else np.zeros((0, DIMENSIONS), np.float32)


def vector(text: str) -> NDArray[np.float32]:
    """The normalised sum of a random direction for each word."""
    total = np.zeros(DIMENSIONS)
    for word in text.casefold().split():
        seed = int.from_bytes(hashlib.sha256(word.strip(".,?!").encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9), np.float32)
