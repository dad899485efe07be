"""How an answer is written, as numbers: length, layout, openers, hedges, refusals. Pure.

Each number has a plain name, which is also how a change is explained ("bold text: 0.1 → 2.4 a response").
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from traces.drift.words import MAX_CHARACTERS, quantised, tokens

Vector = np.ndarray[Any, np.dtype[np.float32]]

_REFUSAL = re.compile(
    r"\b(?:i(?:['’]m| am) (?:really |very |so )?(?:sorry|unable|not able)|(?:i )?apologi[sz]e|as an ai\b"
    r"|i (?:can(?:['’]t|not| not)|won['’]t|will not|do not|don['’]t) (?:help|assist|provide|support|answer|do|give"
    r"|comply|create|generate|share|engage|encourage|condone|promote|offer|fulfil|discuss)"
    r"|cannot (?:assist|help|provide|fulfil|condone|answer|give)|not (?:appropriate|ethical|within my)"
    r"|against my (?:programming|guidelines)|(?:is|are|be) (?:illegal|unethical|harmful)(?: and|[.,])"
    r"|i must (?:inform|emphasi[sz]e|point out|decline|remind|respectfully)"
    r"|it is not (?:appropriate|acceptable|legal|ethical|possible)"
    r"|strongly (?:advise|discourage|condemn)|(?:please )?seek (?:professional )?help)"
)
_SURE = re.compile(r"\s*(?:sure|certainly|of course|absolutely|great question|happy to)\b")
# Single words are counted among the words that were told apart already; a pattern a kind cost as much as all else.
_HEDGES = ("may", "might", "could", "perhaps", "possibly", "generally", "typically", "however")
_HEDGE_PHRASE = re.compile(r"\b(?:important to note|it depends)\b")
_FIRST, _SECOND_PERSON = ("i", "my", "me", "we", "our"), ("you", "your", "yours", "yourself")
_CLOSER = re.compile(r"(?:let me know|hope this helps|feel free|any (?:other|more|further) questions|anything else)")
_NUMBERED = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
_BULLET = re.compile(r"^\s*[-*•]\s", re.MULTILINE)
_HEADING = re.compile(r"^#+\s", re.MULTILINE)
_STEPS = ("first", "second", "then", "next", "finally", "therefore", "step", "so")

NAMES = (
    "length", "words", "lines", "word length", "sentence length", "paragraphs", "bullets", "numbered items",
    "bold text", "headings", "code", "digits", "capital letters", "questions", "exclamations", "commas", "colons",
    "brackets", "quotation marks", "opens with assent", "refuses", "hedges", "first person", "second person",
    "contractions", "varied wording", "reasoning words", "closing courtesy", "other scripts", "ends mid-sentence",
    "formulas", "opens with a capital I",
)  # fmt: skip
SIZE = len(NAMES)


def refuses(text: str) -> bool:
    """Whether the answer declines, in the words that models commonly decline with. The full judgement is elsewhere."""
    return _REFUSAL.search(text[:600].lower()) is not None


def _times(counts: Mapping[str, int], some: Iterable[str]) -> int:
    return sum(counts.get(word, 0) for word in some)


def _lines(pattern: re.Pattern[str], text: str, count: Mapping[str, int], marks: str) -> int:
    """Lines that begin so; only a text that has one of the marks is searched."""
    return len(pattern.findall(text)) if any(mark in count for mark in marks) else 0


def _share(times: int, of: int) -> float:
    return min(1.0, 20.0 * times / of) if of else 0.0


def style(text: str, words: list[str], *, declines: bool | None = None) -> Vector:
    """The numbers of `NAMES`, each of the order of one; counts enter by their logarithm or as a share of the words.

    `declines`: what `refuses` says of the text, where somebody asked already.
    """
    low = text.lower()
    count = Counter(text)
    spoken = Counter(words if len(text) <= MAX_CHARACTERS else tokens(text, limit=None))
    n_chars, n_words = len(text), max(1, len(words))
    ends = count["."] + count["!"] + count["?"]
    letters = sum(map(len, words))
    end = text.rstrip()[-1:]
    found = (
        math.log1p(n_chars), math.log1p(len(words)), math.log1p(count["\n"]), letters / n_words,
        math.log(n_words / (ends + 1)), math.log1p(text.count("\n\n")), math.log1p(_lines(_BULLET, text, count, "-*•")),
        math.log1p(len(_NUMBERED.findall(text))), math.log1p(text.count("**") // 2),
        math.log1p(_lines(_HEADING, text, count, "#")), math.log1p(text.count("```")),
        _share(sum(count[d] for d in "0123456789"), 5 * n_words),
        _share(sum(n for c, n in count.items() if c.isupper()), 5 * n_words),
        math.log1p(count["?"]), math.log1p(count["!"]),
        _share(count[","], n_words), _share(count[":"], n_words), _share(count["("] + count["["], n_words),
        _share(count['"'] + count["“"], n_words), float(bool(_SURE.match(low))),
        float(refuses(text) if declines is None else declines),
        _share(_times(spoken, _HEDGES) + len(_HEDGE_PHRASE.findall(low)), n_words),
        _share(_times(spoken, _FIRST), n_words),
        _share(_times(spoken, _SECOND_PERSON), n_words), _share(count["'"] + count["’"], n_words),
        len(set(words)) / n_words, _share(_times(spoken, _STEPS), n_words), float(bool(_CLOSER.search(low[-200:]))),
        _share(sum(n for c, n in count.items() if c > "\x7f"), 5 * n_words),
        float(bool(end) and end not in ".!?:)]`\"”'*"), _share(count["="] + count["+"], n_words),
        float(low.startswith(("i ", "i'"))),
    )  # fmt: skip
    return quantised(np.array(found))
