"""One event, in the words of each kind of endpoint. Pure.

The payload that is stored is the generic one; the others are made of it when it is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tenants.ledger.canonical import dumps
from tenants.webhooks.catalogue import Notice

MAX_TITLE, MAX_TEXT = 150, 2_900  # Slack refuses a header of over 150 and a section of over 3,000 characters


def payload(notice: Notice, url: str | None) -> bytes:
    """`{"type", "timestamp", "data"}`, as the specification wants it; what is for people is in `data` too."""
    data = {**notice.data, "title": notice.title, "text": notice.text, "url": url}
    return dumps({"type": str(notice.type), "timestamp": notice.at.isoformat(), "data": data})


def slack(body: bytes) -> bytes:
    """Slack's incoming webhook (Mattermost, Rocket.Chat and others take it too): text, and blocks that hold it."""
    data: Mapping[str, Any] = orjson.loads(body)["data"]
    title, text, link = str(data["title"])[:MAX_TITLE], str(data["text"])[:MAX_TEXT], data["url"]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": title}}]
    if text:
        blocks.append({"type": "section", "text": {"type": "plain_text", "text": text}})
    if link:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": link}
        blocks.append({"type": "actions", "elements": [button]})
    plain = _escaped(f"{title}\n{text}".strip()) + (f"\n{link}" if link else "")
    return orjson.dumps({"text": plain, "blocks": blocks})


def _escaped(text: str) -> str:
    """The three characters that Slack reads as more than themselves: nobody is called by an `<!channel>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True, slots=True)
class Letter:
    """An e-mail's subject and text."""

    subject: str
    text: str


def letter(body: bytes) -> Letter:
    """The event as plain text. A subject is one line."""
    event = orjson.loads(body)
    data: Mapping[str, Any] = event["data"]
    lines = [str(data["title"]), "", *([str(data["text"]), ""] if data["text"] else [])]
    lines += [str(data["url"]), ""] if data["url"] else []
    lines.append(f"{event['type']}, {event['timestamp']}")
    return Letter(" ".join(str(data["title"]).split())[:MAX_TITLE], "\n".join(lines) + "\n")
