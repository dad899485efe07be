"""Text as a stable vector: hashed word uni- and bigrams, and the words behind each hash. Pure.

`VECTOR_VERSION` changes whenever the same text would get another vector: baselines compare within one version only.
"""

import re
import zlib
from collections import OrderedDict
from typing import Any

import numpy as np

VECTOR_VERSION = 1
# Words and word pairs each have a place of their own: together in one they hide each other (measured on real silent
# model changes, at equal size). More dimensions bring little; fewer lose much.
WORDS, PAIRS = 512, 1536
DIMENSIONS = WORDS + PAIRS
UNIT, LIMIT = 2048, 32_767  # a feature is a whole number of units, and fits 16 bits
MAX_CHARACTERS = 20_000  # of one text; what an answer is like shows long before
_WORD = re.compile(r"\w+|[^\w\s]|\n+")
_MIX, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_SIGN_BIT, _FOLD = np.uint64(63), np.uint64(40)
_EMPTY = np.zeros(DIMENSIONS, dtype=np.float32)
_CACHE_SIZE = 100_000

Vector = np.ndarray[Any, np.dtype[np.float32]]


class _WordHashes(OrderedDict[str, int]):
    """crc32 of a word, remembered: most words of a deployment come again and again."""

    def __missing__(self, word: str) -> int:
        value = zlib.crc32(word.encode("utf-8", "surrogatepass")) + 1
        self[word] = value
        if len(self) > _CACHE_SIZE:
            self.popitem(last=False)
        return value


_hashes = _WordHashes()


def tokens(text: str) -> list[str]:
    """Lower-cased words, punctuation marks and line breaks, in order."""
    return _WORD.findall(text[:MAX_CHARACTERS].lower())


def vector(words: list[str], *, pairs: bool = True) -> Vector:
    """Signed hashes of words, then of word pairs (unless not `pairs`): weight 1 + log(tf), each half of length √½."""
    if not words:
        return _EMPTY
    singles = np.fromiter(map(_hashes.__getitem__, words), dtype=np.uint64, count=len(words)) * _MIX
    both = (singles[:-1] ^ (singles[1:] * _SECOND)) * _MIX if pairs else singles[:0]
    return np.concatenate((_hashed(singles, WORDS), _hashed(both, PAIRS)))


def _hashed(grams: "np.ndarray[Any, np.dtype[np.uint64]]", size: int) -> Vector:
    distinct, times = np.unique(grams, return_counts=True)
    weights = np.where(distinct >> _SIGN_BIT, -1.0, 1.0) * (1.0 + np.log(times))
    place = ((distinct >> _FOLD) % np.uint64(size)).astype(np.intp)
    found = np.bincount(place, weights, size)
    length = float(np.sqrt(2 * (found @ found)))
    return quantised(found / length if length else found)


def quantised(values: Any) -> Vector:
    """Rounded to multiples of 1/2048 within ±15.99: sums of them are whole numbers, so that merging is exact."""
    return np.asarray(np.clip(np.rint(values * UNIT), -LIMIT, LIMIT) / UNIT, dtype=np.float32)
