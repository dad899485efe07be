"""Toxic words and personal data, by pattern. Pure. Only counts leave this module, never what was found."""

import re
from collections.abc import Iterator

VERSION = "1"
_TOXIC = {
    "insult": r"idiots?|morons?|stupid (?:person|woman|man|people|bitch)|imbeciles?|losers?|scum|worthless"
    r"|dumbass(?:es)?|assholes?|bastards?|bitch(?:es)?|cunts?|dickheads?|retards?|shut up"
    r"|you(?:'re| are) (?:pathetic|disgusting|stupid)",
    "threat": r"i(?:'ll| will) (?:kill|hurt|find|beat|destroy) you|you(?:'ll| will) (?:regret this|pay for this|die)"
    r"|kill yourself|kys|go die|hope you die",
    "obscenity": r"fuck(?:ing|er|ers|ed)?|motherfuck\w*|shit(?:ty|head)?|bullshit|wank\w*",
}
_TOXIC_PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.I) for name, words in _TOXIC.items()}
_MAIL = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63}){1,4}\b")
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4})(?!\w)"
)
_DIGITS = re.compile(r"(?<![\w.,])\d(?:[ -]?\d){12,18}(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b")


def toxic_counts(text: str) -> dict[str, int]:
    """How many insults, threats and obscenities are in a text."""
    return {name: len(pattern.findall(text)) for name, pattern in _TOXIC_PATTERNS.items()}


def personal_counts(text: str, *, known: str = "") -> dict[str, int]:
    """How many different pieces of each kind are in a text and not in `known`."""
    before = set(_personal(known))
    counts: dict[str, int] = {}
    for kind, _ in set(_personal(text)) - before:
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def _personal(text: str) -> Iterator[tuple[str, str]]:
    for match in _MAIL.findall(text):
        yield "email", match.casefold()
    for match in _IBAN.findall(text):
        compact = match.replace(" ", "")
        if is_iban(compact):
            yield "iban", compact
    for match in _DIGITS.findall(text):
        digits = re.sub(r"\D", "", match)
        if is_card(digits):
            yield "card", digits
    for match in _SSN.findall(text):
        yield "ssn", match
    for match in _PHONE.findall(text):
        digits = re.sub(r"\D", "", match)
        if 8 <= len(digits) <= 15:
            yield "phone", digits


def is_card(digits: str) -> bool:
    """A payment card's number: a known first digit, and Luhn's check digit."""
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return digits[0] in "3456" and sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def is_iban(compact: str) -> bool:
    """ISO 13616: 15 to 34 characters, modulo 97."""
    moved = compact[4:] + compact[:4]
    return 15 <= len(compact) <= 34 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
