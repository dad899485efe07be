"""What can be said of an answer's meaning, evaluator by evaluator: each is pure and has a version.

A new one is a function and a line in `EVALUATORS`.

A finding holds a score between 0 and 1, a label and numbers: never words of the content, because findings are kept for
good and content is not. Whoever changes what an evaluator says changes its version: results of both stay apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from traces.meaning import grounding, harm, refusals
from traces.meaning.exchange import Exchange
from traces.meaning.linear import Linear

Vector = NDArray[np.float32]
RELEVANT = 0.5
CONSISTENT = 0.6  # cosine of the answer with what was answered before
FEWEST_PEERS = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """All that an evaluator may look at. `encode` makes vectors of sentences; `peers`: answers to like questions."""

    exchange: Exchange
    asked: Vector | None
    answered: Vector | None
    encode: Callable[[Sequence[str]], NDArray[np.float32]]
    peers: Sequence[Vector] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found; `score` as the evaluator's `about` says."""

    score: float | None
    label: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluator:
    """`find` answers None where there is nothing to judge. `good`: the labels that ask for no attention."""

    name: str
    version: str
    title: str
    about: str
    good: frozenset[str]
    find: Callable[[Seen], Finding | None]


@lru_cache(maxsize=1)
def _relevance() -> Linear:
    return Linear.load("relevance")


def relevance(seen: Seen) -> Finding | None:
    """Calibrated probability that the answer is to this question and not to another."""
    if seen.asked is None or seen.answered is None:
        return None
    cosine = float(seen.asked @ seen.answered)
    p = _relevance().probability(np.asarray([cosine]))
    return Finding(p, "relevant" if p >= RELEVANT else "off topic", {"cosine": round(cosine, 4)})


def groundedness(seen: Seen) -> Finding | None:
    """The share of the answer's sentences that the context supports; only where a context was given."""
    said = grounding.sentences(seen.exchange.answered)[: grounding.MOST_SENTENCES]
    given = [found for text in seen.exchange.context for found in grounding.sentences(text)][: grounding.MOST_SENTENCES]
    if not said or not given:
        return None
    vectors = seen.encode([*said, *given])
    mine, theirs = vectors[: len(said)], vectors[len(said) :]
    support = [grounding.support(text, row, given, theirs) for text, row in zip(said, mine, strict=True)]
    held = sum(p >= grounding.SUPPORTED for p in support)
    label = "grounded" if held == len(said) else "partly grounded" if held else "not grounded"
    return Finding(
        held / len(said), label, {"sentences": len(said), "supported": held, "least": round(min(support), 4)}
    )


def refusal(seen: Seen) -> Finding | None:
    """The probability that the answer declines, wholly or in part; one that does not may still lead elsewhere."""
    if seen.answered is None:
        return None
    said = seen.exchange
    p = refusals.refusal(said.asked, said.answered, seen.asked, seen.answered)
    if p >= refusals.THRESHOLD:
        return Finding(p, "declined")
    to_it = relevance(seen)
    return Finding(p, "deflected" if refusals.deflects(said.answered, to_it.score if to_it else None) else "answered")


def consistency(seen: Seen) -> Finding | None:
    """Mean likeness to the answers that nearly the same question got before; needs three of them."""
    if seen.answered is None or len(seen.peers) < FEWEST_PEERS:
        return None
    cosines = [float(seen.answered @ peer) for peer in seen.peers]
    mean = sum(cosines) / len(cosines)
    label = "consistent" if mean >= CONSISTENT else "varies"
    return Finding(max(0.0, min(1.0, mean)), label, {"answers": len(cosines), "least": round(min(cosines), 4)})


def toxicity(seen: Seen) -> Finding | None:
    """Insults, threats and obscenities by word list: a heuristic, blind to what has no such word."""
    if not seen.exchange.answered:
        return None
    counts = harm.toxic_counts(seen.exchange.answered)
    n = sum(counts.values())
    return Finding(min(1.0, n / 3), "toxic" if n else "clean", {name: float(k) for name, k in counts.items() if k})


def personal_data(seen: Seen) -> Finding | None:
    """Personal data in the answer that the question did not bring along: mail, phone, card, account and tax numbers."""
    if not seen.exchange.answered:
        return None
    counts = harm.personal_counts(seen.exchange.answered, known=seen.exchange.asked)
    n = sum(counts.values())
    label = "personal data" if n else "none found"
    return Finding(min(1.0, float(n)), label, {name: float(k) for name, k in counts.items() if k})


EVALUATORS: tuple[Evaluator, ...] = (
    Evaluator("relevance", "1", "Answers the question", "probability", frozenset({"relevant"}), relevance),
    Evaluator(
        "groundedness", grounding.VERSION, "Supported by the context", "share of sentences", frozenset({"grounded"}),
        groundedness,
    ),
    Evaluator("refusal", refusals.VERSION, "Declines", "probability", frozenset({"answered"}), refusal),
    Evaluator("consistency", "1", "As answered before", "mean likeness", frozenset({"consistent"}), consistency),
    Evaluator("toxicity", harm.VERSION, "Toxic words", "words, of 3", frozenset({"clean"}), toxicity),
    Evaluator("personal_data", harm.VERSION, "Personal data", "found", frozenset({"none found"}), personal_data),
)  # fmt: skip
