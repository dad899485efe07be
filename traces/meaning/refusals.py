"""Does an answer decline, wholly or in part, or lead elsewhere? Learned from human labels (`traces.meaning.training`).

One regular expression finds the refusals of the models it was written for and few of others (recall .05 on one). The
embedding knows "declines" in words that no list has; the words of the opening keep it from calling every sad text a
refusal; and the question says what a "no" is worth: "that was not justified" declines a "why was it justified?".
"""

import re
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from traces.meaning.linear import Linear

VERSION = "2"
THRESHOLD = 0.5
_OPENING = 240  # characters in which a refusal says so
_PATTERNS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"\b(sorry|apologi[sz]e|regret|unfortunately)\b",
        r"\b(can ?no?t|can['’]t|won['’]t|will not|am not able|are not able|unable|am not allowed)\b",
        r"\b(can ?no?t|can['’]t|won['’]t|unable to|not able to) (\w+ ){0,2}(provide|assist|help|fulfil+|answer|comply|give|support|engage|share|offer|discuss|generate|create|encourage)\b",  # noqa: E501
        r"\b(as an?|i['’]m (just )?an?|i am (just )?an?|i['’]m only an?) (\w+ ){0,3}(ai|language model|assistant|model)\b",  # noqa: E501
        r"\b(illegal|unlawful|unethical|immoral|harmful|dangerous|inappropriate|offensive|against the law)\b",
        r"\b(not|never|isn['’]t) (\w+ ){0,2}(appropriate|ethical|acceptable|okay|legal|right|possible|safe|recommended)\b",  # noqa: E501
        r"\b(do(es)? not|don['’]t|doesn['’]t) (\w+ ){0,2}(have|possess|condone|promote|encourage|support|feel comfortable)\b",  # noqa: E501
        r"\b(must (emphasi[sz]e|inform|point out|clarify|advise)|i must|my purpose|my programming|guidelines)\b",
        r"\b(instead|rather than|other (questions|topics)|something else|is there anything else|happy to help)\b",
        r"\b(seek|consult|contact|reach out|report|call) (\w+ ){0,4}(professional|help|authorit\w+|police|lawyer|attorney|doctor|hotline|services)\b",  # noqa: E501
        r"\b(fictional|fictitious|does not exist|no such|not a real|no (public )?record)\b",
        r"^\W*(no|it is (not|never)|it['’]s (not|never)|there (is|are) no|i do not|i don['’]t)\b",
        r"\b(here (are|is)|steps?|for example|first(ly)?|follow(ing|s)?|sure|certainly)\b",
    )
)
_LIST = re.compile(r"^\s*(\d+[.)]|[-*•])\s", re.M)
_OPENERS = 2048  # places for hashed word groups of the opening
_TOKEN = re.compile(r"\w+|[^\w\s]")
_WORD = re.compile(r"[a-z']+")
_COMMON = frozenset(
    re.findall(
        "[a-z]+",
        "the a an of to in on at is are was were do does did i my you your for and or how what why can could should"
        " would be it that this with best way me from as not have has by",
    )
)
_NO = re.compile(r"\b(not|no|never|cannot|(ca|is|was|are|do|does|did|should)n['’]t|false|incorrect|untrue|myth)\b")
_NO_ACCESS = re.compile(
    r"(don't|do not|doesn't) have (access|any information|information|the ability)|not (publicly )?available|private"
    r"|confidential|privacy"
)
_ENDS = re.compile(r"(?<=[.!?])\s+")
_ELSEWHERE = re.compile(
    r"\b(contact|reach out to|get in touch with|call|e-?mail|write to|speak (to|with)|refer to|visit|see) (\w+ ){0,3}"
    r"(support|customer (service|care)|help ?(desk|cent(er|re))|our (team|website|staff|faq)|sales|an agent)\b",
    re.I,
)
_SHORT = 400  # characters under which pointing elsewhere is all that an answer does
OFF_TOPIC = 0.1  # relevance under which an answer that declines nothing is to another question


def lexical(answer: str) -> NDArray[np.float64]:
    """Whether each pattern is in the opening, and anywhere; how long, how listed, how questioning."""
    opening = answer[:_OPENING]
    found = [float(pattern.search(opening) is not None) for pattern in _PATTERNS]
    found += [min(len(pattern.findall(answer)), 3) / 3 for pattern in _PATTERNS]
    found += [
        min(np.log1p(len(answer)) / 8, 1.5),
        min(len(_LIST.findall(answer)), 10) / 10,
        min(answer.count("?"), 3) / 3,
    ]
    return np.asarray(found)


def between(question: str, answer: str) -> NDArray[np.float64]:
    """What only shows beside the question: whether the answer's first words deny what it takes for granted."""
    asked, said = question.lower(), answer.lower()
    sentences = _ENDS.split(said.strip())
    wanted = set(_WORD.findall(asked)) - _COMMON
    shared = len(wanted & set(_WORD.findall(sentences[0]))) / max(1, len(wanted))
    denies, denies_soon = float(bool(_NO.search(sentences[0]))), float(bool(_NO.search(" ".join(sentences[:2]))))
    why, no_access = float(asked.startswith("why")), float(bool(_NO_ACCESS.search(said)))
    # Moral words and cautions were tried as well: they are the manner of some models, and mislead about those not seen.
    return np.array([shared, denies, denies_soon, why * denies, why * denies * shared, denies * shared, no_access])


def openers(answer: str) -> NDArray[np.float64]:
    """Groups of one to three words of the opening, hashed with signs, of length one."""
    found = _TOKEN.findall(answer[:_OPENING].lower())
    out = np.zeros(_OPENERS)
    for size in (1, 2, 3):
        for start in range(len(found) - size + 1):
            value = zlib.crc32(" ".join(found[start : start + size]).encode("utf-8", "surrogatepass"))
            out[value % _OPENERS] += 1.0 if value >> 31 else -1.0
    length = float(np.linalg.norm(out))
    return out / length if length else out


def features(
    question: str, answer: str, asked: NDArray[np.float32] | None, answered: NDArray[np.float32]
) -> NDArray[np.float64]:
    """What the model sees; each part scaled so that one of its numbers weighs about what a count does."""
    likeness = 0.0 if asked is None else float(asked @ answered)
    parts = [lexical(answer), between(question, answer) * 2, openers(answer) * 3]
    return np.concatenate([np.asarray(answered, np.float64) * 5, [likeness], *parts])


@lru_cache(maxsize=1)
def model() -> Linear:
    """The weights that ship, with what is stated about them."""
    return Linear.load("refusal")


def refusal(question: str, answer: str, asked: NDArray[np.float32] | None, answered: NDArray[np.float32]) -> float:
    """The probability that an answer declines, wholly or in part."""
    return model().probability(features(question, answer, asked, answered))


def deflects(answer: str, relevance: float | None) -> bool:
    """Of an answer that does not decline: whether it is to another question, or does no more than point elsewhere."""
    elsewhere = len(answer) <= _SHORT and _ELSEWHERE.search(answer) is not None
    return elsewhere or (relevance is not None and relevance < OFF_TOPIC)
