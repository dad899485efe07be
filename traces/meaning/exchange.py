"""What of a decision is read for its meaning: the last question, the answer, the context. Pure."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from traces.conversation import Turn, turns
from traces.meaning.encoder import as_read

DIGEST_BYTES = 16
LABEL = "meaning"  # of the key under which texts are digested


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its answer, as text; either may be empty. `context` holds the documents that were given."""

    asked: str
    answered: str
    context: tuple[str, ...] = ()


def exchange_of(members: Mapping[str, Any]) -> Exchange:
    """From the members of a decision, in whatever form they came."""
    inputs = turns(members.get("input"), "user")
    asked = _said([turn for turn in inputs if turn.role == "user"][-1:] or inputs[-1:])
    documents = members.get("context") or []
    texts = (doc.get("text") for doc in documents if isinstance(doc, Mapping)) if isinstance(documents, list) else ()
    context = tuple(text for text in texts if isinstance(text, str) and text.strip())
    return Exchange(asked, _said(turns(members.get("output"), "assistant")), context)


def _said(found: Iterable[Turn]) -> str:
    """Words that were said; reasoning, calls and pictures are none."""
    parts = (part.text for turn in found for part in turn.parts if part.kind in {"text", "refusal", "json"})
    return "\n".join(part for part in parts if part.strip())


def digest(key: bytes, text: str) -> bytes | None:
    """A keyed hash of a text as the encoder reads it; None where there is none. Without the key it tells nothing."""
    read = as_read(text)
    return hmac.new(key, read.encode(), hashlib.sha256).digest()[:DIGEST_BYTES] if read else None
