"""Text as a stable vector: hashed word uni- and bigrams, and the words behind each hash. Pure.

`VECTOR_VERSION` changes whenever the same text would get another vector: baselines compare within one version only.
"""

import re
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain
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


def tokens(text: str, *, limit: int | None = MAX_CHARACTERS) -> list[str]:
    """Lower-cased words, punctuation marks and line breaks, in order; of the first `limit` characters."""
    return _WORD.findall(text[:limit].lower())


def vector(words: list[str], *, pairs: bool = True) -> Vector:
    """The vector of one text; see `vectors`."""
    return vectors([words], [pairs])[0] if words else _EMPTY


def vectors(texts: Sequence[Sequence[str]], pairs: Sequence[bool]) -> Vector:
    """Signed hashes of words, then of word pairs (where `pairs`): weight 1 + log(tf), each half of length √½.

    texts × DIMENSIONS, each row as it would be alone; together they cost a third.
    """
    sizes = np.array([len(words) for words in texts])
    owner = np.repeat(np.arange(len(texts), dtype=np.uint16), sizes)
    hashes = map(_hashes.__getitem__, chain.from_iterable(texts))
    singles = np.fromiter(hashes, dtype=np.uint64, count=len(owner)) * _MIX
    both = (singles[:-1] ^ (singles[1:] * _SECOND)) * _MIX
    within = (owner[:-1] == owner[1:]) & np.repeat(np.asarray(pairs, dtype=bool), sizes)[1:]
    found = np.empty((len(texts), DIMENSIONS))
    found[:, :WORDS] = _hashed(singles, owner, len(texts), WORDS)
    found[:, WORDS:] = _hashed(both[within], owner[1:][within], len(texts), PAIRS)
    return quantised(found)


def _hashed(
    grams: "np.ndarray[Any, np.dtype[np.uint64]]", owner: "np.ndarray[Any, np.dtype[np.uint16]]", n: int, size: int
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    order = np.argsort(grams)
    order = order[np.argsort(owner[order], kind="stable")]
    ordered, owners = grams[order], owner[order]
    new = (ordered[1:] != ordered[:-1]) | (owners[1:] != owners[:-1])
    first = np.flatnonzero(np.concatenate(([True], new))[: len(ordered)])
    distinct, times = ordered[first], np.diff(first, append=len(ordered))
    weights = np.where(distinct >> _SIGN_BIT, -1.0, 1.0) * (1.0 + np.log(times))
    place = ((distinct >> _FOLD) % np.uint64(size)).astype(np.intp) + owners[first].astype(np.intp) * size
    found = np.bincount(place, weights, n * size).reshape(n, size)
    length = np.sqrt(2 * np.einsum("ij,ij->i", found, found))
    return np.asarray(found / np.where(length > 0, length, 1.0)[:, None])


def quantised(values: Any) -> Vector:
    """Rounded to multiples of 1/2048 within ±15.99: sums of them are whole numbers, so that merging is exact."""
    return np.asarray(np.clip(np.rint(values * UNIT), -LIMIT, LIMIT) / UNIT, dtype=np.float32)
