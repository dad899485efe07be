"""Observations as columns: the table that tests run on. Rows are in order of time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from traces.drift import style, words
from traces.drift.observation import SCALARS, Features, Observation, featurise

MAX_BLOCKS = 320

Matrix = np.ndarray[Any, np.dtype[np.float32]]
Indexes = np.ndarray[Any, np.dtype[np.intp]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Row:
    """An observation beside its features."""

    seen: Observation
    features: Features


def rows_of(observations: Sequence[Observation]) -> list[Row]:
    """Each observation featurised, in order of time (equal times by id)."""
    ordered = sorted(observations, key=lambda one: (one.at, one.id))
    return [Row(seen, features) for seen, features in zip(ordered, featurise(ordered), strict=True)]


@dataclass(frozen=True, slots=True)
class Frame:
    """`n` rows as matrices. `blocks` numbers the sessions: records of one session are not independent."""

    rows: Sequence[Row]
    asked: Matrix  # n × words.DIMENSIONS
    answered: Matrix
    style: Matrix  # n × style.SIZE
    scalars: Matrix  # n × len(SCALARS), NaN where unknown
    has_text: Mask

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Frame":
        """The table of these rows."""
        return cls(
            rows,
            _stack([row.features.asked for row in rows], words.DIMENSIONS),
            _stack([row.features.answered for row in rows], words.DIMENSIONS),
            _stack([row.features.style for row in rows], style.SIZE),
            np.array(
                [[row.seen.scalars.get(name, np.nan) for name in SCALARS] for row in rows], dtype=np.float32
            ).reshape(len(rows), len(SCALARS)),
            np.array([row.features.has_text for row in rows], dtype=bool),
        )

    def parts(self) -> tuple[Any, ...]:
        """The matrices, in the order of the constructor."""
        return self.asked, self.answered, self.style, self.scalars, self.has_text

    def part(self, start: int, end: int) -> "Frame":
        """Some of the rows, as views."""
        asked, answered, manner, scalars, has_text = (matrix[start:end] for matrix in self.parts())
        return Frame(self.rows[start:end], asked, answered, manner, scalars, has_text)

    def blocks(self) -> Indexes:
        """The session number of every row; a row without a session is its own.

        Beyond `MAX_BLOCKS`, sessions that began one after the other are shuffled together: still whole sessions, and
        the cost of a shuffle stays what it is.
        """
        numbers: dict[str, int] = {}
        keys = (row.seen.session or f"\0{i}" for i, row in enumerate(self.rows))
        found = np.fromiter(
            (numbers.setdefault(key, len(numbers)) for key in keys), dtype=np.intp, count=len(self.rows)
        )
        together = -(-len(numbers) // MAX_BLOCKS)
        return found // together if together > 1 else found


def running(rows: Any, out: Any) -> Any:
    """The sums of the first row, of the first two, … in `out`.

    A row at a time: `cumsum` goes down one column after the other, which took twenty times as long.
    """
    if rows.ndim == 1:
        return np.cumsum(rows, out=out)
    out[:1] = rows[:1]
    for index in range(1, len(rows)):
        np.add(out[index - 1], rows[index], out=out[index])
    return out


def _stack(vectors: Sequence[Matrix], width: int) -> Matrix:
    return np.stack(vectors) if vectors else np.zeros((0, width), dtype=np.float32)


@dataclass(slots=True)
class Buffer:
    """A frame that grows by steps without copying what it has."""

    frame: Frame
    used: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Buffer":
        """Holding these rows."""
        frame = Frame.of(rows)
        return cls(Frame(rows, *(_room(part, len(rows)) for part in frame.parts())), len(rows))

    def add(self, new: Frame, rows: Sequence[Row]) -> None:
        """Append; `rows` is the list of all rows now."""
        needed = self.used + len(new)
        if needed > len(self.frame.asked):
            self.frame = Frame(rows, *(_room(part, needed) for part in self.frame.parts()))
        for mine, theirs in zip(self.frame.parts(), new.parts(), strict=True):
            mine[self.used : needed] = theirs
        self.used = needed

    def view(self, rows: Sequence[Row]) -> Frame:
        """The frame of all rows so far."""
        asked, answered, manner, scalars, has_text = (part[: self.used] for part in self.frame.parts())
        return Frame(rows, asked, answered, manner, scalars, has_text)


def _room(part: Any, needed: int) -> Any:
    grown = np.zeros((needed + needed // 3 + 64, *part.shape[1:]), dtype=part.dtype)
    grown[: len(part)] = part
    return grown
