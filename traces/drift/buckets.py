"""The baseline as sums that merge: what an hour, a day, a version or a segment was like. Pure.

Everything in a bucket is a whole number or a count, so merging is exact, in any order and any grouping: a late record
only adds to its own hour, and adding up again from the records gives the same bytes.
"""

import math
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from traces.drift import style, words
from traces.drift.frame import Row

Sums = np.ndarray[Any, np.dtype[np.int64]]

FORMAT = 1
USER_BITS = 512  # a bitmap of hashed users: counts up to a few hundred with some percent of error
_BINS_PER_OCTAVE = 4


@dataclass(slots=True)
class Bucket:
    """Sums over `n` decisions. `bins`: scalar → quarter-octave → count; `labels` and `judged` as in `Observation`."""

    n: int = 0
    n_text: int = 0
    asked: Sums = field(default_factory=lambda: np.zeros(words.DIMENSIONS, dtype=np.int64))
    answered: Sums = field(default_factory=lambda: np.zeros(words.DIMENSIONS, dtype=np.int64))
    style: Sums = field(default_factory=lambda: np.zeros(style.SIZE, dtype=np.int64))
    style_squares: Sums = field(default_factory=lambda: np.zeros(style.SIZE, dtype=np.int64))
    bins: dict[str, Counter[int]] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    users: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Bucket":
        """The sums of these rows."""
        bucket = cls()
        for row in rows:
            bucket.add(row)
        return bucket

    def add(self, row: Row) -> None:
        """Count one more decision."""
        features, seen = row.features, row.seen
        self.n += 1
        self.n_text += features.has_text
        self.asked += _whole(features.asked)
        self.answered += _whole(features.answered)
        numbers = _whole(features.style) if features.has_text else np.zeros(style.SIZE, dtype=np.int64)
        self.style += numbers
        self.style_squares += numbers**2
        for name, value in seen.scalars.items():
            self.bins.setdefault(name, Counter())[bin_of(value)] += 1
        self.labels.update(seen.labels)
        self.judged.update(seen.judged)
        if seen.user:
            self.users |= 1 << zlib.crc32(seen.user.encode("utf-8", "surrogatepass")) % USER_BITS

    def merge(self, other: "Bucket") -> "Bucket":
        """Both together: addition, so in any order."""
        bins = {name: Counter(counts) for name, counts in self.bins.items()}
        for name, counts in other.bins.items():
            bins.setdefault(name, Counter()).update(counts)
        return Bucket(
            self.n + other.n,
            self.n_text + other.n_text,
            self.asked + other.asked,
            self.answered + other.answered,
            self.style + other.style,
            self.style_squares + other.style_squares,
            bins,
            self.labels + other.labels,
            self.judged + other.judged,
            self.users | other.users,
        )

    def n_users(self) -> float:
        """About how many users (linear counting)."""
        empty = USER_BITS - self.users.bit_count()
        return USER_BITS * math.log(USER_BITS / max(empty, 1))

    def median(self, name: str) -> float | None:
        """The middle of a scalar, to a quarter octave."""
        counts = self.bins.get(name)
        if not counts:
            return None
        left = sum(counts.values()) / 2
        for place in sorted(counts):
            left -= counts[place]
            if left <= 0:
                return value_of(place)
        return None

    def rate(self, label: str) -> float | None:
        """How often a label holds where it could have."""
        judged = self.judged[label.partition(":")[0]]
        return self.labels[label] / judged if judged else None

    def encode(self) -> bytes:
        """Compact bytes; equal buckets have equal bytes."""
        head = {
            "f": FORMAT,
            "n": self.n,
            "t": self.n_text,
            "b": {name: sorted(counts.items()) for name, counts in sorted(self.bins.items())},
            "l": sorted(self.labels.items()),
            "j": sorted(self.judged.items()),
            "u": f"{self.users:x}",
        }
        arrays = b"".join(_sparse(part) for part in self._arrays())
        text = orjson.dumps(head)
        return zlib.compress(len(text).to_bytes(4, "big") + text + arrays, 6)

    def _arrays(self) -> tuple[Sums, Sums, Sums, Sums]:
        return self.asked, self.answered, self.style, self.style_squares

    @classmethod
    def decode(cls, data: bytes) -> "Bucket":
        """The inverse of `encode`."""
        raw = zlib.decompress(data)
        size = int.from_bytes(raw[:4], "big")
        head = orjson.loads(raw[4 : 4 + size])
        at = 4 + size
        asked, at = _dense(raw, at, words.DIMENSIONS)
        answered, at = _dense(raw, at, words.DIMENSIONS)
        manner, at = _dense(raw, at, style.SIZE)
        squares, at = _dense(raw, at, style.SIZE)
        return cls(
            head["n"],
            head["t"],
            asked,
            answered,
            manner,
            squares,
            {name: Counter(dict(counts)) for name, counts in head["b"].items()},
            Counter(dict(head["l"])),
            Counter(dict(head["j"])),
            int(head["u"], 16),
        )


def bin_of(value: float) -> int:
    """The quarter octave of a number; 0 for zero, negative numbers mirrored."""
    if value == 0 or not math.isfinite(value):
        return 0
    place = round(_BINS_PER_OCTAVE * math.log2(abs(value) * 1e6)) if abs(value) > 1e-6 else 0
    return max(1, place) if value > 0 else -max(1, place)


def value_of(place: int) -> float:
    """The middle of a quarter octave."""
    if place == 0:
        return 0.0
    return math.copysign(2 ** (abs(place) / _BINS_PER_OCTAVE) / 1e6, place)


def _whole(values: words.Vector) -> Sums:
    return np.rint(values * words.UNIT).astype(np.int64)


def _sparse(values: Sums) -> bytes:
    """Count, places (2 bytes), then values in the fewest bytes that hold them all."""
    places = np.flatnonzero(values)
    found = values[places]
    largest = int(np.abs(found).max()) if len(found) else 0
    kind = 2 if largest < 2**15 else 4 if largest < 2**31 else 8
    # Bytes of equal weight stand together: they compress to half.
    columns = found.astype(f">i{kind}").view(np.uint8).reshape(-1, kind).T.tobytes()
    return len(places).to_bytes(2, "big") + bytes([kind]) + places.astype(">u2").tobytes() + columns


def _dense(raw: bytes, at: int, length: int) -> tuple[Sums, int]:
    count, kind = int.from_bytes(raw[at : at + 2], "big"), raw[at + 2]
    places_at = at + 3
    values_at = places_at + 2 * count
    end = values_at + kind * count
    out = np.zeros(length, dtype=np.int64)
    places = np.frombuffer(raw[places_at:values_at], dtype=">u2").astype(np.intp)
    columns = np.frombuffer(raw[values_at:end], dtype=np.uint8).reshape(kind, count).T
    out[places] = np.ascontiguousarray(columns).view(f">i{kind}").ravel()
    return out, end
