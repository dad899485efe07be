"""Patterns of rules: RE2 (linear in the text, no backtracking), compiled once, and what one weighs.

Syntax: https://github.com/google/re2/wiki/Syntax
"""

import re
from functools import lru_cache
from typing import Any

import re2

PATTERNS_KEPT = 512


class BadPattern(ValueError):
    """RE2 does not take it; the message says why."""


@lru_cache(maxsize=PATTERNS_KEPT)
def compiled(pattern: str) -> Any:
    """The automaton of a pattern. Raises `BadPattern`."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # only whether it is found is asked
    try:
        return re2.compile(pattern, options)
    except re2.error as problem:
        reason = problem.args[0] if problem.args else ""
        raise BadPattern(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def is_found(text: str, pattern: str) -> bool:
    """Whether the pattern matches anywhere in the text, as CEL's `matches` says."""
    return compiled(pattern).search(text.encode()) is not None


_ATOM = re.compile(
    r"\\[pP](?:\{\^?\w+\}|\w)|\\Q|\\x\{[0-9A-Fa-f]+\}|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\(\?[^():]*[:)]|\{(\d+)(?:(,)(\d*))?\}|.",
    re.S,
)


def pattern_states(pattern: str) -> float:
    """Roughly the instructions RE2 needs: counted repetitions multiply what they repeat, wide classes weigh more."""
    stack: list[float] = [0.0]
    last = 0.0
    for match in _ATOM.finditer(pattern):
        atom = match[0]
        if match[1]:
            count = max(int(match[3] or 0), int(match[1]), 1)
            stack[-1] += last * (count - 1)
            last *= count
        elif atom == "(" or (atom.startswith("(?") and atom.endswith(":")):
            stack.append(0.0)
        elif atom == ")" and len(stack) > 1:
            last = stack.pop() + 1
            stack[-1] += last
        elif atom not in "*+?|":
            last = _atom_states(atom)
            stack[-1] += last
    return sum(stack) + 1


def _atom_states(atom: str) -> float:
    """One character or class. In UTF-8 a class is as large as its byte ranges: thousands for a Unicode category."""
    categories = len(re.findall(r"\\[pP]", atom))
    wide = atom == "." or atom.startswith(("[^", r"\W", r"\D", r"\S"))
    return 1.0 + 3.0 * wide + 1_100.0 * categories + 8.0 * sum(not character.isascii() for character in atom)
