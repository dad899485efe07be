"""From content to words, and from a word to what is stored of it. Pure.

A word is a run of letters, digits and marks after NFKC and case folding: `Straße` and `STRASSE` are the same. What is
stored is the first 64 bits of HMAC-SHA256 under a key of its own, derived from the tenant's: without that key a hash
tells nothing, two tenants share none, and equality on a bigint is an operator that row-level security lets use an
index.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KEY_LABEL = "search words"
WORDS_KEPT = 4_000  # distinct ones of one decision; what a longer text says after that is not found
LONGEST = 64  # characters of a word; the rest of a longer one (base64, hex) is cut off on both sides
SEARCHED = ("input", "output", "context", "outcome", "human", "metadata", "tools")

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*", re.UNICODE)
_QUOTED = re.compile(r'"([^"]*)"?')


def normal(text: str) -> str:
    """NFKC, case folded, apostrophes alike."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("’", "'")


def words_of(text: str) -> list[str]:
    """The words of a text in their order."""
    return [word[:LONGEST] for word in _WORD.findall(normal(text))]


def texts_of(value: Any) -> Iterator[str]:
    """Every text inside a JSON value, in its order; names of members are structure, not content."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from texts_of(member)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def content_texts(members: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a decision that can be searched for."""
    for name in SEARCHED:
        yield from texts_of(members.get(name))


def distinct_words(members: Mapping[str, Any]) -> set[str]:
    """The words of a decision, at most `WORDS_KEPT`, the first ones."""
    found: dict[str, None] = {}
    for text in content_texts(members):
        for word in words_of(text):
            found.setdefault(word)
        if len(found) >= WORDS_KEPT:
            break
    return set(list(found)[:WORDS_KEPT])


def token(key: bytes, word: str) -> int:
    """What is stored of a word: a signed 64-bit number."""
    return int.from_bytes(hmac.new(key, word.encode(), hashlib.sha256).digest()[:8], "big", signed=True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for: all of `words`, and each of `phrases` as words that follow each other."""

    words: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...] = ()

    def is_in(self, texts: Iterable[str]) -> bool:
        """Whether every phrase is in one of the texts; the words are the index's to find."""
        sought = [f" {' '.join(phrase)} " for phrase in self.phrases]
        for text in texts:
            said = f" {' '.join(words_of(text))} "
            sought = [phrase for phrase in sought if phrase not in said]
            if not sought:
                return True
        return not sought


def read_wanted(text: str) -> Wanted:
    """From what was typed: words, and phrases in double quotes."""
    quoted = [tuple(words_of(match)) for match in _QUOTED.findall(text)]
    words = [*words_of(_QUOTED.sub(" ", text)), *(word for phrase in quoted for word in phrase)]
    return Wanted(tuple(dict.fromkeys(words)), tuple(phrase for phrase in quoted if len(phrase) > 1))
