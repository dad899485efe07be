"""What a change looks like: words that came or went, ways of writing, the same question before and after. Pure."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traces.drift import style
from traces.drift.frame import Frame, Row

MIN_TEXTS = 4  # that a word must be in, on one side: a name that one person used is nobody's style
MIN_Z = 3.0
MAX_WORDS = 12
MAX_PAIRS = 3


@dataclass(frozen=True, slots=True)
class Word:
    """A word or pair of words, and the share of answers that have it on either side."""

    text: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Pair:
    """The same question (`exact`), or the nearest one, answered before and after: decision ids."""

    before: str
    after: str
    exact: bool


def telling_words(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> list[Word]:
    """Words and pairs whose share of answers changed most, by the z of two proportions: what came, then what went."""
    if not before or not after:
        return []
    old, new = _document_counts(before), _document_counts(after)
    n, m = len(before), len(after)
    found = []
    for text in old.keys() | new.keys():
        a, b = old[text], new[text]
        if max(a, b) < MIN_TEXTS:
            continue
        share = (a + b) / (n + m)
        error = math.sqrt(share * (1 - share) * (1 / n + 1 / m))
        z = (b / m - a / n) / error if error else 0.0
        if abs(z) >= MIN_Z:
            found.append((z, Word(text, a / n, b / m)))
    found.sort(key=lambda one: (-abs(one[0]), one[1].text))
    came = _without_parts([word for z, word in found if z > 0])[: MAX_WORDS // 2]
    return came + _without_parts([word for z, word in found if z < 0])[: MAX_WORDS // 2]


def _document_counts(texts: Sequence[Sequence[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for words in texts:
        spoken = [word for word in words if word.isalpha()]
        counts.update(set(spoken) | {f"{a} {b}" for a, b in itertools.pairwise(words) if a.isalpha() and b.isalpha()})
    return counts


def _without_parts(words: Sequence[Word]) -> list[Word]:
    """Leave out a word that a stronger pair already tells, and the other way round."""
    kept: list[Word] = []
    for word in words:
        parts = set(word.text.split())
        if not any(parts & set(other.text.split()) for other in kept):
            kept.append(word)
    return kept


def style_changes(frame: Frame, split: int) -> list[tuple[str, float, float]]:
    """The style numbers that moved most: name, mean before, mean after, in the units of `style.style`."""
    before, after = frame.style[:split][frame.has_text[:split]], frame.style[split:][frame.has_text[split:]]
    if len(before) < 2 or len(after) < 2:
        return []
    error = np.sqrt(before.var(axis=0) / len(before) + after.var(axis=0) / len(after))
    z = np.abs(after.mean(axis=0) - before.mean(axis=0)) / np.maximum(error, 1e-6)
    order = [int(i) for i in np.argsort(-z) if z[i] >= MIN_Z and error[i] > 0]
    return [(style.NAMES[i], float(before[:, i].mean()), float(after[:, i].mean())) for i in order[:6]]


def pairs(rows: Sequence[Row], split: int) -> list[Pair]:
    """Decisions to show side by side: equal questions first, then the nearest in words. The newest of each."""
    asked = {row.features.fingerprint: row for row in rows[:split] if row.features.fingerprint}
    found = [
        Pair(asked[row.features.fingerprint].seen.id, row.seen.id, exact=True)
        for row in reversed(rows[split:])
        if row.features.fingerprint in asked
    ]
    unique = list({pair.before: pair for pair in found}.values())[:MAX_PAIRS]
    return unique if len(unique) == MAX_PAIRS else unique + _nearest(rows, split, MAX_PAIRS - len(unique))


def _nearest(rows: Sequence[Row], split: int, wanted: int) -> list[Pair]:
    old = [row for row in rows[:split] if row.features.fingerprint][-400:]
    new = [row for row in rows[split:] if row.features.fingerprint][:400]
    if not old or not new:
        return []
    likeness = np.stack([row.features.asked for row in new]) @ np.stack([row.features.asked for row in old]).T
    found = []
    for place in np.argsort(-likeness.max(axis=1))[:wanted]:
        best = int(likeness[place].argmax())
        found.append(Pair(old[best].seen.id, new[int(place)].seen.id, exact=False))
        likeness[:, best] = -1
    return found
